#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/hazard_domain.hpp>

namespace banyan {

/// A counter that many threads change and few read. Each of the first `Stripes` threads alive has a cache line of its
/// own, which it changes by a plain load and store; further threads share one more line by read-modify-writes.
///
/// Thread-safe. `add` is wait-free, O(1); a signal handler must not add to a counter that its thread may be adding to.
/// It wraps around as `std::int64_t` in two's complement.
template <std::size_t Stripes = 16>
class striped_counter {
  static_assert(Stripes >= 1);

 public:
  explicit striped_counter(hazard_domain& domain = hazard_domain::global()) noexcept : domain_{&domain} {}

  striped_counter(const striped_counter&) = delete;
  striped_counter& operator=(const striped_counter&) = delete;

  void add(std::int64_t amount = 1) noexcept {
    const auto step = static_cast<std::uint64_t>(amount);
    const auto* const record = domain_->try_local();
    if (record != nullptr && record->index() < Stripes) [[likely]] {
      // The index is this thread's alone; its former owner's last store came before, by the record's hand-over.
      std::atomic<std::uint64_t>& own = *stripes_[record->index()];
      own.store(own.load(std::memory_order_relaxed) + step, std::memory_order_relaxed);
    } else {
      (*stripes_[Stripes]).fetch_add(step, std::memory_order_relaxed);
    }
  }

  /// The sum of all that was added; of what is added meanwhile, some. Wait-free, O(Stripes).
  [[nodiscard]] std::int64_t sum() const noexcept {
    std::uint64_t total = 0;
    for (const auto& stripe : stripes_) total += (*stripe).load(std::memory_order_relaxed);
    return static_cast<std::int64_t>(total);
  }

 private:
  std::array<padded<std::atomic<std::uint64_t>>, Stripes + 1> stripes_{};
  hazard_domain* domain_;
};

}  // namespace banyan
