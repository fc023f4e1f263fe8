#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <banyan/core/invalid_option.hpp>

namespace banyan::detail {

/// Throws the error. Where exceptions are off, prints it and aborts.
template <class Error>
[[noreturn]] void client_failure(const Error& error) {
#if defined(__cpp_exceptions)
  throw error;
#else
  std::fprintf(stderr, "%s\n", error.what());
  std::abort();
#endif
}

/// For clients that take text up to its first zero byte: text with one in it would silently be cut off there. What it
/// says is not repeated, it may hold a password.
inline const char* c_text(std::string_view name, const std::string& text) {
  if (text.find('\0') != std::string::npos) invalid_option(name, "(text)", "must not contain a zero byte");
  return text.c_str();
}

}  // namespace banyan::detail
