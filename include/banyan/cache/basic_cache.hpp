#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <limits>
#include <new>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/cache/cache_options.hpp>
#include <banyan/cache/cache_stats.hpp>
#include <banyan/cache/detail/cache_node.hpp>
#include <banyan/cache/detail/entry_table.hpp>
#include <banyan/cache/detail/expiry_times.hpp>
#include <banyan/cache/detail/key_lookup.hpp>
#include <banyan/cache/detail/load_flights.hpp>
#include <banyan/cache/detail/options_check.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/cache/removal_cause.hpp>
#include <banyan/core/hash.hpp>
#include <banyan/core/hazard_domain.hpp>

namespace banyan {

/// A bounded, concurrent map from keys to values that evicts by `Policy` to stay within its capacity.
///
///     banyan::lru_cache<std::string, page> pages{{.capacity = 10'000}};
///     page p = pages.get_or_load("/index", [&](const std::string& path) { return render(path); });
///
/// **How it works.** Entries are immutable nodes in lock-free hash chains; a new value is a new node. Readers protect
/// a node by a hazard pointer, so neither values nor nodes carry a reference count. Policies are told of a hit by at
/// most one store to the entry's own mark. See docs/cache.md for the drawing.
///
/// **Threads.** All members may be called by any threads at the same time, also from within a loader, a listener or a
/// `visit`; only construction and destruction are exclusive. The operations on one key are linearizable, except that
/// an eviction or an expiry may remove a key at any time.
///
/// **Progress.** Everything is lock-free in the strict sense, except `get_or_load`, which blocks callers that wait for
/// the same key's load. The caller's code (hash, equality, copies, callbacks) runs in no lock. Lookups write to nothing
/// that another thread writes. Memory for the nodes is reserved at construction; an operation allocates only what the
/// key and value types themselves do. While any threads are stopped anywhere, the others keep to the capacity plus at
/// most one entry for each thread inside a put. More than 1024 threads inside one cache at a time share 64 further
/// working areas, and may wait for those.
///
/// **Lookups by another type** (`std::string_view` for `std::string`) need no temporary key when `Hash` and `Equal` are
/// transparent, as the defaults are.
///
/// **Time.** The trailing `now` of an operation is the clock's time when left out, and the clock is then read only
/// where an entry has a deadline. A clock that stands still or goes back expires nothing early: time inside one cache
/// never runs backwards for a writer.
///
/// **Exceptions.** What hash, equality, copies, weigher and loader throw reaches the caller, and the cache is as if the
/// call had not been made (a replaced or removed entry stays so). The cache itself throws `std::invalid_argument` at
/// construction, naming the option and the value, and `std::bad_alloc`.
///
/// At destruction the entries are destroyed without telling the listener.
template <class Key, class Value, eviction_policy Policy, class Hash = seeded_hash, class Equal = std::equal_to<>,
          class Clock = std::chrono::steady_clock>
class basic_cache {
 public:
  using key_type = Key;
  using mapped_type = Value;
  using policy_type = Policy;
  using hasher = Hash;
  using key_equal = Equal;
  using clock = Clock;
  using duration = typename Clock::duration;
  using time_point = typename Clock::time_point;
  using options = cache_options<Key, Value, duration>;
  using put_options = entry_options<duration>;

  /// Reserves memory for all entries, committed as they come. Throws `std::invalid_argument` for a capacity of 0, a
  /// ttl that is not positive, a jitter outside [0, 1], or more than 2^27 entries; `std::bad_alloc`.
  explicit basic_cache(options wanted)
      : options_{detail::checked(std::move(wanted))},
        keys_{options_.seed ? *options_.seed : process_seed()},
        expiry_{options_.ttl, options_.idle_ttl, options_.ttl_jitter},
        table_{{.capacity = std::min(options_.capacity, largest_capacity),
                .entries = static_cast<std::uint32_t>(options_.expected_entries),
                .seed = keys_.seed()},
               detail::removal_report<basic_cache>{this}} {}

  basic_cache(const basic_cache&) = delete;
  basic_cache& operator=(const basic_cache&) = delete;

  // ---- lookups -----------------------------------------------------------------------------------------------------

  /// A copy of the key's value; counts as a hit or a miss, and as a use of the entry. Lock-free, O(1) expected.
  template <class K>
  [[nodiscard]] std::optional<Value> get(
      const K& key, std::optional<time_point> now = std::nullopt) requires std::copy_constructible<Value> {
    std::optional<Value> result;
    read(key, now, [&](const Value& value) { result.emplace(value); });
    return result;
  }

  /// Calls `f(value)` if the key is there; the value stays alive and unchanged meanwhile, also when the entry leaves
  /// the cache. Counts as `get` does. Returns whether it was there. Lock-free but for `f`, O(1) expected.
  template <class K, std::invocable<const Value&> F>
  bool visit(const K& key, F&& f, std::optional<time_point> now = std::nullopt) {
    return read(key, now, std::forward<F>(f));
  }

  /// Whether the key is there; changes neither statistics nor the order of eviction. Lock-free, O(1) expected.
  template <class K>
  [[nodiscard]] bool contains(const K& key, std::optional<time_point> now = std::nullopt) {
    return expires_in(key, now).has_value();
  }

  /// Copies of the values of several keys, in the keys' order; overlaps their memory accesses, so it costs less than
  /// as many `get`s. Not atomic over the keys. Lock-free; O(keys); allocates the result.
  template <std::ranges::forward_range Keys>
  [[nodiscard]] std::vector<std::optional<Value>> get_many(
      const Keys& keys, std::optional<time_point> now = std::nullopt) requires std::copy_constructible<Value> {
    for (const auto& key : keys) table_.prefetch(hash_of(as_key(key)));
    std::vector<std::optional<Value>> values;
    values.reserve(static_cast<std::size_t>(std::ranges::distance(keys)));
    for (const auto& key : keys) values.push_back(get(key, now));
    return values;
  }

  /// How long the key stays if nobody touches it; `duration::max()` if it has no deadline, nothing if it is absent.
  /// Changes neither statistics nor the order of eviction. Lock-free, O(1) expected.
  template <class K>
  [[nodiscard]] std::optional<duration> expires_in(const K& key, std::optional<time_point> now = std::nullopt) {
    decltype(auto) wanted = as_key(key);
    const std::uint32_t hash = hash_of(wanted);
    hazard_slots<2> hazards{table_.domain()};
    access mine{table_, hazards.record()};
    const position at = table_.template find<false>(hash, hazards, *mine, matching(wanted, hash));
    if (!at.found()) return std::nullopt;
    const std::uint32_t place = place_of(table_.node(at));
    if ((place & detail::tentative_bit) != 0) return std::nullopt;
    if ((place & detail::timed_bit) == 0) return duration::max();
    return expiry_.left(table_.extras(at).earliest(), expiry_.at(now));
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  /// Puts the value under the key, in place of what was there, and evicts to make room. False if the entry is heavier
  /// than the whole cache or, with no positive ttl, expired at once; the key's old value is gone all the same, and the
  /// listener is told of the new one. A value put is preferred to one that is being loaded. Lock-free, O(1) amortised.
  template <class K, class V = Value>
  bool put(K&& key, V&& value, put_options entry = {}, std::optional<time_point> now = std::nullopt) {
    return write<true>(std::forward<K>(key), std::forward<V>(value), entry, now);
  }

  /// As `put`, if the key is not there. False if it is, or where `put` returns false. A key that is there leaves the
  /// arguments as they were, unless another thread put it in only during the call. Lock-free, O(1) amortised.
  template <class K, class V = Value>
  bool put_if_absent(K&& key, V&& value, put_options entry = {}, std::optional<time_point> now = std::nullopt) {
    return write<false>(std::forward<K>(key), std::forward<V>(value), entry, now);
  }

  /// Replaces the key's value by a function of it, atomically for the key: `f` is given a pointer to the value, null if
  /// absent, and returns an optional: the new value, or nothing to have none. When another thread changes the key
  /// meanwhile, `f` is called again: it should have no effect but its result. Returns the result. Not counted as a hit
  /// or a miss. Lock-free but for `f`, O(1) amortised.
  template <class K, class F>
  requires std::is_invocable_r_v<std::optional<Value>, F&, const Value*> std::optional<Value> compute(
      const K& key, F&& f, put_options wanted = {}, std::optional<time_point> now = std::nullopt) {
    decltype(auto) own_key = as_key(key);
    write_hazards hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    const std::uint32_t hash = hash_of(own_key);
    const ticks time = write_time(wanted, now);
    forget_load(own_key);
    for (;;) {
      newcomer entry{table_, *mine, hash, hazards};
      const position at = table_.template find<true>(hash, hazards, *mine, matching(own_key, hash));
      if (at.found() && expired(at, time)) {
        table_.remove(at, hash, removal_cause::expired, *mine);
        continue;
      }
      std::optional<Value> result = std::invoke(f, stays(at, time) ? &table_.node(at).value() : nullptr);
      if (!result) {
        if (!at.found() || table_.remove(at, hash, removal_cause::erased, *mine)) return result;
        continue;
      }
      if (!entry) {
        if (at.found() && !table_.remove(at, hash, removal_cause::replaced, *mine)) continue;
        mine->rejections.add();
        return result;
      }
      entry.construct(own_key, *result);
      entry_fate fate = judge(entry, wanted, time, *mine);
      if (fate == entry_fate::kept) {
        if (at.found()) {
          if (!entry.replace(at)) continue;
        } else {
          const auto step = entry.insert(at);
          if (step == newcomer::step::again) continue;
          if (step == newcomer::step::no_room) fate = entry_fate::rejected;
        }
      } else if (at.found() && !table_.remove(at, hash, removal_cause::replaced, *mine)) {
        continue;
      }
      if (fate != entry_fate::kept) {
        turn_away(entry, fate, *mine);
        return result;
      }
      entry.settle();
      return result;
    }
  }

  /// The key's value, loaded by `load(key)` if it is absent. Threads that ask for a key while it is being loaded wait
  /// for that load and share its result, or the exception that it throws. Nobody else waits. The loader may use the
  /// cache; if it asks for its own key again, that inner load runs by itself. If the key is put, erased or cleared
  /// during the load, the loaded value is returned but not kept. Blocking only on the same key's load; else lock-free.
  template <class K, class Load>
  requires std::copy_constructible<Value> && std::is_invocable_r_v<Value, Load&, const Key&> Value
  get_or_load(const K& key, Load&& load, put_options wanted = {}, std::optional<time_point> now = std::nullopt) {
    if (std::optional<Value> found = get(key, now)) return *std::move(found);
    if constexpr (std::same_as<K, Key>) {
      return load_and_keep(key, load, wanted, now);
    } else {
      return load_and_keep(Key(key), load, wanted, now);
    }
  }

  /// Removes the key. Whether it was there. Lock-free, O(1) expected.
  template <class K>
  bool erase(const K& key, std::optional<time_point> now = std::nullopt) {
    decltype(auto) own_key = as_key(key);
    const std::uint32_t hash = hash_of(own_key);
    write_hazards hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    forget_load(own_key);
    const ticks time = expiry_.in_use() ? expiry_.at(now) : std::numeric_limits<ticks>::min();
    return remove_key(own_key, hash, time, removal_cause::erased, *mine, hazards);
  }

  /// Removes the entries for which `predicate(key, value)` holds; returns how many. Entries that come in meanwhile may
  /// be missed. Lock-free but for the predicate, O(slots).
  template <std::predicate<const Key&, const Value&> Predicate>
  std::size_t erase_if(Predicate predicate) {
    return remove_each(removal_cause::erased, [&](const node& entry) { return predicate(entry.key(), entry.value()); });
  }

  /// Removes all entries that are there when it begins. Lock-free, O(slots).
  void clear() {
    forget_loads();
    // A load that committed just before may not have shown its entry yet: that one goes too.
    remove_each<tentative_entries::included>(removal_cause::cleared, [](const node&) { return true; });
  }

  /// Removes up to `limit` entries whose time has passed; returns how many. Each call goes on where the last one
  /// stopped. Without it, every put looks at two slots, so that an expired entry that nobody asks for leaves by and by.
  /// Lock-free, O(slots).
  std::size_t purge_expired(std::size_t limit = std::numeric_limits<std::size_t>::max(),
                            std::optional<time_point> now = std::nullopt) {
    if (!expiry_.in_use()) return 0;
    write_hazards hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    return sweep(table_.slot_limit(), limit, expiry_.at(now), *mine, hazards);
  }

  // ---- the whole ---------------------------------------------------------------------------------------------------

  /// Calls `f(key, value)` for the entries: each that stays all the while exactly once, others at most once for each
  /// time they come in. Weakly consistent. `f` may use the cache. Lock-free but for `f`, O(slots).
  template <std::invocable<const Key&, const Value&> F>
  void for_each(F f) {
    each_entry([&](const position& at, std::uint32_t, local&) {
      f(table_.node(at).key(), table_.node(at).value());
      return true;
    });
  }

  /// Number of entries, those included whose time has passed but that nobody has removed yet. Exact while no operation
  /// is running. Wait-free, O(threads).
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t entered = sum(&local::entered);  // first: so that entries passing by are not counted twice
    const std::uint64_t entries = entered - sum(&local::left);
    return entries > std::uint64_t{1} << 62 ? 0 : static_cast<std::size_t>(entries);
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// The greatest total weight. Wait-free, O(1).
  [[nodiscard]] std::uint64_t capacity() const noexcept { return options_.capacity; }

  /// What it has done so far. Wait-free, O(threads).
  [[nodiscard]] cache_stats stats() const noexcept {
    return {.hits = sum(&local::hits),
            .misses = sum(&local::misses),
            .loads = sum(&local::loads),
            .load_failures = sum(&local::load_failures),
            .evictions = sum(&local::evictions),
            .expirations = sum(&local::expirations),
            .rejections = sum(&local::rejections),
            .listener_failures = sum(&local::listener_failures),
            .weight = table_.weight()};
  }

 private:
  friend struct detail::removal_report<basic_cache>;
  using node = detail::cache_node<Key, Value>;
  using table = detail::entry_table<node, Policy, detail::removal_report<basic_cache>>;
  using local = typename table::local_stripe;
  using access = typename table::access;
  using position = typename table::position;
  using newcomer = typename table::newcomer;
  using write_hazards = typename table::write_hazards;
  using lookup = detail::key_lookup<Key, Hash, Equal>;
  using ticks = std::int64_t;
  using flights = typename detail::flights_of<Key, Value, Hash, Equal>::type;

  static constexpr std::uint64_t largest_capacity = std::uint64_t{1} << 60;  // sums of weights must fit 63 bits

  // ---- keys, hashes, times -----------------------------------------------------------------------------------------

  template <class K>
  static decltype(auto) as_key(const K& key) {
    return lookup::as_key(key);
  }

  template <class K>
  std::uint32_t hash_of(const K& key) const {
    return keys_.hash(key);
  }

  template <class K>
  auto matching(const K& key, std::uint32_t hash) const {
    return keys_.template matching<node>(key, hash);
  }

  static std::uint32_t place_of(const node& entry) noexcept {
    return entry.place.load(std::memory_order_relaxed);  // published with the node; only the tentative bit changes
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  template <class K, class F>
  bool read(const K& key, std::optional<time_point> now, F&& f) {
    decltype(auto) wanted = as_key(key);
    const std::uint32_t hash = hash_of(wanted);
    hazard_slots<2> hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    const position at = table_.template find<false>(hash, hazards, *mine, matching(wanted, hash));
    if (!at.found() || !usable(at, hash, now, *mine)) {
      mine->misses.add();
      table_.prefetch_upcoming(*mine);
      return false;
    }
    const node& entry = table_.node(at);
    table_.policy().touch(place_of(entry) & detail::slot_mask, hash, mine->policy);
    mine->hits.add();
    std::forward<F>(f)(entry.value());
    return true;
  }

  // As `read`, without a trace.
  template <class F>
  bool peek(const Key& key, std::optional<time_point> now, F&& f) {
    const std::uint32_t hash = hash_of(key);
    hazard_slots<2> hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    const position at = table_.template find<false>(hash, hazards, *mine, matching(key, hash));
    if (!at.found() || !usable(at, hash, now, *mine)) return false;
    f(table_.node(at).value());
    return true;
  }

  // Whether the entry found may be given out; renews its idle time, and removes it if its time has passed.
  bool usable(const position& at, std::uint32_t hash, std::optional<time_point> now, local& mine) {
    const std::uint32_t place = place_of(table_.node(at));
    if ((place & (detail::timed_bit | detail::tentative_bit)) == 0) [[likely]]
      return true;
    if ((place & detail::tentative_bit) != 0) return false;
    const ticks time = expiry_.at(now);
    detail::cache_node_extras& extras = table_.extras(at);
    if (extras.earliest() <= time) {
      table_.remove(at, hash, removal_cause::expired, mine);
      return false;
    }
    const ticks idle_deadline = extras.idle_deadline.load(std::memory_order_relaxed);
    if (const auto renewed = expiry_.renewed(idle_deadline, time)) {
      extras.idle_deadline.store(*renewed, std::memory_order_relaxed);  // as in `earliest`
    }
    return true;
  }

  bool expired(const position& at, ticks time) {
    return (place_of(table_.node(at)) & detail::timed_bit) != 0 && table_.extras(at).earliest() <= time;
  }

  // Whether an entry was found that counts as being there.
  bool stays(const position& at, ticks time) {
    return at.found() && !expired(at, time) && (place_of(table_.node(at)) & detail::tentative_bit) == 0;
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  enum class entry_fate { kept, rejected, expired };

  // Weighs and times a constructed newcomer.
  entry_fate judge(newcomer& entry, const put_options& wanted, ticks time, local& mine) {
    std::uint64_t weight = 1;
    if (wanted.weight) {
      weight = *wanted.weight;
    } else if (options_.weigher) {
      weight = options_.weigher(entry.node().key(), entry.node().value());
    }
    weight = std::max<std::uint64_t>(weight, 1);
    if (weight > options_.capacity || weight > largest_capacity) return entry_fate::rejected;
    if (!expiry_.timed(wanted.ttl)) {
      entry.set_extras(weight, std::nullopt);
      return entry_fate::kept;
    }
    const auto deadlines = expiry_.deadlines(wanted.ttl, time, mine.random());
    if (std::min(deadlines.first, deadlines.second) <= time) return entry_fate::expired;
    entry.set_extras(weight, deadlines);
    return entry_fate::kept;
  }

  // Tells of a newcomer that will not come in.
  void turn_away(const newcomer& entry, entry_fate fate, local& mine) {
    const bool expired = fate == entry_fate::expired;
    (expired ? mine.expirations : mine.rejections).add();
    notify(entry.node().key(), entry.node().value(), expired ? removal_cause::expired : removal_cause::rejected, mine);
  }

  // The time of a write, if any entry needs one.
  ticks write_time(const put_options& wanted, std::optional<time_point> now) {
    return expiry_.timed(wanted.ttl) || expiry_.in_use() ? expiry_.advance_to(now) : std::numeric_limits<ticks>::min();
  }

  template <bool Overwrite, class K, class V>
  bool write(K&& key, V&& value, const put_options& wanted, std::optional<time_point> now) {
    const std::uint32_t hash = hash_of(as_key(key));
    write_hazards hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    const ticks time = write_time(wanted, now);
    if constexpr (!Overwrite) {
      // Once before anything of the caller's is used up, since the key may well be there.
      decltype(auto) wanted_key = as_key(key);
      if (stays(table_.template find<true>(hash, hazards, *mine, matching(wanted_key, hash)), time)) return false;
    }
    newcomer entry{table_, *mine, hash, hazards};
    if (!entry) {  // nothing to put it in: as if evicted at once
      if constexpr (Overwrite) erase(key, now);
      mine->rejections.add();
      return false;
    }
    entry.construct(std::forward<K>(key), std::forward<V>(value));
    const Key& own_key = entry.node().key();
    const entry_fate fate = judge(entry, wanted, time, *mine);
    forget_load(own_key);
    if (fate != entry_fate::kept) {
      if constexpr (Overwrite) remove_key(own_key, hash, time, removal_cause::replaced, *mine, hazards);
      turn_away(entry, fate, *mine);
      return false;
    }
    for (;;) {
      const position at = table_.template find<true>(hash, hazards, *mine, matching(own_key, hash));
      if (!at.found()) {
        const auto step = entry.insert(at);
        if (step == newcomer::step::done) break;
        if (step == newcomer::step::again) continue;
        turn_away(entry, entry_fate::rejected, *mine);
        return false;
      }
      if (expired(at, time)) {
        table_.remove(at, hash, removal_cause::expired, *mine);
        continue;
      }
      if constexpr (!Overwrite) {
        if (stays(at, time)) return false;
      }
      if (entry.replace(at)) break;
    }
    entry.settle();
    if (expiry_.in_use()) sweep(slots_swept_by_a_put, slots_swept_by_a_put, time, *mine, hazards);
    return true;
  }

  // ---- removing ----------------------------------------------------------------------------------------------------

  template <class K>
  bool remove_key(const K& key, std::uint32_t hash, ticks time, removal_cause cause, local& mine,
                  write_hazards& hazards) {
    for (;;) {
      const position at = table_.template find<false>(hash, hazards, mine, matching(key, hash));
      if (!at.found()) return false;
      const bool late = expired(at, time);
      const bool tentative = (place_of(table_.node(at)) & detail::tentative_bit) != 0;
      if (table_.remove(at, hash, late ? removal_cause::expired : cause, mine)) return !late && !tentative;
    }
  }

  enum class tentative_entries { passed_over, included };

  // Calls `f(position, hash, stripe)` for the entry of each slot until it returns true.
  template <tentative_entries Tentative = tentative_entries::passed_over, class F>
  void each_entry(F&& f) {
    hazard_slots<2> hazards{table_.domain()};
    const access mine{table_, hazards.record()};
    const ticks time = expiry_.in_use() ? expiry_.at(std::nullopt) : std::numeric_limits<ticks>::min();
    for (slot_id slot = 0; slot < table_.slot_limit(); ++slot) {
      const std::uint32_t hash = table_.slot_hash(slot);
      for (;;) {
        const position at = table_.find_slot(slot, hash, hazards, *mine);
        if (!at.found()) break;
        if constexpr (Tentative == tentative_entries::passed_over) {
          if ((place_of(table_.node(at)) & detail::tentative_bit) != 0) break;
        }
        const bool done =
            expired(at, time) ? table_.remove(at, hash, removal_cause::expired, *mine) : f(at, hash, *mine);
        if (done) break;
      }
    }
  }

  template <tentative_entries Tentative = tentative_entries::passed_over, class Chosen>
  std::size_t remove_each(removal_cause cause, Chosen chosen) {
    std::size_t count = 0;
    each_entry<Tentative>([&](const position& at, std::uint32_t hash, local& mine) {
      if (!chosen(table_.node(at))) return true;
      if (!table_.remove(at, hash, cause, mine)) return false;  // replaced meanwhile: look at the new value
      ++count;
      return true;
    });
    return count;
  }

  // Looks at the next `slots` slots for up to `limit` entries whose time has passed.
  std::size_t sweep(std::uint32_t slots, std::size_t limit, ticks time, local& mine, write_hazards& hazards) {
    const std::uint32_t slot_limit = table_.slot_limit();
    if (slot_limit == 0) return 0;
    std::size_t removed = 0;
    for (std::uint32_t i = 0; i < slots && removed < limit; ++i) {
      const slot_id slot = swept_.fetch_add(1, std::memory_order_relaxed) % slot_limit;  // any order will do
      const std::uint32_t hash = table_.slot_hash(slot);
      const position at = table_.find_slot(slot, hash, hazards, mine);
      if (at.found() && expired(at, time) && table_.remove(at, hash, removal_cause::expired, mine)) ++removed;
    }
    return removed;
  }

  void notify(const Key& key, const Value& value, removal_cause cause, local& mine) const noexcept {
    if (!options_.removal_listener) return;
#if defined(__cpp_exceptions)
    try {
      options_.removal_listener(key, value, cause);
    } catch (...) {
      mine.listener_failures.add();
    }
#else
    (void)mine;
    options_.removal_listener(key, value, cause);
#endif
  }

  // ---- loading -----------------------------------------------------------------------------------------------------

  // A write comes before the result of any load that is running: that load began before it and may be out of date.
  template <class K>
  void forget_load(const K& key) {
    if (!flights_.idle()) flights_.forget(key);
  }
  void forget_loads() {
    if (!flights_.idle()) flights_.forget_all();
  }

  template <class Load>
  Value load_and_keep(const Key& key, Load& load, const put_options& wanted, std::optional<time_point> now) {
    bool was_here = false;  // an earlier load may have finished between our miss and our turn
    return flights_.run(
        key,
        [&](const Key& own_key) -> Value {
          std::optional<Value> found;
          peek(own_key, now, [&](const Value& value) { found.emplace(value); });
          was_here = found.has_value();
          return was_here ? *std::move(found) : counted_load(own_key, load);
        },
        [&](const Value& value, auto& call) {
          if (!was_here) keep_loaded(key, value, call, wanted, now);
        });
  }

  template <class Load>
  Value counted_load(const Key& key, Load& load) {
    struct outcome {
      basic_cache& cache;
      bool failed = true;
      ~outcome() {
        const access mine{cache.table_, cache.table_.domain().local()};
        (failed ? mine->load_failures : mine->loads).add();
      }
    };
    outcome result{*this};
    Value value = std::invoke(load, key);
    result.failed = false;
    return value;
  }

  // Puts a loaded value in unless the load has been forgotten. The entry is linked first and counts only once the
  // flight has committed: so there is no moment at which a write can miss both the flight and the entry.
  template <class Call>
  void keep_loaded(const Key& key, const Value& value, Call& call, const put_options& wanted,
                   std::optional<time_point> now) {
    write_hazards hazards{std::nothrow, table_.domain()};
    hazard_slots<1> own{std::nothrow, table_.domain()};  // for the entry itself, until it counts
    if (!hazards || !own) return;                        // memory is out: loaded, but not kept
    const access mine{table_, hazards.record()};
    const std::uint32_t hash = hash_of(key);
    const ticks time = write_time(wanted, now);
    newcomer entry{table_, *mine, hash, hazards};
    if (!entry) return;
    entry.construct(key, value);
    if (const entry_fate fate = judge(entry, wanted, time, *mine); fate != entry_fate::kept) {
      turn_away(entry, fate, *mine);
      return;
    }
    for (;;) {
      const position at = table_.template find<true>(hash, hazards, *mine, matching(key, hash));
      if (at.found()) {
        if (!expired(at, time)) return;  // somebody has put a value meanwhile
        table_.remove(at, hash, removal_cause::expired, *mine);
        continue;
      }
      own.publish(0, &entry.node());  // before others can remove it
      const auto step = entry.insert(at, true);
      if (step == newcomer::step::done) break;
      if (step == newcomer::step::again) continue;
      turn_away(entry, entry_fate::rejected, *mine);
      return;
    }
    if (call.try_commit()) {
      table_.commit(entry.linked(), *mine);
    } else {
      table_.withdraw(entry.linked(), hash, *mine, hazards);
    }
    entry.settle();
    if (expiry_.in_use()) sweep(slots_swept_by_a_put, slots_swept_by_a_put, time, *mine, hazards);
  }

  [[nodiscard]] std::uint64_t sum(detail::single_writer_count local::*count) const noexcept {
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < table_.in_use(); ++i) total += (table_[i].*count).value();
    return total;
  }

  static constexpr std::uint32_t slots_swept_by_a_put = 2;

  options options_;
  lookup keys_;
  detail::expiry_times<Clock> expiry_;
  flights flights_{};
  table table_;
  alignas(64) std::atomic<std::uint32_t> swept_{0};
};

}  // namespace banyan
