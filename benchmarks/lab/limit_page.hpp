#pragma once

#include <string>
#include <vector>

#include "limit_study.hpp"

namespace banyan::lab {

/// The report: for each scenario the reading, pictures of goodput and limits over time, and the table.
std::string limit_page(const std::vector<limit_result>& results);

}  // namespace banyan::lab
