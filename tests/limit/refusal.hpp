#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace banyan::testing {

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// The field that `call` refuses; empty when it refuses none.
template <class Call>
std::string refused_field(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& refused) {
    const std::string message = refused.what();
    return message.substr(0, message.find(" = "));
  }
  return {};
}

inline bool near(double left, double right, double relative) {
  return std::abs(left - right) <= relative * std::max(std::abs(left), std::abs(right));
}

}  // namespace banyan::testing
