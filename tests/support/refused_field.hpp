#pragma once

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
    static_cast<void>(call());
  } catch (const std::invalid_argument& refused) {
    const std::string message = refused.what();
    return message.substr(0, message.find(" = "));
  }
  return {};
}

}  // namespace banyan::testing
