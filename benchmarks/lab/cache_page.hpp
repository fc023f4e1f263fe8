#pragma once

#include <string>
#include <vector>

#include "cache_study.hpp"

namespace banyan::lab {

/// The cache study's report as a self-contained HTML page: for each trace the recommendation, the miss-ratio curves and
/// the tables.
std::string cache_page(const std::vector<cache_result>& results);

}  // namespace banyan::lab
