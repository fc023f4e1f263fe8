#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/detail/index_stack.hpp>

namespace banyan::detail {

/// The slots of a cache: which are in use, and under which hash their entry is to be found. A slot is taken before its
/// entry is linked and vacated by whoever removed the entry. Lock-free, O(1).
class slot_table {
 public:
  /// A hash and a link for each slot, zeros, which live as long as the table.
  slot_table(std::span<std::atomic<std::uint32_t>> hashes, std::span<std::atomic<std::uint32_t>> links) noexcept
      : hashes_{hashes}, links_{links} {}

  /// Where the entry of a slot is, or was last.
  [[nodiscard]] std::uint32_t hash(slot_id slot) const noexcept {
    // Relaxed: an old hash finds no entry with this slot. Who must find it has come by the slot in a way that shows the
    // hash, which is set before the entry is linked: a ranked policy's claim, or an ordered policy's turn.
    return hashes_[slot].load(std::memory_order_relaxed);
  }
  void set_hash(slot_id slot, std::uint32_t hash) noexcept { hashes_[slot].store(hash, std::memory_order_relaxed); }

  /// The same by slot, for a policy.
  [[nodiscard]] const std::atomic<std::uint32_t>* hashes() const noexcept { return hashes_.data(); }

  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(hashes_.size()); }

  /// The link of a slot, for the one stack that the slot is in.
  [[nodiscard]] auto links() noexcept {
    return [this](slot_id slot) noexcept -> std::atomic<std::uint32_t>& { return links_[slot]; };
  }

  /// Slots from here on were never taken.
  [[nodiscard]] std::uint32_t high_water() const noexcept {
    const std::uint32_t fresh = fresh_.load(std::memory_order_relaxed);
    return fresh < size() ? fresh : size();
  }

  /// A slot for the caller alone, or `no_slot`.
  template <class Stripe>
  slot_id take(Stripe& mine) noexcept {
    if (mine.spare_slot != 0) {
      const slot_id slot = mine.spare_slot - 1;
      mine.spare_slot = 0;
      return slot;
    }
    if (slot_id slot = vacant_.pop(links()); slot != index_stack::none) return slot;
    if (fresh_.load(std::memory_order_relaxed) < size()) {  // so that the counter cannot wrap
      if (slot_id slot = fresh_.fetch_add(1, std::memory_order_relaxed); slot < size()) return slot;
    }
    return no_slot;
  }

  /// A slot whose entry has gone, for the next one: best the same thread's, which is about to need it.
  template <class Stripe>
  void vacate(slot_id slot, Stripe& mine) noexcept {
    if (mine.spare_slot == 0) {
      mine.spare_slot = slot + 1;
    } else {
      vacant_.push(slot, links());
    }
  }

 private:
  std::span<std::atomic<std::uint32_t>> hashes_;
  std::span<std::atomic<std::uint32_t>> links_;
  alignas(64) std::atomic<std::uint32_t> fresh_{0};
  alignas(64) index_stack vacant_;
};

static_assert(no_slot == index_stack::none);

}  // namespace banyan::detail
