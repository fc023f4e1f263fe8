#pragma once

/// \file
/// Doubly linked lists threaded through an array of links, one link per slot.

#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <cstdint>

namespace banyan::detail {

/// The neighbours of a slot in its list, each stored plus one: zero-filled memory reads as "no neighbour".
struct slot_link {
  std::uint32_t older = 0;
  std::uint32_t newer = 0;
};

/// The links of all slots. Several lists share one array, as a slot is in at most one of them. 8 bytes per slot.
using slot_links = zeroed_array<slot_link>;

/// A queue of slots: joined at the newest end, left at the oldest or from anywhere.
///
/// The list does not know which slots it holds: whoever calls `remove` must. Every operation is O(1). Sequential code.
class slot_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] slot_id oldest() const noexcept { return oldest_ - 1; }
  [[nodiscard]] slot_id newest() const noexcept { return newest_ - 1; }

  /// The next slot towards the newest end, `no_slot` behind the newest.
  [[nodiscard]] static slot_id newer(const slot_links& links, slot_id slot) noexcept { return links[slot].newer - 1; }

  /// The next slot towards the oldest end, `no_slot` before the oldest.
  [[nodiscard]] static slot_id older(const slot_links& links, slot_id slot) noexcept { return links[slot].older - 1; }

  void push_newest(slot_links& links, slot_id slot) noexcept {
    links[slot] = {newest_, 0};
    (newest_ != 0 ? links[newest_ - 1].newer : oldest_) = slot + 1;
    newest_ = slot + 1;
    ++size_;
  }

  void push_oldest(slot_links& links, slot_id slot) noexcept {
    links[slot] = {0, oldest_};
    (oldest_ != 0 ? links[oldest_ - 1].older : newest_) = slot + 1;
    oldest_ = slot + 1;
    ++size_;
  }

  void remove(slot_links& links, slot_id slot) noexcept {
    const slot_link link = links[slot];
    (link.older != 0 ? links[link.older - 1].newer : oldest_) = link.newer;
    (link.newer != 0 ? links[link.newer - 1].older : newest_) = link.older;
    --size_;
  }

  /// Takes the oldest slot out; `no_slot` when the list is empty.
  slot_id pop_oldest(slot_links& links) noexcept {
    const slot_id slot = oldest();
    if (slot != no_slot) remove(links, slot);
    return slot;
  }

 private:
  std::uint32_t oldest_ = 0;  // plus one, as in slot_link
  std::uint32_t newest_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace banyan::detail
