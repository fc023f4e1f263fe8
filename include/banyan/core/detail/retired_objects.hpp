#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/detail/hazard_records.hpp>

namespace banyan::detail {

/// What an object carries to wait for its reclamation: retiring allocates nothing.
struct retired_node {
  retired_node* next_retired = nullptr;
  const void* retired_address = nullptr;  // what readers publish to protect it
  void (*reclaim_retired)(retired_node&) noexcept = nullptr;

  constexpr retired_node() noexcept = default;
  // A copy of an object is not retired, whatever the original is.
  constexpr retired_node(const retired_node&) noexcept {}
  constexpr retired_node& operator=(const retired_node&) noexcept { return *this; }
};

/// Retired objects of a domain, waiting until no hazard names them.
///
/// They wait in stacks shared by all threads, so that a thread which stops or exits leaves nothing behind: whoever
/// comes to the threshold takes them all. The threshold is max(1000, twice the slots), and a scan can keep at most as
/// many objects as there are slots: each scan frees at least half of what it took. A thread that stops inside a scan
/// keeps what that scan took, and nobody waits for it.
class retired_objects {
 public:
  static constexpr std::size_t least_threshold = 1000;

  constexpr retired_objects() = default;

  /// Hands over one object; true when it is time to reclaim. Lock-free, O(1).
  template <class Barrier>
  bool push(retired_node& node, std::uint32_t stripe, const hazard_records<Barrier>& records) noexcept {
    push_chain(node, node, stripe);
    const std::size_t waiting = waiting_.fetch_add(1, std::memory_order_relaxed) + 1;
    return waiting >= least_threshold && waiting >= 2 * records.slots();
  }

  /// Frees what no hazard names. `self` is the calling thread's record; inside a deleter this does nothing, the outer
  /// call goes on instead. Lock-free apart from the deleters, O(waiting + slots).
  template <class Barrier>
  void reclaim(hazard_record& self, hazard_records<Barrier>& records) noexcept {
    if (self.reclaiming) return;
    self.reclaiming = true;
    do {
      // The count first: a thread stopped between the two lines leaves a longer list to the next, not a stuck count.
      waiting_.store(0, std::memory_order_relaxed);
      table unprotected;
      bool any = false;
      for (auto& each : stacks_) {
        // (2) acquire: pairs with the release in (1).
        retired_node* node = each.head.exchange(nullptr, std::memory_order_acquire);
        any = any || node != nullptr;
        while (node != nullptr) {
          retired_node* const next = node->next_retired;
          unprotected.insert(*node);
          node = next;
        }
      }
      if (!any) break;
      records.synchronize();
      kept protected_ones;
      records.for_each_hazard([&](const void* address) { unprotected.move_out(address, protected_ones); });
      // Back first, for the deleters may take long.
      if (protected_ones.first != nullptr) {
        push_chain(*protected_ones.first, *protected_ones.last, self.position);
        waiting_.fetch_add(protected_ones.count, std::memory_order_relaxed);
      }
      unprotected.reclaim_all();
    } while (waiting_.load(std::memory_order_relaxed) >= least_threshold &&
             waiting_.load(std::memory_order_relaxed) >= 2 * records.slots());
    self.reclaiming = false;
  }

 private:
  static constexpr std::size_t stripes = 8;

  struct alignas(cache_line_size) stack {
    std::atomic<retired_node*> head{nullptr};
  };

  struct kept {
    retired_node* first = nullptr;
    retired_node* last = nullptr;
    std::size_t count = 0;
  };

  // The objects of one scan, chained through their own nodes by address: looking up a hazard allocates nothing.
  class table {
   public:
    void insert(retired_node& node) noexcept {
      retired_node*& chain = bucket(node.retired_address);
      node.next_retired = chain;
      chain = &node;
    }

    void move_out(const void* address, kept& to) noexcept {
      retired_node** link = &bucket(address);
      while (*link != nullptr) {
        retired_node* const node = *link;
        if (node->retired_address != address) {
          link = &node->next_retired;
          continue;
        }
        *link = node->next_retired;
        node->next_retired = to.first;
        to.first = node;
        if (to.last == nullptr) to.last = node;
        ++to.count;
      }
    }

    void reclaim_all() noexcept {
      for (retired_node* node : buckets_) {
        while (node != nullptr) {
          retired_node* const next = node->next_retired;
          node->reclaim_retired(*node);
          node = next;
        }
      }
    }

   private:
    static constexpr unsigned bucket_bits = 8;

    retired_node*& bucket(const void* address) noexcept {
      const std::uint64_t spread = reinterpret_cast<std::uintptr_t>(address) * std::uint64_t{0x9e3779b97f4a7c15};
      return buckets_[static_cast<std::size_t>(spread >> (64 - bucket_bits))];
    }

    std::array<retired_node*, std::size_t{1} << bucket_bits> buckets_{};
  };

  void push_chain(retired_node& first, retired_node& last, std::uint32_t stripe) noexcept {
    std::atomic<retired_node*>& head = stacks_[stripe % stripes].head;
    retired_node* old = head.load(std::memory_order_relaxed);
    do {
      last.next_retired = old;
      // (1) release: pairs with the acquire in (2). Nobody pops single nodes, so there is no ABA.
    } while (!head.compare_exchange_weak(old, &first, std::memory_order_release, std::memory_order_relaxed));
  }

  std::array<stack, stripes> stacks_{};
  alignas(cache_line_size) std::atomic<std::size_t> waiting_{0};
};

}  // namespace banyan::detail
