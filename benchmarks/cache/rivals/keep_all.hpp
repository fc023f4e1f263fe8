#pragma once

#include <cstdint>

#include <banyan/cache/eviction_policy.hpp>

namespace bench {

/// No policy: nothing is noted, nothing leaves. With it, basic_cache is the bare table, the floor for every policy.
class keep_all {
 public:
  struct local {};

  explicit keep_all(const banyan::policy_limits&) {}

  void stamp(banyan::slot_id, std::uint32_t, local&) noexcept {}
  void touch(banyan::slot_id, std::uint32_t, local&) noexcept {}
  [[nodiscard]] std::uint64_t rank(banyan::slot_id) const noexcept { return 0; }
  banyan::slot_id victim(banyan::slot_id, std::uint32_t, local&) noexcept { return banyan::no_slot; }
  bool claim(banyan::slot_id) noexcept { return false; }
  void vacate(banyan::slot_id) noexcept {}
};

static_assert(banyan::ranked_policy<keep_all>);

}  // namespace bench
