#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace banyan {

/// Refuses an option: throws `std::invalid_argument` with a message such as
/// `cache_options.capacity = 0: must be at least 1`. Where exceptions are off, prints it and aborts.
template <class Value>
[[noreturn]] void invalid_option(std::string_view field, const Value& value, std::string_view rule) {
  std::string message{field};
  message += " = ";
  if constexpr (requires { std::to_string(value); }) {
    message += std::to_string(value);
  } else {
    message += value;
  }
  message += ": ";
  message += rule;
#if defined(__cpp_exceptions)
  throw std::invalid_argument{message};
#else
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
#endif
}

}  // namespace banyan
