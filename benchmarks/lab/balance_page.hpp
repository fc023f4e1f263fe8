#pragma once

#include <string>
#include <vector>

#include "balance_study.hpp"

namespace banyan::lab {

/// The balance study's report as a self-contained HTML page: for each scenario the reading, the curves of latency, the
/// table, and pictures of the load of each server over time.
std::string balance_page(const std::vector<balance_result>& results);

}  // namespace banyan::lab
