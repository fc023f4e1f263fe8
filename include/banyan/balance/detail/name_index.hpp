#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// From the hash of a name to the index of the candidate. An immutable value: open addressing, linear probing.
class name_index {
 public:
  /// O(n); up to 64 bytes each. Throws `std::bad_alloc`.
  explicit name_index(std::span<const candidate> candidates)
      : slots_(std::bit_ceil(candidates.size() * 2 + 1)), mask_{slots_.size() - 1} {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const std::uint64_t name = candidates[i].name_hash();
      std::size_t at = mix_bits(name) & mask_;
      while (slots_[at].index != pick_context::none) at = (at + 1) & mask_;
      slots_[at] = {name, static_cast<std::uint32_t>(i)};
    }
  }

  /// None when there is nobody of that name. Expected O(1), wait-free.
  [[nodiscard]] std::uint32_t find(std::uint64_t name) const noexcept {
    for (std::size_t at = mix_bits(name) & mask_;; at = (at + 1) & mask_) {
      const slot& here = slots_[at];
      if (here.index == pick_context::none || here.name == name) return here.index;
    }
  }

 private:
  struct slot {
    std::uint64_t name = 0;
    std::uint32_t index = pick_context::none;
  };

  std::vector<slot> slots_;
  std::size_t mask_;
};

}  // namespace banyan::detail
