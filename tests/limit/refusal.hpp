#pragma once

#include <algorithm>
#include <cmath>

#include "support/refused_field.hpp"

namespace banyan::testing {

inline bool near(double left, double right, double relative) {
  return std::abs(left - right) <= relative * std::max(std::abs(left), std::abs(right));
}

}  // namespace banyan::testing
