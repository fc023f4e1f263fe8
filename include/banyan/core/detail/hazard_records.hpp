#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include <banyan/core/cache_line.hpp>

namespace banyan::detail {

/// One published address, 0 when free.
using hazard_slot = std::atomic<std::uintptr_t>;

/// The hazard slots of one thread. Its first cache line is written by the owner on every protected read and read by
/// whoever scans; the second belongs to the owner, apart from `returned`, `owned` and `next`.
struct alignas(2 * cache_line_size) hazard_record {
  static constexpr std::uint32_t slot_count = 8;
  static constexpr std::uint32_t all_slots = (1U << slot_count) - 1;

  std::array<hazard_slot, slot_count> slots{};

  // One bit per slot in use. Only the owner touches it; atomic so that a signal handler of the owner may nest scopes.
  alignas(cache_line_size) std::atomic<std::uint32_t> used{0};
  std::atomic<std::uint32_t> returned{0};  // bits of `used` that other threads gave back
  std::atomic<std::uint32_t> meeting{0};   // where reader and scan meet without an asymmetric barrier
  std::atomic<bool> owned{true};
  bool reclaiming = false;     // owner only: inside reclaim(), so nested retire() only pushes
  std::uint32_t position = 0;  // fixed once the record is in the list
  std::atomic<hazard_record*> next{nullptr};
  const void* domain = nullptr;             // owner only
  hazard_record* next_of_thread = nullptr;  // owner only: this thread's records in other domains

  /// Small, dense number, exclusive to the owning thread while it lives, used again afterwards. Wait-free.
  [[nodiscard]] std::uint32_t index() const noexcept { return position; }

  /// Takes in what other threads gave back. Owner only, wait-free.
  void collect_returned() noexcept {
    // (6) acquire: pairs with the release in (5), whose thread has cleared the slot before.
    const std::uint32_t back = returned.exchange(0, std::memory_order_acquire);
    used.store(used.load(std::memory_order_relaxed) & ~back, std::memory_order_relaxed);
  }

  /// Gives a slot back from a thread that does not own the record. Wait-free.
  void give_back_from_elsewhere(std::uint32_t slot) noexcept {
    // (5) release: pairs with the acquire in (6).
    returned.fetch_or(1U << slot, std::memory_order_release);
  }
};
static_assert(sizeof(hazard_record) == 2 * cache_line_size);
static_assert(offsetof(hazard_record, slots) == 0 && offsetof(hazard_record, used) == cache_line_size);

/// A slot for threads that hold more hazards than their record has.
struct overflow_slot {
  hazard_slot slot{0};  // first: the node is found back from the address of its slot
  std::atomic<std::uint32_t> meeting{0};
  std::atomic<bool> owned{true};
  std::uint32_t position = 0;
  std::atomic<overflow_slot*> next{nullptr};
};
static_assert(offsetof(overflow_slot, slot) == 0);

/// A list that only grows, at its end; nodes are taken and given back through their `owned` flag and never freed.
/// Nodes count up from 0, and the lowest free one is taken first, so numbers stay dense.
template <class Node>
class growing_list {
 public:
  constexpr growing_list() = default;

  /// Takes a free node or appends one; null when memory is out. `grown` tells which. Lock-free, O(nodes).
  Node* take(bool& grown) noexcept {
    grown = false;
    // (7) acquire: pairs with the release half of (8), which published the node.
    for (Node* node = head_.load(std::memory_order_acquire); node != nullptr;
         node = node->next.load(std::memory_order_acquire)) {
      if (node->owned.load(std::memory_order_relaxed)) continue;
      // (9) acquire: pairs with the release in (10); the former owner's plain fields are ours now.
      if (!node->owned.exchange(true, std::memory_order_acquire)) return node;
    }
    Node* node = new (std::nothrow) Node;
    if (node == nullptr) return nullptr;
    grown = true;
    std::atomic<Node*>* link = &head_;
    for (;;) {
      Node* found = link->load(std::memory_order_acquire);  // as (7)
      // (8) release: pairs with (7). acquire: pairs with the release half of (11), so that a node which a barrier did
      // not meet comes into use only where everything before that barrier is visible.
      if (found == nullptr &&
          link->compare_exchange_strong(found, node, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return node;
      }
      node->position = found->position + 1;
      link = &found->next;
    }
  }

  /// Wait-free, O(1).
  static void give_back(Node& node) noexcept {
    node.owned.store(false, std::memory_order_release);  // (10) release: pairs with the acquire in (9)
  }

  template <class F>
  void for_each(F f) const {
    // as (7)
    for (const Node* node = head_.load(std::memory_order_acquire); node != nullptr;
         node = node->next.load(std::memory_order_acquire)) {
      f(*node);
    }
  }

  /// Visits every node, and makes sure that one appended after the visit is ordered after it.
  template <class F>
  void for_each_to_the_end(F f) noexcept {
    std::atomic<Node*>* link = &head_;
    for (;;) {
      Node* node = link->load(std::memory_order_acquire);  // as (7)
      // (11) release: pairs with the acquire half of (8). Writing the null back is what an appender then reads from.
      if (node == nullptr &&
          link->compare_exchange_strong(node, nullptr, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return;
      }
      f(*node);
      link = &node->next;
    }
  }

 private:
  std::atomic<Node*> head_{nullptr};
};

/// What `source` points to, protected: `publish(p)` announces it, and it was still there afterwards. Lock-free: each
/// repetition means that somebody changed `source`.
template <class T, class Publish>
[[nodiscard]] T* load_protected(const std::atomic<T*>& source, Publish publish) noexcept {
  T* seen = source.load(std::memory_order_relaxed);
  for (;;) {
    publish(seen);
    T* const again = source.load(std::memory_order_acquire);  // pairs with the release by which the writer put it there
    if (again == seen) return seen;
    seen = again;
  }
}

/// The barrier of a domain that has no help from the operating system.
struct symmetric_barrier {
  [[nodiscard]] static constexpr bool light() noexcept { return false; }
  static void heavy() noexcept {}
};

/// The records of a hazard pointer domain: who may use which slot, publishing, and the scan.
///
/// `Barrier::light()` says whether readers may rely on `Barrier::heavy()`, a barrier on all threads of the process. If
/// not, readers and the scan meet in read-modify-writes on one word of the record: in its modification order either the
/// reader comes first and the scan sees its hazard, or the scan comes first and the reader synchronizes with it and so
/// sees that the object was unlinked. That argument needs no sequential consistency and no fence.
///
/// Source: M. Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects", IEEE TPDS 15(6), 2004; the
/// asymmetric form after D. Goldblatt, "Asymmetric fences", WG21 P1202.
template <class Barrier>
class hazard_records {
 public:
  constexpr hazard_records() = default;
  constexpr explicit hazard_records(const Barrier& barrier) noexcept : barrier_{barrier} {}

  /// A record for the calling thread, or null when memory is out. Lock-free, O(records).
  hazard_record* take_record() noexcept {
    bool grown = false;
    hazard_record* record = records_.take(grown);
    if (grown) slots_.fetch_add(hazard_record::slot_count, std::memory_order_relaxed);
    return record;
  }

  /// Gives the thread's record to a later thread. Slots still in use stay so until somebody gives them back. Wait-free.
  static void give_back_record(hazard_record& record) noexcept { growing_list<hazard_record>::give_back(record); }

  /// A slot outside any record, or null when memory is out. Lock-free, O(overflow slots).
  hazard_slot* take_overflow() noexcept {
    bool grown = false;
    overflow_slot* node = overflow_.take(grown);
    if (grown) slots_.fetch_add(1, std::memory_order_relaxed);
    return node == nullptr ? nullptr : &node->slot;
  }

  /// Any thread may do it. Wait-free.
  static void give_back_overflow(hazard_slot& slot) noexcept {
    growing_list<overflow_slot>::give_back(overflow_of(slot));
  }

  /// `hazard_record::slot_count` slots side by side outside any thread's record, for a scope that finds no room there;
  /// null when memory is out. Lock-free, O(overflow scopes).
  hazard_slot* take_overflow_scope() noexcept {
    bool grown = false;
    hazard_record* record = overflow_scopes_.take(grown);
    if (grown) slots_.fetch_add(hazard_record::slot_count, std::memory_order_relaxed);
    return record == nullptr ? nullptr : record->slots.data();
  }

  /// Wait-free.
  static void give_back_overflow_scope(hazard_slot& first_slot) noexcept {
    growing_list<hazard_record>::give_back(*reinterpret_cast<hazard_record*>(&first_slot));
  }

  /// The meeting word of an overflow slot. Wait-free.
  static std::atomic<std::uint32_t>& meeting_of(hazard_slot& slot) noexcept { return overflow_of(slot).meeting; }

  /// Announces that the calling thread is about to use `address`. It must then load the source again (acquire) and may
  /// use the object only if it is still there. `meeting` is the word of any record of the domain, its own in
  /// preference. Wait-free.
  void publish(hazard_slot& slot, std::atomic<std::uint32_t>& meeting, const void* address) noexcept {
    // (1) release: pairs with (2), also when it replaces an older hazard, whose last use must come before.
    slot.store(reinterpret_cast<std::uintptr_t>(address), std::memory_order_release);
    meet(meeting);
  }

  /// What stands between the store and the load of `publish`, on its own: the partner of `synchronize`. Of a store
  /// before `meet` and a load after it in one thread, and a store before `synchronize` and a load after it in another,
  /// at least one load sees the other thread's store. `meeting` as in `publish`. Wait-free.
  void meet(std::atomic<std::uint32_t>& meeting) noexcept {
    if (barrier_.light()) {
      std::atomic_signal_fence(std::memory_order_seq_cst);  // heavy() turns this compiler barrier into a full one
    } else {
      // (3) release, acquire: pairs with (4). Only read-modify-writes touch this word, so each reads from the one
      // before it and synchronizes with all before it.
      meeting.fetch_add(1, std::memory_order_acq_rel);
    }
  }

  /// Wait-free.
  static void clear(hazard_slot& slot) noexcept {
    slot.store(0, std::memory_order_release);  // (1) release: pairs with (2): our last use of the object comes before
  }

  /// Afterwards `for_each_hazard` sees each hazard whose owner, loading the source again, did not yet see what the
  /// caller did before. Lock-free, O(slots) or one system call.
  void synchronize() noexcept {
    if (barrier_.light()) {
      barrier_.heavy();
      return;
    }
    // (4) release, acquire: pairs with (3).
    const auto meet = [](auto& node) { node.meeting.fetch_add(1, std::memory_order_acq_rel); };
    records_.for_each_to_the_end(meet);
    overflow_scopes_.for_each_to_the_end(meet);
    overflow_.for_each_to_the_end(meet);
  }

  /// Calls `f(const void*)` for each published address. Lock-free, O(slots).
  template <class F>
  void for_each_hazard(F f) const {
    // (2) acquire: pairs with the release in (1). Not seeing an address means its last use happened before.
    const auto look = [&f](const hazard_slot& slot) {
      const std::uintptr_t value = slot.load(std::memory_order_acquire);
      if (value != 0) f(reinterpret_cast<const void*>(value));
    };
    const auto look_at_all = [&look](const hazard_record& record) {
      for (const hazard_slot& slot : record.slots) look(slot);
    };
    records_.for_each(look_at_all);
    overflow_scopes_.for_each(look_at_all);
    overflow_.for_each([&look](const overflow_slot& overflow) { look(overflow.slot); });
  }

  /// How many slots there are; grows with the largest number of threads alive at once. Wait-free.
  [[nodiscard]] std::size_t slots() const noexcept { return slots_.load(std::memory_order_relaxed); }

  [[nodiscard]] Barrier& barrier() noexcept { return barrier_; }
  [[nodiscard]] const Barrier& barrier() const noexcept { return barrier_; }

 private:
  static overflow_slot& overflow_of(hazard_slot& slot) noexcept { return *reinterpret_cast<overflow_slot*>(&slot); }

  [[no_unique_address]] Barrier barrier_;
  growing_list<hazard_record> records_;
  growing_list<hazard_record> overflow_scopes_;
  growing_list<overflow_slot> overflow_;
  std::atomic<std::size_t> slots_{0};
};

}  // namespace banyan::detail
