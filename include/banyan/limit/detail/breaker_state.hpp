#pragma once

#include <atomic>
#include <cstdint>

namespace banyan {

enum class circuit_state : std::uint8_t {
  closed,       ///< calls go through and are counted
  open,         ///< calls are refused until `open_for` is over
  half_open,    ///< some calls are let through to see
  forced_open,  ///< calls are refused until somebody says otherwise
  disabled,     ///< calls go through and are not counted
};

namespace detail {

/// State, generation, openings in a row, and since when, in one word; and a word of counts of the probes of a half-open
/// generation. Every change of state is a compare-exchange that makes a new generation, from 1 to 65535 and round
/// again; what belongs to an earlier one is void by that.
///
/// Lock-free: a repetition means that another call changed a word.
class breaker_state {
 public:
  struct view {
    circuit_state state = circuit_state::closed;
    std::uint16_t generation = 1;
    std::uint8_t openings = 0;  // in a row, the last one included; at most `most_openings`
    std::uint64_t since = 0;    // of 2^41
  };
  static constexpr std::uint8_t most_openings = 15;

  struct probes {
    std::uint32_t issued = 0;
    std::uint32_t returned = 0;
    std::uint32_t failed = 0;
    std::uint32_t slow = 0;
  };
  static constexpr std::uint32_t most_probes = 1023;

  [[nodiscard]] view look() const noexcept {
    // (1) acquire: pairs with the release in (2): who sees a state sees what was done before it began.
    return unpacked(state_.load(std::memory_order_acquire));
  }

  /// To `to`, if nothing has changed since `from` was looked at.
  bool change(const view& from, circuit_state to, std::uint8_t openings, std::uint64_t now) noexcept {
    std::uint64_t expected = packed(from);
    // (2) release: pairs with (1).
    return state_.compare_exchange_strong(expected, packed({to, after(from.generation), openings, now}),
                                          std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// Whether generation `a`, found in a word that was read by acquire and written by release, is later than the other.
  /// Numbers go round, so their distance tells it only for some time; the present one is later than all others for
  /// ever.
  [[nodiscard]] bool is_later(std::uint16_t a, std::uint16_t than) const noexcept {
    if (a == 0 || a == than) return false;
    const std::uint16_t now = look().generation;
    return a == now || (than != now && static_cast<std::uint16_t>(a - than) < 32'768);
  }

  /// One more probe of `generation`, if there are fewer than `most`.
  bool issue(std::uint16_t generation, std::uint32_t most) noexcept {
    // (3) acquire: pairs with the release in (4).
    std::uint64_t seen = probes_.load(std::memory_order_acquire);
    for (;;) {
      probes next = counts(seen, generation);
      if (next.issued >= most || is_later(generation_of(seen), generation)) return false;  // later: the caller is late
      ++next.issued;
      // (4) release, and acquire as (3): pairs with (3) and (4).
      if (probes_.compare_exchange_weak(seen, packed(generation, next), std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
        return true;
      }
    }
  }

  /// A probe is back; the counts with it, or none when its generation is over.
  probes give_back(std::uint16_t generation, bool counted, bool failed, bool slow) noexcept {
    std::uint64_t seen = probes_.load(std::memory_order_relaxed);
    for (;;) {
      if (generation_of(seen) != generation) return {};
      probes next = counts(seen, generation);
      if (counted) {
        ++next.returned;
        next.failed += failed ? 1 : 0;
        next.slow += slow ? 1 : 0;
      } else if (next.issued > 0) {
        --next.issued;
      }
      if (probes_.compare_exchange_weak(seen, packed(generation, next), std::memory_order_relaxed)) return next;
    }
  }

 private:
  static constexpr std::uint64_t since_mask = (std::uint64_t{1} << 41) - 1;

  static constexpr std::uint16_t after(std::uint16_t generation) noexcept {
    return generation == 65'535 ? std::uint16_t{1} : static_cast<std::uint16_t>(generation + 1);
  }

  static constexpr std::uint64_t packed(const view& v) noexcept {
    return (std::uint64_t{static_cast<std::uint8_t>(v.state)} << 61) | (std::uint64_t{v.generation} << 45) |
           (std::uint64_t{v.openings} << 41) | (v.since & since_mask);
  }
  static constexpr view unpacked(std::uint64_t word) noexcept {
    return {static_cast<circuit_state>(word >> 61), static_cast<std::uint16_t>(word >> 45),
            static_cast<std::uint8_t>((word >> 41) & most_openings), word & since_mask};
  }

  static constexpr std::uint16_t generation_of(std::uint64_t word) noexcept {
    return static_cast<std::uint16_t>(word >> 40);
  }
  static constexpr std::uint64_t packed(std::uint16_t generation, const probes& p) noexcept {
    return (std::uint64_t{generation} << 40) | (std::uint64_t{p.issued} << 30) | (std::uint64_t{p.returned} << 20) |
           (std::uint64_t{p.failed} << 10) | p.slow;
  }
  static constexpr probes counts(std::uint64_t word, std::uint16_t generation) noexcept {
    if (generation_of(word) != generation) return {};
    const auto part = [word](unsigned at) { return static_cast<std::uint32_t>(word >> at) & 1023U; };
    return {part(30), part(20), part(10), part(0)};
  }

  std::atomic<std::uint64_t> state_{packed(view{})};
  std::atomic<std::uint64_t> probes_{0};
};

}  // namespace detail

}  // namespace banyan
