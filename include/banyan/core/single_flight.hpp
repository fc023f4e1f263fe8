#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <banyan/core/detail/marked_list.hpp>
#include <banyan/core/hash.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/parking_word.hpp>

namespace banyan {

namespace detail {

/// The life of one call, in one word, so that joining, forgetting, committing and closing are ordered by it.
class flight_state {
 public:
  /// One more waits for the result; false when the call takes no more. Lock-free.
  bool join() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & closed) == 0) {
      // (1) acquire, release: pairs with (2)-(4).
      if (word_.compare_exchange_weak(seen, seen + one_waiter, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  /// Nobody joins any more, and a call that has not committed never will. Wait-free.
  void forget() noexcept { word_.fetch_or(forgotten | closed, std::memory_order_acq_rel); }  // (2) pairs with (1)-(4)

  /// False if the call was forgotten before; else it counts as committed from here on. Lock-free.
  bool try_commit() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    do {
      if ((seen & committed) != 0) return true;
      if ((seen & forgotten) != 0) return false;
      // (3) acquire, release: pairs with (1)-(4).
    } while (
        !word_.compare_exchange_weak(seen, seen | committed, std::memory_order_acq_rel, std::memory_order_relaxed));
    return true;
  }

  /// Nobody joins any more; returns how many have. Wait-free.
  std::uint32_t close() noexcept {
    return word_.fetch_or(closed, std::memory_order_acq_rel) / one_waiter;  // (4) pairs with (1)-(3)
  }

 private:
  static constexpr std::uint32_t committed = 1;
  static constexpr std::uint32_t forgotten = 2;
  static constexpr std::uint32_t closed = 4;
  static constexpr std::uint32_t one_waiter = 8;

  std::atomic<std::uint32_t> word_{0};
};

}  // namespace detail

/// One running call for each key: the first caller runs it, callers of the same key that come meanwhile wait for its
/// value, callers of other keys are not disturbed.
///
///     banyan::single_flight<std::string, row> loads;
///     row r = loads.run(key, [&](const std::string& k) { return database.fetch(k); });
///
/// A call that starts right after another has ended runs again: whoever keeps results looks for one inside `load`.
///
/// A `load` that asks for its own key on the same thread runs its inner call in place. Two loads on two threads that
/// ask for each other's keys wait for each other forever, as with any lock.
///
/// Thread-safe but for construction and destruction. `Hash` and `Equal` may be transparent; what they throw goes to the
/// caller and changes nothing. `Key` is constructible from what `run` is called with; `Value` is copied for waiters.
template <class Key, class Value, class Hash = seeded_hash, class Equal = std::equal_to<>>
class single_flight {
  static_assert(std::is_copy_constructible_v<Value>, "the callers that waited get copies");

  // The link first: the list publishes its address, and retiring compares with the flight's.
  struct flight : detail::marked_link, hazard_pointer_obj_base<flight> {
    template <class K>
    flight(const K& from, std::uint64_t hash_of_key, const void* thread)
        : key(from), hash(hash_of_key), leader(thread) {
      if (static_cast<const void*>(static_cast<const detail::marked_link*>(this)) != this) std::abort();
    }

    // The leader and whoever unlinks the flight: the last of the two retires it.
    void let_go(hazard_domain& domain) noexcept {
      // (1) acquire, release: pairs with itself.
      if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) this->retire(domain);
    }

    const Key key;
    const std::uint64_t hash;
    const void* const leader;  // the record of the thread that runs the call
    std::atomic<std::uint32_t> holders{2};
    std::atomic<std::uint32_t> to_copy{0};  // waiters that have not taken their copy
    detail::flight_state state;
    parking_word ready;
    std::optional<Value> value;
#if defined(__cpp_exceptions)
    std::exception_ptr error;
#endif
  };

 public:
  /// The running call, as `keep` sees it.
  class call {
   public:
    /// Makes the result the key's: true once, and for ever, unless `forget` came first. Lock-free.
    bool try_commit() noexcept { return state_->try_commit(); }

   private:
    friend single_flight;
    explicit call(detail::flight_state& state) noexcept : state_{&state} {}
    detail::flight_state* state_;
  };

  explicit single_flight(Hash hash = Hash(), Equal equal = Equal(), hazard_domain& domain = hazard_domain::global())
      : domain_{&domain}, hash_(std::move(hash)), equal_(std::move(equal)) {}

  single_flight(const single_flight&) = delete;
  single_flight& operator=(const single_flight&) = delete;

  /// No call may run any more. Keys of past calls are destroyed here at the latest, unless a reader pins them.
  ~single_flight() {
    forget_all();
    domain_->reclaim();
  }

  /// The value of the running call for `key`, or of a new one: `load(key)`, after which `keep(value, call)` may put the
  /// value away, with the call still joined by others; `call.try_commit()` tells it whether the key was forgotten.
  /// `keep` takes the value as `const Value&` and the call as `call&`.
  ///
  /// Blocking on a running call for the same key, else lock-free apart from `load` and `keep`; O(calls running / 64).
  /// When `load` throws, this caller and all that wait get the exception. When `keep` throws, this caller does; those
  /// that wait get the value. Throws `std::bad_alloc` before anything runs.
  template <class K, class Load, class Keep>
  Value run(const K& key, Load&& load, Keep&& keep) {
    const auto hash = static_cast<std::uint64_t>(hash_(key));
    registration registered{*this};
    std::unique_ptr<flight> fresh;
    for (;;) {
      std::optional<Value> result;
      switch (approach(key, hash, fresh, registered, result)) {
        case step::lead:
          return lead(*fresh.release(), key, load, keep);
        case step::in_place:
          fresh.reset();
          return load(key);
        case step::look_at_result:
          break;
      }
      if (result.has_value()) return *std::move(result);
    }
  }

  /// As above, with nothing to put away.
  template <class K, class Load>
  Value run(const K& key, Load&& load) {
    return run(key, std::forward<Load>(load), [](const Value&, call&) {});
  }

  /// A running call for `key` goes on for those that wait for it, but does not commit any more, and callers that come
  /// later start a new one. What the caller changed before by sequentially consistent operations is seen by that new
  /// call. Lock-free, O(calls running / 64).
  template <class K>
  void forget(const K& key) {
    const auto hash = static_cast<std::uint64_t>(hash_(key));
    garbage swept{*domain_};
    hazard_slots<2> hazards{*domain_};
    detail::marked_list& calls = bucket(hash);
    detail::marked_link* const found = calls.find_or_append(hazards, swept.links, nullptr, [&](auto& link) {
      const auto& each = static_cast<const flight&>(link);
      return each.hash == hash && static_cast<bool>(equal_(each.key, key));
    });
    if (found == nullptr) return;
    forget_one(*found);
    sweep(calls, hazards, swept);
  }

  /// Forgets all running calls. Lock-free, O(calls running).
  void forget_all() {
    for (detail::marked_list& calls : buckets_) {
      garbage swept{*domain_};
      hazard_slots<2> hazards{*domain_};
      calls.find_or_append(hazards, swept.links, nullptr, [](detail::marked_link& link) {
        forget_one(link);
        return false;
      });
      sweep(calls, hazards, swept);
    }
  }

  /// True when no call is registered, so that `forget` would find nothing: one sequentially consistent load. A call
  /// registers before it runs `load`. Wait-free.
  [[nodiscard]] bool idle() const noexcept { return registered_.load(std::memory_order_seq_cst) == 0; }

 private:
  static constexpr std::size_t bucket_count = 64;

  // Counts the call while it may load.
  class registration {
   public:
    explicit registration(single_flight& of) noexcept : of_{&of} { begin(); }
    ~registration() {
      if (counted_) end();
    }
    registration(const registration&) = delete;
    registration& operator=(const registration&) = delete;
    void begin() noexcept {
      of_->registered_.fetch_add(1, std::memory_order_seq_cst);
      counted_ = true;
    }
    void end() noexcept {
      of_->registered_.fetch_sub(1, std::memory_order_seq_cst);
      counted_ = false;
    }

   private:
    single_flight* of_;
    bool counted_ = false;
  };

  // Lets go of what a walk unlinked, once the walk's hazards are gone: declared before them.
  struct garbage {
    explicit garbage(hazard_domain& into) noexcept : domain{&into} {}
    ~garbage() { empty(); }
    garbage(const garbage&) = delete;
    garbage& operator=(const garbage&) = delete;
    void empty() noexcept {
      while (links.first != nullptr) {
        detail::marked_link* const link = std::exchange(links.first, links.first->next_unlinked);
        static_cast<flight*>(link)->let_go(*domain);
      }
    }
    hazard_domain* domain;
    detail::marked_list::unlinked links;
  };

  enum class step { lead, in_place, look_at_result };  // the last: try again if there is none

  [[nodiscard]] detail::marked_list& bucket(std::uint64_t hash) noexcept {
    // From the top and the bottom, for a user's hash may be good in one of them only.
    return buckets_[static_cast<std::size_t>((hash ^ (hash >> 58)) % bucket_count)];
  }

  static void forget_one(detail::marked_link& link) noexcept {
    static_cast<flight&>(link).state.forget();
    detail::marked_list::mark_as_left(link);
  }

  // Unlinks all that is marked. Runs no code of the user's.
  static void sweep(detail::marked_list& calls, hazard_slots<2>& hazards, garbage& swept) noexcept {
    calls.find_or_append(hazards, swept.links, nullptr, [](detail::marked_link&) { return false; });
  }

  // Looks for the key's call, and joins it or puts `fresh` there.
  template <class K>
  step approach(const K& key, std::uint64_t hash, std::unique_ptr<flight>& fresh, registration& registered,
                std::optional<Value>& result) {
    garbage swept{*domain_};
    hazard_slots<1> stay{*domain_};
    const void* const me = &stay.record();
    flight* running = nullptr;
    {
      hazard_slots<2> hazards{*domain_};
      detail::marked_link* const found =
          bucket(hash).find_or_append(hazards, swept.links, fresh.get(), [&](auto& link) {
            const auto& each = static_cast<const flight&>(link);
            return each.hash == hash && static_cast<bool>(equal_(each.key, key));
          });
      if (found != nullptr) {
        running = static_cast<flight*>(found);
        if (running->leader == me) return step::in_place;
        if (!running->state.join()) {
          detail::marked_list::mark_as_left(*found);  // it has its result already and is about to leave
          return step::look_at_result;
        }
        stay.publish(0, running);  // while `hazards` still protects it, so there is nothing to validate
      }
    }
    swept.empty();
    if (running == nullptr) {
      if (fresh != nullptr) return step::lead;
      fresh = std::make_unique<flight>(key, hash, me);
      return step::look_at_result;
    }
    fresh.reset();
    registered.end();
    take_result(*running, result);
    // No value and no exception: the thread was cancelled inside `load`. Then we try ourselves.
    if (!result.has_value()) registered.begin();
    return step::look_at_result;
  }

  static void take_result(flight& from, std::optional<Value>& result) {
    from.ready.wait(0);
    // The last to copy clears what may be large; the flight itself waits for its reclamation.
    struct leave {
      ~leave() {
        // (2) acquire, release: pairs with itself: all others have copied.
        if (from.to_copy.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        from.value.reset();
#if defined(__cpp_exceptions)
        from.error = nullptr;
#endif
      }
      flight& from;
    } const leaving{from};
#if defined(__cpp_exceptions)
    if (from.error != nullptr) std::rethrow_exception(from.error);
#endif
    if (from.value.has_value()) result.emplace(std::as_const(*from.value));
  }

  // Gives the waiters what there is, and lets the flight leave; whatever happens in `load` or `keep`.
  class landing {
   public:
    landing(single_flight& of, flight& which) noexcept : of_{&of}, which_{&which} {}
    landing(const landing&) = delete;
    landing& operator=(const landing&) = delete;

    void has(const Value& value) noexcept { value_ = &value; }
#if defined(__cpp_exceptions)
    void failed(const std::exception_ptr& error) noexcept { which_->error = error; }
#endif

    ~landing() {
      const std::uint32_t waiters = which_->state.close();
      if (waiters != 0) {
        leave_a_copy();
        which_->to_copy.store(waiters, std::memory_order_relaxed);
        // (3) release: pairs with the acquire in parking_word::wait.
        which_->ready.value().store(1, std::memory_order_release);
        which_->ready.notify_all();
      }
      detail::marked_list::mark_as_left(*which_);
      unlink();
      which_->let_go(*of_->domain_);
    }

   private:
    void leave_a_copy() noexcept {
      if (value_ == nullptr) return;
#if defined(__cpp_exceptions)
      try {
        which_->value.emplace(*value_);
      } catch (...) {
        which_->error = std::current_exception();
      }
#else
      which_->value.emplace(*value_);
#endif
    }

    void unlink() noexcept {
#if defined(__cpp_exceptions)
      try {
#endif
        garbage swept{*of_->domain_};
        hazard_slots<2> hazards{*of_->domain_};
        sweep(of_->bucket(which_->hash), hazards, swept);
#if defined(__cpp_exceptions)
      } catch (...) {  // no memory for a hazard: the next to come by unlinks it
      }
#endif
    }

    single_flight* of_;
    flight* which_;
    const Value* value_ = nullptr;
  };

  template <class K, class Load, class Keep>
  Value lead(flight& mine, const K& key, Load& load, Keep& keep) {
    Value value = load_or_fail(mine, key, load);
    {
      landing land{*this, mine};  // inside the life of `value`
      land.has(value);
      call mine_as_seen{mine.state};
      keep(std::as_const(value), mine_as_seen);
    }
    return value;
  }

  template <class K, class Load>
  Value load_or_fail(flight& mine, const K& key, Load& load) {
#if defined(__cpp_exceptions)
    try {
      return load(key);
    } catch (...) {
      landing land{*this, mine};
      land.failed(std::current_exception());
      throw;
    }
#else
    static_cast<void>(mine);
    return load(key);
#endif
  }

  std::array<detail::marked_list, bucket_count> buckets_{};
  std::atomic<std::size_t> registered_{0};
  hazard_domain* domain_;
  [[no_unique_address]] Hash hash_;
  [[no_unique_address]] Equal equal_;
};

}  // namespace banyan
