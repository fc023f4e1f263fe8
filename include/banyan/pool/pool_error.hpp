#pragma once

#include <exception>
#include <utility>

namespace banyan {

enum class pool_errc {
  timeout,           ///< waited as long as it was to, and nothing came
  exhausted,         ///< `try_acquire`: all are lent, or others wait
  closed,            ///< the pool is closed or was while waiting
  suspended,         ///< `try_acquire`: the pool is suspended
  open_failed,       ///< opening failed, and the pool is to tell at once (`fail_fast`)
  too_many_waiting,  ///< `max_waiting` others wait
  cancelled,         ///< by the one who asked
  out_of_memory,     ///< for the waiting itself
};

/// Why there is no lease. `cause` is what the factory, or a hook that refused a new connection,
/// threw last; null when nothing was, or when connections have been of use since.
class pool_error {
 public:
  explicit pool_error(pool_errc code, std::exception_ptr cause = nullptr) noexcept
      : code_{code}, cause_{std::move(cause)} {}

  [[nodiscard]] pool_errc code() const noexcept { return code_; }
  [[nodiscard]] const std::exception_ptr& cause() const noexcept { return cause_; }

  [[nodiscard]] const char* message() const noexcept {
    switch (code_) {
      case pool_errc::timeout:
        return "no connection within the time to wait";
      case pool_errc::exhausted:
        return "no connection is idle";
      case pool_errc::closed:
        return "the pool is closed";
      case pool_errc::suspended:
        return "the pool is suspended";
      case pool_errc::open_failed:
        return "a connection could not be opened";
      case pool_errc::too_many_waiting:
        return "too many wait already";
      case pool_errc::cancelled:
        return "the request was cancelled";
      case pool_errc::out_of_memory:
        return "out of memory";
    }
    return "";
  }

  friend bool operator==(const pool_error& error, pool_errc code) noexcept { return error.code_ == code; }

 private:
  pool_errc code_;
  std::exception_ptr cause_;
};

}  // namespace banyan
