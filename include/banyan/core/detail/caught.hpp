#pragma once

#include <exception>
#include <utility>

namespace banyan::detail {

/// Calls `f()` and returns what it threw; null when it returned. For callers' code in places that must go on.
template <class F>
std::exception_ptr caught(F&& f) noexcept {
#if defined(__cpp_exceptions)
  try {
    std::forward<F>(f)();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
#else
  std::forward<F>(f)();
  return nullptr;
#endif
}

}  // namespace banyan::detail
