#pragma once

#include <cstdint>
#include <exception>
#include <optional>

namespace banyan {

/// Why a shard, or a key that it is responsible for, has no answer.
enum class gather_fault : std::uint8_t {
  failed,       ///< the call returned an error, which is the cause
  threw,        ///< the call threw
  wrong_size,   ///< the call returned another number of answers than there were keys
  unrouted,     ///< the router knows nobody for this key
  timed_out,    ///< there was no answer by the deadline; the call may still be under way
  not_started,  ///< the deadline came before the call was begun, and it will not be
  dropped,      ///< the executor refused the call, or dropped it without running it
};

/// A fault, and what the call said of it.
template <class E>
struct gather_error {
  gather_fault fault;
  std::optional<E> cause{};
  std::exception_ptr thrown{};  ///< of `threw`
};

}  // namespace banyan
