#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// How many threads may be inside one cache's operations at a time without sharing anything.
inline constexpr std::uint32_t exclusive_stripes = 1024;
/// Stripes that threads beyond those borrow for one operation.
inline constexpr std::uint32_t borrowed_stripes = 64;
inline constexpr std::uint32_t stripe_count = exclusive_stripes + borrowed_stripes;

/// A count that one thread at a time adds to and any thread reads: a load and a store, no read-modify-write.
class single_writer_count {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);  // a statistic: orders nothing
  }
  void subtract(std::uint64_t n = 1) noexcept { add(std::uint64_t{0} - n); }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_;
};

/// What a thread has to itself in one cache: statistics, nodes and a slot put by, the policy's own state. Starts as
/// zeros. Lists of nodes are chains of links (0 ends, `i + 1`).
template <class PolicyLocal>
struct alignas(128) stripe {
  single_writer_count hits;
  single_writer_count misses;
  PolicyLocal policy;

  single_writer_count entered;  ///< entries that came in
  single_writer_count left;     ///< entries that went
  single_writer_count loads;
  single_writer_count load_failures;
  single_writer_count evictions;
  single_writer_count expirations;
  single_writer_count rejections;
  single_writer_count listener_failures;

  std::uint32_t free_nodes;  ///< chain of nodes ready for use
  std::uint32_t free_count;
  std::uint32_t retired_nodes;  ///< chain of unlinked nodes that somebody may still be reading
  std::uint32_t retired_count;
  std::uint32_t scan_at;        ///< how many retired nodes make a scan worth while
  std::uint32_t spare_slot;     ///< 0 or a slot + 1
  std::uint32_t upcoming_hash;  ///< where the next victim is expected
  std::uint64_t random_state;
  std::atomic<std::uint32_t> borrowed;  ///< 1 while a thread without a stripe of its own uses this one

  /// A pseudo-random number (Weyl sequence with a multiplicative finish): for sampling, not for secrets.
  std::uint64_t random() noexcept {
    random_state += 0x9E3779B97F4A7C15U;
    const std::uint64_t x = (random_state ^ (random_state >> 29)) * 0xBF58476D1CE4E5B9U;
    return x ^ (x >> 32);
  }
};

}  // namespace banyan::detail
