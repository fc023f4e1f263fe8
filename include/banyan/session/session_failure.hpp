#pragma once

#include <cstdint>
#include <exception>

namespace banyan {

/// What a `session_backend` was asked for.
enum class session_operation : std::uint8_t { get, put, touch, erase };

[[nodiscard]] constexpr const char* to_string(session_operation operation) noexcept {
  switch (operation) {
    case session_operation::get:
      return "get";
    case session_operation::put:
      return "put";
    case session_operation::touch:
      return "touch";
    case session_operation::erase:
      return "erase";
  }
  return "";
}

/// A call of the backend that failed. It does not say whose session it was: ids belong in no log.
struct session_failure {
  session_operation operation;
  std::exception_ptr thrown{};  ///< by the backend; null when it answered `unavailable`
};

}  // namespace banyan
