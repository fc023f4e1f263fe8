#pragma once

#include <cmath>

#include "support/refused_field.hpp"

namespace banyan::testing {

inline bool near(double left, double right, double margin = 1e-9) { return std::abs(left - right) <= margin; }

}  // namespace banyan::testing
