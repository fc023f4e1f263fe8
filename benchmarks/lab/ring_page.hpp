#pragma once

#include <string>
#include <vector>

#include "ring_study.hpp"

namespace banyan::lab {

/// The report of a ring study: a picture of the loads and a table for each number of nodes, and how the cost of a
/// look-up grows with it.
std::string ring_page(const std::vector<ring_result>& results);

}  // namespace banyan::lab
