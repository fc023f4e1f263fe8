#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <banyan/cache/detail/cache_node.hpp>
#include <banyan/cache/detail/eviction_order.hpp>
#include <banyan/cache/detail/hash_chains.hpp>
#include <banyan/cache/detail/node_store.hpp>
#include <banyan/cache/detail/slot_table.hpp>
#include <banyan/cache/detail/stripes.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/cache/removal_cause.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/zeroed_array.hpp>

namespace banyan::detail {

/// How a table tells its cache of an entry that has left.
template <class Cache>
struct removal_report {
  Cache* cache;
  template <class Node, class Stripe>
  void operator()(const Node& node, removal_cause cause, Stripe& mine) const noexcept {
    cache->notify(node.key(), node.value(), cause, mine);
  }
};

/// Sizes of a table, checked by the cache.
struct table_limits {
  std::uint64_t capacity = 0;  ///< total weight
  std::uint32_t entries = 0;   ///< most entries
  std::uint64_t seed = 0;
};

/// The entries of a cache: nodes in hash chains, one slot each, kept within a total weight by the policy. It knows
/// nothing of hashing, clocks and loading; `Removed` is told of each entry that has left: `removed(node, cause)`, by
/// the thread that removed it, while the node is still protected; it must not throw.
///
/// **Keeping to the capacity.** `weight_` counts what has been paid for. Whoever links an entry owes its weight, and
/// pays by adding it to `weight_` where there is room, else by evicting entries until they weigh as much; so a full
/// cache of equal weights never writes to the shared count. A put returns when its debt is paid: the excess is at most
/// one entry for each thread inside a put.
template <class Node, eviction_policy Policy, class Removed>
class entry_table {
 public:
  using local_stripe = stripe<typename Policy::local>;
  using store = node_store<Node, hazard_domain>;
  using chains = hash_chains<const store>;
  using position = typename chains::position;
  using order = eviction_order<Policy>;

  /// What a write works with, from its search to its last eviction: two hazards for walking, and one that stays on the
  /// node at which the search began. A write takes them before it changes anything, so that no step after that needs
  /// memory.
  using write_hazards = hazard_slots<3>;

  static constexpr std::uint32_t most_entries = std::uint32_t{1} << 27;

  entry_table(const table_limits& limits, Removed removed)
      : capacity_{static_cast<std::int64_t>(limits.capacity)},
        entry_limit_{limits.entries},
        counts_entries_{limits.entries < limits.capacity},
        removed_{std::move(removed)},
        head_words_{limits.entries + limits.entries / 4 + 1},
        node_words_{limits.entries + stripe_count * store::nodes_per_thread, limits.entries},
        extras_{node_words_.size()},
        stripes_{stripe_count},
        slot_hashes_{limits.entries + 2 * stripe_count},
        slot_links_{slot_hashes_.size()},
        order_flags_{order::flag_count(limits.entries + 2 * stripe_count)},
        order_list_{order::list_count(limits.entries + 2 * stripe_count)},
        nodes_{node_words_.data(), static_cast<std::uint32_t>(node_words_.size()), domain_},
        chains_{head_words_.data(), static_cast<std::uint32_t>(head_words_.size()), nodes_},
        slots_{slot_hashes_, slot_links_},
        order_{policy_limits{
                   .slots = slots_.size(), .entries = limits.entries, .seed = limits.seed, .hashes = slots_.hashes()},
               order_flags_, order_list_} {}

  entry_table(const entry_table&) = delete;
  entry_table& operator=(const entry_table&) = delete;

  /// No other thread is inside. Payloads are destroyed, linked or still waiting for their readers.
  ~entry_table() {
    if constexpr (!std::is_trivially_destructible_v<typename Node::payload_type>) {
      if (nodes_.high_water() == 0) return;  // never used
      // Emptied first: a payload's destructor may still come in through the cache's own operations.
      for (std::atomic<chain_link>& head : head_words_) destroy_chain(head.exchange(0, std::memory_order_relaxed));
      for (std::uint32_t i = 0; i < in_use(); ++i) {
        while (const chain_link retired = std::exchange(stripes_[i].retired_nodes, 0)) destroy_chain(retired);
      }
    }
  }

  /// What an operation of this thread works with; the stripe is given back at the end if it was borrowed.
  class access {
   public:
    access(entry_table& table, hazard_domain::thread_record& record) noexcept {
      const std::uint32_t index = record.index();
      if (index < exclusive_stripes) [[likely]] {
        mine_ = &table.stripes_[index];
        if (index >= table.in_use_.load(std::memory_order_relaxed)) [[unlikely]]
          table.raise_in_use(index + 1);
      } else {
        borrow(table, index);
      }
    }
    access(const access&) = delete;
    access& operator=(const access&) = delete;
    ~access() {
      if (borrowed_) mine_->borrowed.store(0, std::memory_order_release);  // pairs with the acquire in borrow
    }

    local_stripe& operator*() const noexcept { return *mine_; }
    local_stripe* operator->() const noexcept { return mine_; }

   private:
    // More threads at once than there are stripes of their own: the rest share some, and wait while all are borrowed.
    void borrow(entry_table& table, std::uint32_t index) noexcept {
      table.raise_in_use(stripe_count);
      for (std::uint32_t i = index;; ++i) {
        mine_ = &table.stripes_[exclusive_stripes + i % borrowed_stripes];
        // acquire: pairs with the release in the destructor: the stripe as its last user left it.
        if (mine_->borrowed.exchange(1, std::memory_order_acquire) == 0) break;
      }
      borrowed_ = true;
    }

    local_stripe* mine_ = nullptr;
    bool borrowed_ = false;
  };

  [[nodiscard]] hazard_domain& domain() const noexcept { return domain_; }
  [[nodiscard]] Policy& policy() noexcept { return order_.policy(); }
  [[nodiscard]] const Node& node(const position& at) const noexcept { return nodes_[at.node()]; }
  [[nodiscard]] cache_node_extras& extras(const position& at) noexcept { return extras_[at.node()]; }
  [[nodiscard]] std::uint64_t weight() const noexcept {
    const std::int64_t weight = weight_.load(std::memory_order_relaxed);  // a statistic
    return weight < 0 ? 0 : static_cast<std::uint64_t>(weight);
  }
  [[nodiscard]] std::uint32_t slot_limit() const noexcept { return slots_.high_water(); }
  [[nodiscard]] std::uint32_t slot_hash(slot_id slot) const noexcept { return slots_.hash(slot); }

  // The stripes, for sums.
  [[nodiscard]] std::uint32_t in_use() const noexcept { return in_use_.load(std::memory_order_relaxed); }
  [[nodiscard]] local_stripe& operator[](std::uint32_t i) noexcept { return stripes_[i]; }
  [[nodiscard]] const local_stripe& operator[](std::uint32_t i) const noexcept { return stripes_[i]; }

  void prefetch(std::uint32_t hash) const noexcept { prefetch_address(&chains_.head(hash)); }

  /// Called when a lookup has missed, since a put and hence an eviction is likely to follow: brings in the entry that
  /// this thread is likely to evict next, whose chain's head `look_ahead` has brought in at the last put. An eviction
  /// is a row of cold memory accesses, each of which needs the one before.
  void prefetch_upcoming(const local_stripe& mine) const noexcept {
    if constexpr (looks_ahead) {
      const chain_link link = chains_.head(mine.upcoming_hash).load(std::memory_order_relaxed);  // only to prefetch
      if (link != 0) prefetch_address(nodes_.address(link - 1));
    }
  }

  /// Finds the entry for which `match(node)` holds. `hazards` has two slots, or three where an insert may follow.
  template <bool ForInsert, class Hazards, class Match>
  position find(std::uint32_t hash, Hazards& hazards, local_stripe& mine, Match&& match) {
    return chains_.template find<ForInsert>(
        hash, hazards, [&](std::uint32_t i) { return match(static_cast<const Node&>(nodes_[i])); },
        [&](std::uint32_t i) { nodes_.retire(i, mine); });
  }

  /// Finds the entry in a slot.
  template <class Hazards>
  position find_slot(slot_id slot, std::uint32_t hash, Hazards& hazards, local_stripe& mine) {
    return find<false>(hash, hazards, mine, [slot](const Node& node) {
      return (node.place.load(std::memory_order_relaxed) & slot_mask) == slot;  // set before the node was published
    });
  }

  // ---- a new entry, step by step -----------------------------------------------------------------------------------

  /// An entry on its way in. What was not linked is taken back at the end, also when something throws. The first two of
  /// the hazards are used anew wherever entries have to be evicted: a position found before is then good for `insert`
  /// only.
  class newcomer {
   public:
    newcomer(entry_table& table, local_stripe& mine, std::uint32_t hash, write_hazards& hazards) noexcept
        : table_{table}, mine_{mine}, hazards_{hazards}, hash_{hash}, node_{table.take_node(mine, hazards)} {}
    newcomer(const newcomer&) = delete;
    newcomer& operator=(const newcomer&) = delete;
    ~newcomer() {
      if (slot_ != no_slot) table_.order_.abandon(slot_, table_.slots_, mine_);
      if (node_ == store::none) return;
      if (constructed_) table_.nodes_[node_].destroy();
      table_.nodes_.give_back(node_, mine_);
    }

    /// False when no node was to be had: every one is in use or protected by a stalled reader.
    explicit operator bool() const noexcept { return node_ != store::none; }

    template <class K, class V>
    void construct(K&& key, V&& value) {
      table_.nodes_[node_].construct(hash_, std::forward<K>(key), std::forward<V>(value));
      constructed_ = true;
    }

    /// Before linking, and after `construct`.
    void set_extras(std::uint64_t weight, std::optional<std::pair<std::int64_t, std::int64_t>> deadlines) noexcept {
      weight_ = weight;
      bits_ = (weight != 1 ? weighted_bit : 0) | (deadlines ? timed_bit : 0);
      if (bits_ == 0) return;
      cache_node_extras& extras = table_.extras_[node_];
      extras.weight = weight;
      extras.deadline = deadlines ? deadlines->first : cache_node_extras::never;
      extras.idle_deadline.store(deadlines ? deadlines->second : cache_node_extras::never, std::memory_order_relaxed);
    }

    [[nodiscard]] const Node& node() const noexcept { return table_.nodes_[node_]; }
    [[nodiscard]] std::uint64_t weight() const noexcept { return weight_; }

    enum class step { done, again, no_room };

    /// Links the entry where a search with three hazards has missed its key. When done, `settle` is to follow.
    step insert(const position& missed, bool tentative = false) noexcept {
      if (slot_ == no_slot) {
        slot_ = table_.take_slot(mine_, hazards_);
        if (slot_ == no_slot) return step::no_room;
      }
      table_.slots_.set_hash(slot_, hash_);
      table_.order_.prepare(slot_, hash_, mine_);
      table_.nodes_[node_].place.store(slot_ | bits_ | (tentative ? tentative_bit : 0), std::memory_order_relaxed);
      if (!table_.chains_.insert(hash_, missed, node_)) return step::again;
      linked_ = std::exchange(node_, store::none);
      admitted_ = std::exchange(slot_, no_slot);
      if (!tentative) mine_.entered.add();
      return step::done;
    }

    /// Takes the place of the entry found, if that is still there.
    bool replace(const position& at) noexcept {
      Node& old = table_.nodes_[at.node()];
      const std::uint32_t old_place = old.place.load(std::memory_order_relaxed);
      const slot_id slot = old_place & slot_mask;
      table_.nodes_[node_].place.store(slot | bits_, std::memory_order_relaxed);
      if (!table_.chains_.replace(at, node_)) return false;
      node_ = store::none;
      table_.order_.policy().touch(slot, hash_, mine_.policy);
      mine_.entered.add();
      const std::uint64_t old_weight = table_.leave(at, hash_, removal_cause::replaced, mine_, slot_fate::handed_on);
      owed_ = static_cast<std::int64_t>(weight_) - static_cast<std::int64_t>(old_weight);
      replaced_ = slot;
      return true;
    }

    /// Pays for what was linked: evicts as much as the cache is over its capacity. Uses the hazards anew.
    void settle() noexcept {
      if (admitted_ != no_slot) {
        table_.admit(admitted_, hash_, static_cast<std::int64_t>(weight_), mine_, hazards_);
      } else if (owed_ != 0) {
        table_.pay(owed_, replaced_, no_slot, mine_, hazards_);
      }
    }

    /// The linked node, for `commit` and `withdraw`; protected if its address was published before it was linked.
    [[nodiscard]] std::uint32_t linked() const noexcept { return linked_; }

   private:
    entry_table& table_;
    local_stripe& mine_;
    write_hazards& hazards_;
    std::uint32_t hash_;
    std::uint32_t node_;
    std::uint32_t linked_ = store::none;
    std::uint32_t bits_ = 0;
    slot_id slot_ = no_slot;
    slot_id admitted_ = no_slot;
    slot_id replaced_ = no_slot;
    std::int64_t owed_ = 0;
    std::uint64_t weight_ = 1;
    bool constructed_ = false;
  };

  /// Lets a tentative entry count, while the caller still protects it. False when it was removed before.
  bool commit(std::uint32_t node, local_stripe& mine) noexcept {
    // acq_rel: the one modification order of `place` decides between this and `leave`.
    const std::uint32_t before = nodes_[node].place.fetch_and(~tentative_bit, std::memory_order_acq_rel);
    if ((before & gone_bit) != 0) return false;
    mine.entered.add();
    return true;
  }

  /// Removes a tentative entry that was linked by this thread, unless it has been removed since. The caller protects
  /// its node by a hazard other than those.
  void withdraw(std::uint32_t node, std::uint32_t hash, local_stripe& mine, write_hazards& hazards) noexcept {
    for (;;) {
      const position at = find<false>(hash, hazards, mine, [&](const Node& other) { return &other == &nodes_[node]; });
      if (!at.found() || remove(at, hash, removal_cause::erased, mine)) return;
    }
  }

  // ---- an entry that leaves ----------------------------------------------------------------------------------------

  /// Removes the entry found: true for the one caller that did. Its weight is given back.
  bool remove(const position& at, std::uint32_t hash, removal_cause cause, local_stripe& mine) {
    if (!chains_.remove(at)) return false;
    add_weight(-static_cast<std::int64_t>(leave(at, hash, cause, mine)));
    return true;
  }

  /// Makes room for an entry that has been linked.
  void admit(slot_id slot, std::uint32_t hash, std::int64_t weight, local_stripe& mine,
             write_hazards& hazards) noexcept {
    const bool full = weight_.load(std::memory_order_relaxed) + weight > capacity_;  // a guess; `pay` decides
    const slot_id leaving = order_.admit(slot, hash, full, slots_, *this, mine);
    pay(weight, slot, leaving, mine, hazards);
    if (full) look_ahead(mine);
    if (counts_entries_ && entries_.fetch_add(1, std::memory_order_relaxed) + 1 > entry_limit_) {
      for (std::uint32_t failures = 0; failures < tries_for_victim + slots_.high_water(); ++failures) {
        const slot_id other = victim(failures, slot, mine);
        if (other == no_slot) continue;
        const std::uint64_t freed = evict(other, mine, hazards);
        add_weight(-static_cast<std::int64_t>(freed));
        if (freed != 0) break;
      }
    }
  }

 private:
  friend class newcomer;

  static constexpr std::uint32_t tries_for_victim = 32;
  static constexpr bool looks_ahead = requires(Policy & policy, typename Policy::local& local) {
    policy.upcoming(std::uint32_t{}, local);
  };

  static void prefetch_address(const void* address) noexcept {
#if defined(__GNUC__)
    __builtin_prefetch(address);
#else
    (void)address;
#endif
  }

  void look_ahead(local_stripe& mine) noexcept {
    if constexpr (looks_ahead) {
      const slot_id next = order_.policy().upcoming(slots_.high_water(), mine.policy);
      if (next == no_slot) return;
      mine.upcoming_hash = slots_.hash(next);
      prefetch(mine.upcoming_hash);
    }
  }

  enum class slot_fate { vacated, handed_on };

  // Gives back the slot, counts, tells, and sees to it that the removed node gets unlinked. Returns its weight. The
  // node stays protected by the caller's hazards all the while.
  std::uint64_t leave(const position& at, std::uint32_t hash, removal_cause cause, local_stripe& mine,
                      slot_fate fate = slot_fate::vacated) noexcept {
    Node& node = nodes_[at.node()];
    std::uint32_t place = node.place.load(std::memory_order_relaxed);
    const std::uint64_t weight = (place & weighted_bit) != 0 ? extras_[at.node()].weight : 1;
    if (chains_.unlink(at)) {
      nodes_.retire(at.node(), mine);
    } else if (hazard_slots<2> hazards{std::nothrow, domain_}; hazards) {
      find<false>(hash, hazards, mine, [](const Node&) { return false; });
    }  // else memory is out: the next search over this chain unlinks it
    // A load's entry counts as one that was here only if the load committed it before it was removed.
    if ((place & tentative_bit) != 0) place = node.place.fetch_or(gone_bit, std::memory_order_acq_rel);
    const bool was_here = (place & tentative_bit) == 0;
    if (fate == slot_fate::vacated) {
      order_.vacate(place & slot_mask, slots_, mine);
      if (counts_entries_) entries_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (was_here) {
      mine.left.add();
      if (cause == removal_cause::evicted) mine.evictions.add();
      if (cause == removal_cause::expired) mine.expirations.add();
      removed_(static_cast<const Node&>(node), cause, mine);
    }
    return weight;
  }

  std::uint64_t evict(slot_id slot, local_stripe& mine, write_hazards& hazards) noexcept {
    const std::uint32_t hash = slots_.hash(slot);
    for (;;) {
      const position at = find_slot(slot, hash, hazards, mine);
      if (!at.found()) return 0;
      if (chains_.remove(at)) return leave(at, hash, removal_cause::evicted, mine);
    }
  }

  void add_weight(std::int64_t weight) noexcept {
    if (weight != 0) weight_.fetch_add(weight, std::memory_order_relaxed);  // a count: publishes nothing
  }

  // Whom to evict after so many names that led to no entry. The policy may go on naming what stopped threads are in
  // the middle of, so in the end every slot but `keep` is tried once: an entry that is linked is found there.
  slot_id victim(std::uint32_t failures, slot_id keep, local_stripe& mine) noexcept {
    if (failures < tries_for_victim) return order_.victim(keep, slots_, mine);
    const slot_id slot = (keep + 1 + (failures - tries_for_victim)) % slots_.high_water();
    return slot == keep ? no_slot : slot;
  }

  // Settles a debt: by adding it to what is paid where there is room, else by evicting, `leaving` first.
  void pay(std::int64_t debt, slot_id keep, slot_id leaving, local_stripe& mine, write_hazards& hazards) noexcept {
    for (std::uint32_t failures = 0; failures < tries_for_victim + slots_.high_water();) {
      if (leaving == no_slot) {
        std::int64_t paid = weight_.load(std::memory_order_relaxed);
        const bool room = paid + debt <= capacity_;
        if (room || paid > capacity_) {
          // Room for it; or else an excess that somebody gave up: take it over.
          if (!weight_.compare_exchange_weak(paid, room ? paid + debt : capacity_, std::memory_order_relaxed)) continue;
          if (room) return;
          debt += paid - capacity_;
        }
        leaving = victim(failures, keep, mine);
      }
      const std::uint64_t freed = leaving == no_slot ? 0 : evict(std::exchange(leaving, no_slot), mine, hazards);
      if (freed == 0) {
        ++failures;
        continue;
      }
      failures = 0;
      debt -= static_cast<std::int64_t>(freed);
      if (debt <= 0) break;
    }
    add_weight(debt);
  }

  slot_id take_slot(local_stripe& mine, write_hazards& hazards) noexcept {
    for (std::uint32_t i = 0; i < tries_for_victim; ++i) {
      slot_id occupied = no_slot;
      const slot_id slot = order_.take(slots_, mine, occupied);
      if (slot != no_slot) return slot;
      make_way(occupied, mine, hazards);
    }
    return no_slot;
  }

  std::uint32_t take_node(local_stripe& mine, write_hazards& hazards) noexcept {
    for (std::uint32_t i = 0; i < tries_for_victim; ++i) {
      const std::uint32_t node = nodes_.take(mine);
      if (node != store::none) return node;
      make_way(no_slot, mine, hazards);
    }
    return store::none;
  }

  void make_way(slot_id slot, local_stripe& mine, write_hazards& hazards) noexcept {
    if (slot == no_slot) slot = order_.victim(no_slot, slots_, mine);
    if (slot != no_slot) add_weight(-static_cast<std::int64_t>(evict(slot, mine, hazards)));
  }

  void raise_in_use(std::uint32_t count) noexcept {
    std::uint32_t known = in_use_.load(std::memory_order_relaxed);
    while (known < count && !in_use_.compare_exchange_weak(known, count, std::memory_order_relaxed)) {
    }
  }

  void destroy_chain(chain_link link) noexcept {
    while ((link &= ~removed_mark) != 0) {
      Node& node = nodes_[link - 1];
      link = node.next.load(std::memory_order_relaxed);
      node.destroy();
    }
  }

  hazard_domain& domain_ = hazard_domain::global();
  std::int64_t capacity_;
  std::int64_t entry_limit_;
  bool counts_entries_;
  Removed removed_;
  zeroed_array<std::atomic<chain_link>> head_words_;
  zeroed_array<Node> node_words_;
  zeroed_array<cache_node_extras> extras_;
  zeroed_array<local_stripe> stripes_;
  zeroed_array<std::atomic<std::uint32_t>> slot_hashes_;
  zeroed_array<std::atomic<std::uint32_t>> slot_links_;
  zeroed_array<std::atomic<std::uint8_t>> order_flags_;
  zeroed_array<std::uint8_t> order_list_;
  store nodes_;
  chains chains_;
  slot_table slots_;
  order order_;
  alignas(64) std::atomic<std::int64_t> weight_{0};
  alignas(64) std::atomic<std::int64_t> entries_{0};
  std::atomic<std::uint32_t> in_use_{0};
};

}  // namespace banyan::detail
