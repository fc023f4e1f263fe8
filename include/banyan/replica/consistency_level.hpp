#pragma once

#include <chrono>
#include <cstdint>

namespace banyan {

/// How fresh a read must be. Made by the constants and functions below.
struct consistency_level {
  enum class kind : std::uint8_t {
    eventual,
    bounded_staleness,
    monotonic_reads,
    read_your_writes,
    read_your_writes_within,
    causal,
    strong
  };
  kind what = kind::eventual;
  std::chrono::nanoseconds bound{0};  ///< of those levels that have one

  friend constexpr bool operator==(const consistency_level&, const consistency_level&) noexcept = default;
};

/// Whatever a replica has that is fit to be read from at all.
inline constexpr consistency_level eventual{consistency_level::kind::eventual};

/// The session never sees what is older than it has seen before: feed the token with `read_at` after each read.
inline constexpr consistency_level monotonic_reads{consistency_level::kind::monotonic_reads};

/// The session sees what it has written: feed the token with `wrote`.
inline constexpr consistency_level read_your_writes{consistency_level::kind::read_your_writes};

/// The session sees all that came before in its own and in others' sessions: feed the token with `wrote`, `read_at`,
/// and `merge` with the token of whoever sent the message that is acted on.
inline constexpr consistency_level causal{consistency_level::kind::causal};

/// The primary. In a synchronous set a quorum of its members does as well: see `replica_set::read_quorum`.
inline constexpr consistency_level strong{consistency_level::kind::strong};

/// What was committed `bound` ago is seen, as far as the reported lag tells. Below 0 counts as 0.
[[nodiscard]] constexpr consistency_level bounded_staleness(std::chrono::nanoseconds bound) noexcept {
  return {consistency_level::kind::bounded_staleness, bound.count() < 0 ? std::chrono::nanoseconds{0} : bound};
}

/// For where neither positions nor lag are known: for so long after a session's write its reads go to the primary.
/// Good while no replica lags by more. Below 0 counts as 0.
[[nodiscard]] constexpr consistency_level read_your_writes_within(std::chrono::nanoseconds bound) noexcept {
  return {consistency_level::kind::read_your_writes_within, bound.count() < 0 ? std::chrono::nanoseconds{0} : bound};
}

}  // namespace banyan
