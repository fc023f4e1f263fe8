#pragma once

#include <cmath>

namespace banyan::testing {

/// Whether `value` is within `part` of `expected`. (Approx has another name in each version of Catch2.)
inline bool near(double value, double expected, double part) {
  return std::abs(value - expected) <= part * std::abs(expected);
}

}  // namespace banyan::testing
