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

#include <banyan/core/cancellation.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/detail/flight_state.hpp>
#include <banyan/core/detail/marked_list.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/hash.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/parking_word.hpp>

namespace banyan {

/// How long a caller of `single_flight` waits for somebody else's call.
struct flight_wait {
  deadline until = deadline::never();
  cancellation* cancel = nullptr;  ///< given up when it is set; outlives the wait; none when null
};

/// One running call for each key: the first caller runs it, callers of the same key that come meanwhile wait for its
/// value, callers of other keys are not disturbed.
///
///     banyan::single_flight<std::string, row> loads;
///     row r = loads.run(key, [&](const std::string& k) { return database.fetch(k); });
///
/// A call that starts right after another has ended runs again: whoever keeps results looks for one inside `load`.
///
/// One slow call need not hold up all: callers of `try_run` and `run_on` wait as long as they like and leave without
/// disturbing the others. With `run_on` the call runs on an executor, so the first caller may leave, too. When a call
/// is stuck, `forget` lets the next caller start another.
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
    // The record of the thread that runs the call; null before. Relaxed: only that thread needs to find its own.
    std::atomic<const void*> leader;
    std::atomic<std::uint32_t> holders{2};
    detail::flight_state<> state;
    parking_word ready;  // 1: the result is there; the rest counts callers that were told to give up

    void clear() noexcept {
      value.reset();
#if defined(__cpp_exceptions)
      error = nullptr;
#endif
    }

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
    explicit call(detail::flight_state<>& state) noexcept : state_{&state} {}
    detail::flight_state<>* state_;
  };

  explicit single_flight(Hash hash = Hash(), Equal equal = Equal(), hazard_domain& domain = hazard_domain::global())
      : domain_{&domain}, hash_(std::move(hash)), equal_(std::move(equal)) {}

  single_flight(const single_flight&) = delete;
  single_flight& operator=(const single_flight&) = delete;

  /// No call may run any more: where `run_on` was used, `idle()` says so. Keys of past calls are destroyed here at the
  /// latest, unless a reader pins them.
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
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): nobody leaves without a limit
    return *attend(key, flight_wait{}, load, keep);
  }

  /// As above, with nothing to put away.
  template <class K, class Load>
  Value run(const K& key, Load&& load) {
    return run(key, std::forward<Load>(load), [](const Value&, call&) {});
  }

  /// As `run`, for callers that do not wait for somebody else's call longer than `limit`; then they leave, the call
  /// goes on for the others, and the result is empty. A caller that finds no running call runs its own to the end.
  ///
  /// Blocking as `run`, up to `limit`.
  template <class K, class Load, class Keep>
  std::optional<Value> try_run(const K& key, flight_wait limit, Load&& load, Keep&& keep) {
    return attend(key, limit, load, keep);
  }

  /// As above, with nothing to put away.
  template <class K, class Load>
  std::optional<Value> try_run(const K& key, flight_wait limit, Load&& load) {
    return try_run(key, limit, std::forward<Load>(load), [](const Value&, call&) {});
  }

  /// As `try_run`, but a new call runs on `runs`: every caller waits for it up to `limit` and may leave, the first one
  /// like all others, and the call goes on even when nobody waits. `load` and `keep` are moved to it; `load` is called
  /// with the `Key` kept here. What `keep` throws is lost.
  ///
  /// Empty also when the executor drops the task without running it. What `runs.execute` throws goes to this caller;
  /// those that wait start anew. This object must outlive the task. Whoever waits without limit on the executor's own
  /// threads may take the one that the task needs.
  template <class K, executor Executor, class Load, class Keep>
  std::optional<Value> run_on(Executor& runs, const K& key, flight_wait limit, Load load, Keep keep) {
    const auto hash = static_cast<std::uint64_t>(hash_(key));
    remote_call<Load, Keep> work{*this, std::move(load), std::move(keep)};
    registration registered{*this};
    std::unique_ptr<flight> fresh;
    std::optional<Value> result;
    for (;;) {
      hazard_slots<1> stay{*domain_};
      switch (approach(key, hash, leader::elsewhere, fresh, registered, limit, stay, result)) {
        case step::lead:
          hand_over(runs, *fresh.release(), work, registered, limit, stay, result);
          return result;
        case step::in_place: {
          fresh.reset();
          const Key own(key);
          work.run_in_place(own, result);
          return result;
        }
        case step::look_again:
          break;
        case step::done:
          return result;
      }
    }
  }

  /// As above, with nothing to put away.
  template <class K, executor Executor, class Load>
  std::optional<Value> run_on(Executor& runs, const K& key, flight_wait limit, Load load) {
    return run_on(runs, key, limit, std::move(load), [](const Value&, call&) {});
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
    void hand_over() noexcept { counted_ = false; }  // somebody else ends it

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

  enum class step { lead, in_place, look_again, done };
  enum class leader { here, elsewhere };

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

  template <class K, class Load, class Keep>
  std::optional<Value> attend(const K& key, const flight_wait& limit, Load& load, Keep& keep) {
    const auto hash = static_cast<std::uint64_t>(hash_(key));
    registration registered{*this};
    std::unique_ptr<flight> fresh;
    std::optional<Value> result;
    for (;;) {
      step next{};
      {
        hazard_slots<1> stay{*domain_};
        next = approach(key, hash, leader::here, fresh, registered, limit, stay, result);
      }
      switch (next) {
        case step::lead:
          result.emplace(lead(*fresh.release(), key, load, keep));
          return result;
        case step::in_place: {
          fresh.reset();
          Value own = load(key);  // converted before it meets `optional`, which a Value may be itself
          result.emplace(std::move(own));
          return result;
        }
        case step::look_again:
          break;
        case step::done:
          return result;
      }
    }
  }

  // Makes the new call a task, and waits for it as any other caller does.
  template <class Executor, class Work>
  static void hand_over(Executor& runs, flight& mine, Work& work, registration& registered, const flight_wait& limit,
                        hazard_slots<1>& stay, std::optional<Value>& result) {
    // Only this thread can make it land yet, so it is not retired, and there is nothing to validate.
    stay.publish(0, &mine);
    work.takes(mine, registered);
    struct leave {
      ~leave() {
        if (waits && from.state.leave()) from.clear();
      }
      flight& from;
      bool waits = true;
    } refused{mine};
    runs.execute(std::move(work));
    refused.waits = false;
    static_cast<void>(take_result(mine, limit, result));
  }

  // Looks for the key's call, and joins it and waits, or puts `fresh` there.
  template <class K>
  step approach(const K& key, std::uint64_t hash, leader runs, std::unique_ptr<flight>& fresh, registration& registered,
                const flight_wait& limit, hazard_slots<1>& stay, std::optional<Value>& result) {
    garbage swept{*domain_};
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
        if (running->leader.load(std::memory_order_relaxed) == me) return step::in_place;
        if (!running->state.join()) {
          detail::marked_list::mark_as_left(*found);  // it has its result already and is about to leave
          return step::look_again;
        }
        stay.publish(0, running);  // while `hazards` still protects it, so there is nothing to validate
      }
    }
    swept.empty();
    if (running == nullptr) {
      if (fresh != nullptr) return step::lead;
      fresh = std::make_unique<flight>(key, hash, runs == leader::here ? me : nullptr);
      // Who waits for its own call joins while nobody else can see it: later it might have been forgotten.
      if (runs == leader::elsewhere) static_cast<void>(fresh->state.join());
      return step::look_again;
    }
    fresh.reset();
    registered.end();
    if (!take_result(*running, limit, result) || result.has_value()) return step::done;
    // No value and no exception: the thread was cancelled inside `load`, or the task dropped. Then we try ourselves.
    registered.begin();
    return step::look_again;
  }

  // Waits for the result and copies it. False when the caller left before.
  static bool take_result(flight& from, const flight_wait& limit, std::optional<Value>& result) {
    if (!await(from.ready, limit)) {
      if (from.state.leave()) from.clear();
      return false;
    }
    // The last to copy clears what may be large; the flight itself waits for its reclamation.
    struct leave {
      ~leave() {
        if (from.state.copied()) from.clear();
      }
      flight& from;
    } const leaving{from};
#if defined(__cpp_exceptions)
    if (from.error != nullptr) std::rethrow_exception(from.error);
#endif
    if (from.value.has_value()) result.emplace(std::as_const(*from.value));
    return true;
  }

  // False when the caller gave up first.
  static bool await(parking_word& ready, const flight_wait& limit) {
    if (limit.cancel == nullptr) {
      std::uint32_t seen = ready.value().load(std::memory_order_acquire);  // (2) pairs with (1)
      while ((seen & 1) == 0) {
        if (limit.until.is_never()) {
          ready.wait(seen);
        } else if (!ready.wait_until(seen, limit.until.at())) {
          return false;
        }
        seen = ready.value().load(std::memory_order_acquire);  // (2)
      }
      return true;
    }
    // Its end waits for a callback that runs, so `ready` is still there.
    const on_cancel wake{*limit.cancel, [&ready] {
                           ready.value().fetch_add(2, std::memory_order_acq_rel);  // keeps the order of (1) and (2)
                           ready.notify_all();
                         }};
    for (;;) {
      const std::uint32_t seen = ready.value().load(std::memory_order_acquire);  // (2)
      if ((seen & 1) != 0) return true;
      // Set before the word is changed: if this does not see it, `seen` is older than the change.
      if (limit.cancel->requested()) return false;
      if (!ready.wait_until(seen, limit.until.at())) return false;
    }
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
      const std::uint32_t waiters = which_->state.land();
      if (waiters == 0) {
        which_->clear();  // the error: the flight itself may stay for long
      } else {
        leave_a_copy();
        if (which_->state.hand_out(waiters)) {
          which_->clear();
        } else {
          // (1) release: pairs with (2), and with the acquire in parking_word::wait.
          which_->ready.value().fetch_or(1, std::memory_order_acq_rel);
          which_->ready.notify_all();
        }
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

  // A call as a task: whatever becomes of it, run, dropped or failed, the flight lands.
  template <class Load, class Keep>
  class remote_call {
   public:
    remote_call(single_flight& of, Load&& load, Keep&& keep)
        : of_{&of}, load_(std::move(load)), keep_(std::move(keep)) {}
    // The flight last: a move that throws has moved nothing.
    remote_call(remote_call&& other)
        : of_{other.of_},
          load_(std::move(other.load_)),
          keep_(std::move(other.keep_)),
          which_{std::exchange(other.which_, nullptr)} {}
    remote_call& operator=(remote_call&&) = delete;
    ~remote_call() {
      if (which_ == nullptr) return;
      { const landing dropped{*of_, *which_}; }
      finish();
    }

    void takes(flight& which, registration& registered) noexcept {
      which_ = &which;
      registered.hand_over();
    }

    void run_in_place(const Key& key, std::optional<Value>& result) {
      Value own = load_(key);
      result.emplace(std::move(own));
    }

    void operator()() {
      flight& mine = *std::exchange(which_, nullptr);
      const ending last{*this};
#if defined(__cpp_exceptions)
      try {
        run(mine);
      } catch (...) {  // the waiters have it, or `keep` threw
      }
#else
      run(mine);
#endif
    }

   private:
    struct ending {
      ~ending() { of.finish(); }
      remote_call& of;
    };

    void run(flight& mine) {
      mine.leader.store(of_->domain_->try_local(), std::memory_order_relaxed);
      static_cast<void>(of_->lead(mine, mine.key, load_, keep_));
    }

    // The last access to what it belongs to.
    void finish() noexcept { of_->registered_.fetch_sub(1, std::memory_order_seq_cst); }

    single_flight* of_;
    Load load_;
    Keep keep_;
    flight* which_ = nullptr;
  };

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
