#pragma once

#include <banyan/cache/detail/logical_clock.hpp>
#include <banyan/cache/detail/ranked_marks.hpp>
#include <banyan/cache/eviction_policy.hpp>

#include <cstdint>

namespace banyan {

class lfu_policy {
 public:
  struct local {
    detail::logical_clock::local clock;
    detail::ranked_marks::local sweep;
  };

  explicit lfu_policy(const policy_limits& limits) : marks_{limits} {}

  void stamp(slot_id slot, std::uint32_t, local& own) noexcept {
    marks_.store(slot, one_access | (clock_.shared_tick(own.clock) & time_mask));
  }

  void touch(slot_id slot, std::uint32_t, local& own) noexcept {
    const std::uint64_t count = marks_.load(slot) & ~time_mask;
    const std::uint64_t more = count + one_access;
    marks_.store(slot, (more != 0 ? more : count) | (clock_.tick(own.clock) & time_mask));
  }

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept { return marks_.load(slot); }

  [[nodiscard]] slot_id victim(slot_id keep, std::uint32_t high_water, local& own) noexcept {
    return marks_.lowest(keep, high_water, own.sweep);
  }

  void vacate(slot_id slot) noexcept { marks_.store(slot, 0); }

 private:
  static constexpr int time_bits = 40;
  static constexpr std::uint64_t one_access = std::uint64_t{1} << time_bits;
  static constexpr std::uint64_t time_mask = one_access - 1;

  detail::ranked_marks marks_;
  detail::logical_clock clock_;
};

static_assert(ranked_policy<lfu_policy>);

}  // namespace banyan
