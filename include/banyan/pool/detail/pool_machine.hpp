#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/core/duration_histogram.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/hazard_slots.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/core/published.hpp>
#include <banyan/core/zeroed_array.hpp>
#include <banyan/pool/detail/callers_code.hpp>
#include <banyan/pool/detail/in_turn.hpp>
#include <banyan/pool/detail/lending.hpp>
#include <banyan/pool/detail/opening_pace.hpp>
#include <banyan/pool/detail/pool_connections.hpp>
#include <banyan/pool/detail/pool_request.hpp>
#include <banyan/pool/detail/pool_slot.hpp>
#include <banyan/pool/lease.hpp>
#include <banyan/pool/pool_error.hpp>
#include <banyan/pool/pool_options.hpp>
#include <banyan/pool/pool_stats.hpp>

namespace banyan::detail {

/// What a pool is made of, shared by the pool, its leases, its requests and the tasks that open connections. It lives
/// as long as any of these: each connection alive, each request and each task under way counts as a holder, leases do
/// not (their connection does), so that borrowing and giving back touch no common count. Who gives back may lose the
/// last holder to another thread while it still looks whether somebody waits: it names the machine in a hazard pointer,
/// and the last holder retires the machine instead of deleting it.
///
///                          reserve           made
///     (no connection) --------------> opening -----> idle <--> lent
///            ^                           | failed      |        |
///            +---------------------------+-------------+--------+  close
///
/// `lending` says who has which connection, `pool_connections` what each is and how many there are, `opening_pace` how
/// fast they come.
template <class T>
class pool_machine : public hazard_pointer_obj_base<pool_machine<T>> {
 public:
  using request = pool_request<T>;
  using answer = expected<lease<T>, pool_error>;
  using protocol = lending<>;
  using ticket = protocol::ticket;
  using clock_function = typename pool_connections<T>::clock_function;

  pool_machine(std::unique_ptr<connection_maker<T>> make, pool_options<T> options, clock_function clock)
      : options_{std::move(options)},
        clock_{clock},
        connections_{options_, std::move(make), clock},
        places_{connections_.capacity(), 0},
        idle_entries_{std::size_t{2} * connections_.capacity() + 1'024, 0},
        waiting_entries_{2 * options_.max_waiting + 256, 0},
        waiters_{waiting_entries_.size(), 0},
        nooks_{nook_count(options_)},
        lending_{{{nooks_.data(), nooks_.size()},
                  {idle_entries_.data(), idle_entries_.size()},
                  {waiting_entries_.data(), waiting_entries_.size()},
                  {places_.data(), places_.size()}},
                 {options_.order == idle_order::lifo, options_.fairness == pool_fairness::barging}},
        pace_{static_cast<std::uint32_t>(std::min<std::size_t>(options_.max_opening, 0xffff)),
              options_.backoff_base.count(), options_.backoff_cap.count()},
        min_{static_cast<std::uint32_t>(options_.min)},
        max_{static_cast<std::uint32_t>(options_.max)} {}

  // ---- borrowing

  [[nodiscard]] BANYAN_ALWAYS_INLINE answer try_borrow(const char* tag, std::int64_t now) noexcept {
    const protocol::taken got = lending_.take(near(), waker());
    if (got.attention == 0 && got.item != protocol::none && admit(got.item, now)) [[likely]] {
      return answer{lend(got.item, tag, now)};
    }
    return try_borrow_with_care(got, tag, now, steady_clock::time_point::max());
  }

  /// Blocks for `timeout` at most, in the system's steady time.
  [[nodiscard]] BANYAN_ALWAYS_INLINE answer borrow(const char* tag, std::chrono::nanoseconds timeout,
                                                   std::int64_t now) noexcept {
    run_if_due(now);
    const protocol::taken got = lending_.take(near(), waker());
    if (got.attention == 0 && got.item != protocol::none && admit(got.item, now)) [[likely]] {
      return answer{lend(got.item, tag, now)};
    }
    return borrow_with_care(got, tag, timeout, now);
  }

  /// Answers the request now or later, on the executor. Takes over one of its two references.
  void borrow(request& asked, std::int64_t now) noexcept {
    run_if_due(now);
    const protocol::taken got = lending_.take(near(), waker());
    if ((got.attention & protocol::closed) != 0) [[unlikely]] {
      if (got.item != protocol::none) {
        close_connection(got.item, close_cause::closed);
      }
      dispose_idle();
      hand_over(asked, protocol::refused);
      return;
    }
    if (got.item != protocol::none) {
      hand_over(asked, got.item);
      return;
    }
    stand_in_line(asked, false, now);
  }

  /// False: it is being answered.
  bool cancel(request& asked) noexcept {
    const std::uint64_t place = asked.place.load(std::memory_order_acquire);  // acquire: pairs with stand_in_line
    if (place == 0 || !withdraw({static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(place >> 32)})) {
      return false;
    }
    count(cancelled_);
    hand_over(asked, cancelled);
    return true;
  }

  /// Answers a request that has been given something, or drops it. The end of its turn.
  void conclude(request& asked) noexcept {
    if (asked.dropped) {
      retain();
      if (is_item(asked.given)) make_idle(asked.given);
      // Another may have what this one was told to look for.
      if (asked.given == protocol::look_again) empty_if_closed(lending_.settle(near(), waker()));
      asked.unref();
      return release();
    }
    switch (asked.given) {
      case protocol::refused:
        return answer_now(asked, unexpected{pool_error{pool_errc::closed}});
      case protocol::failed:
        return answer_now(asked, unexpected{pool_error{pool_errc::open_failed, last_error()}});
      case timed_out:
        return answer_now(asked, unexpected{pool_error{pool_errc::timeout, last_error()}});
      case cancelled:
        return answer_now(asked, unexpected{pool_error{pool_errc::cancelled}});
      case no_room:
        return answer_now(asked, unexpected{pool_error{pool_errc::too_many_waiting}});
      default:
        break;
    }
    const std::int64_t now = clock_();
    if (asked.given == protocol::look_again) asked.given = look_again();
    if (asked.given == protocol::none || !admit(asked.given, now)) return stand_in_line(asked, true, now);
    waits_.record(steady_clock::now() - asked.asked_at());
    answer_now(asked, answer{lend(asked.given, asked.tag(), now)});
  }

  void give_back(std::uint32_t item) noexcept {
    guarded([&] { take_back(item, clock_()); });
  }

  void give_back_broken(std::uint32_t item) noexcept {
    guarded([&] {
      connections_.end_use(item, clock_());
      close_connection(item, close_cause::discarded);
    });
  }

  [[nodiscard]] T& value(std::uint32_t item) noexcept { return connections_.value(item); }

  // ---- life of the pool

  /// Brings about what has fallen due, and returns when to come again.
  std::int64_t maintain(std::int64_t now) noexcept {
    const background scope{*this};
    if (stopping_.load(std::memory_order_seq_cst)) return now + options_.maintenance_interval.count();
    if (maintaining_.exchange(true, std::memory_order_acquire)) return now + options_.maintenance_interval.count();
    std::int64_t next = time_out_requests(now, now + options_.maintenance_interval.count());
    empty_if_closed(lending_.settle(near(), waker()));
    const std::uint32_t replacements = look_at_connections(now);
    ensure_opening(now, replacements, true);
    if (wants_more(0) && pace_.opening() == 0) {
      next = std::min(next, std::max(pace_.not_before(), now + shortest_pause));
    }
    next_maintenance_.store(next, std::memory_order_relaxed);  // a hint
    maintaining_.store(false, std::memory_order_release);      // release: pairs with the exchange above
    return next;
  }

  /// The housekeeper's life, until `stop_maintenance`.
  void keep_house() noexcept {
    while (!stopping_.load(std::memory_order_seq_cst)) {
      const std::uint32_t seen = housekeeping_.seen();
      const std::int64_t now = clock_();
      const std::int64_t next = maintain(now);
      if (stopping_.load(std::memory_order_seq_cst)) return;
      housekeeping_.wait_until(seen, after(steady_clock::now(), std::chrono::nanoseconds{next - now}));
    }
  }
  void stop_maintenance() noexcept {
    stopping_.store(true, std::memory_order_seq_cst);
    housekeeping_.raise();
  }

  bool close(steady_clock::time_point deadline) noexcept {
    lending_.close(waker());
    dispose_idle();
    for (;;) {
      const std::uint32_t seen = departures_.seen();
      if (connections_.headcount().alive() == 0) return true;
      if (steady_clock::now() >= deadline) return false;
      departures_.wait_until(seen, deadline);
    }
  }

  /// After `close` and `stop_maintenance`: until no other thread is inside the factory or a hook in the background, for
  /// the one who made the pool to go on destroying what these use.
  bool wait_for_background(steady_clock::time_point deadline) noexcept {
    for (;;) {
      const std::uint32_t seen = departures_.seen();
      if (!callers_code_.others_inside()) return true;
      if (steady_clock::now() >= deadline) return false;
      departures_.wait_until(seen, deadline);
    }
  }

  void suspend() noexcept { lending_.suspend(); }
  void resume() noexcept {
    empty_if_closed(lending_.resume(near(), waker()));
    ensure_opening(clock_(), 0, false);
  }

  void resize(std::uint32_t min, std::uint32_t max, std::int64_t now) noexcept {
    max_.store(max, std::memory_order_relaxed);  // numbers that order nothing
    min_.store(min, std::memory_order_relaxed);
    while (connections_.surplus(max)) {
      const std::uint32_t item = lending_.take_any(near());
      if (item == protocol::none) break;
      if (!connections_.headcount().try_leave(max)) {
        make_idle(item);
        break;
      }
      dispose(item, close_cause::surplus);
    }
    ensure_opening(now, 0, false);
    housekeeping_.raise();
  }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return connections_.capacity(); }
  [[nodiscard]] std::uint32_t min() const noexcept { return min_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

  void evict_all() noexcept {
    connections_.evict();
    for (std::uint32_t i = 0; i < connections_.numbers(); ++i) {
      if (connections_.is_open(i) && connections_.evicted(i) && lending_.take_this(i)) {
        close_connection(i, close_cause::evicted);
      }
    }
    ensure_opening(clock_(), 0, false);
  }

  [[nodiscard]] pool_stats stats() const noexcept {
    pool_stats s;
    connections_.add_to(s);
    s.opening = pace_.opening();
    s.waiting = lending_.waiting();
    s.timeouts = timeouts_.load(std::memory_order_relaxed);
    s.cancelled = cancelled_.load(std::memory_order_relaxed);
    s.acquire_times = waits_.read();
    s.waited = s.acquire_times.count();
    s.acquire_times.add({}, s.borrowed > s.waited ? s.borrowed - s.waited : 0);
    return s;
  }

  void retain() noexcept { holders_.fetch_add(1, std::memory_order_relaxed); }  // by one who has a holder's word for it
  void release() noexcept {
    // (1) acquire, release: the last one sees what all did.
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    hazard_domain& domain = *options_.domain;
    this->retire(domain);
    domain.reclaim();
  }

  /// Keeps the machine alive.
  class holder {
   public:
    explicit holder(pool_machine& machine) noexcept : machine_{&machine} { machine.retain(); }
    holder(holder&& other) noexcept : machine_{std::exchange(other.machine_, nullptr)} {}
    holder& operator=(holder&&) = delete;
    ~holder() {
      if (machine_ != nullptr) machine_->release();
    }
    pool_machine* operator->() const noexcept { return machine_; }

   private:
    pool_machine* machine_;
  };

  void open_at_start() noexcept { ensure_opening(clock_(), 0, false); }

  /// Makes one here and lends it, when there may be one more: for pools that open nothing in the background.
  [[nodiscard]] std::optional<answer> borrow_new(const char* tag, std::int64_t now) noexcept {
    const std::uint32_t item = reserve();
    if (item == protocol::none) return std::nullopt;
    std::exception_ptr cause;
    if (!connections_.make(item, now, cause)) {
      vacate(item);
      return answer{unexpected{pool_error{pool_errc::open_failed, std::move(cause)}}};
    }
    if (!admit(item, now)) return std::nullopt;
    return answer{lend(item, tag, now)};
  }

 private:
  static constexpr std::uint32_t waiting_thread = 0;
  static constexpr std::uint32_t waiting_request = 1;
  static constexpr std::int64_t shortest_pause = 10'000'000;  // nanoseconds
  // A waiting thread looks by itself so often: whoever served it may have been stopped before waking it.
  static constexpr std::chrono::milliseconds longest_sleep{250};

  static std::size_t nook_count(const pool_options<T>& options) {
    if (options.order == idle_order::fifo) return 0;
    const std::size_t threads = std::bit_ceil(std::max<std::size_t>(std::thread::hardware_concurrency(), 1));
    return std::clamp<std::size_t>(2 * threads, 4, 64);
  }

  static steady_clock::time_point after(steady_clock::time_point from, std::chrono::nanoseconds d) noexcept {
    const auto most = steady_clock::time_point::max() - from;
    return d < most ? from + std::chrono::duration_cast<steady_clock::duration>(d) : steady_clock::time_point::max();
  }

  static void count(std::atomic<std::uint64_t>& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] std::uint32_t near() const noexcept {
    const auto* const record = options_.domain->try_local();
    return record != nullptr ? static_cast<std::uint32_t>(record->index()) : 0;
  }

  // Background work that may call the caller's code; who waits for it is told when it ends.
  struct background {
    explicit background(pool_machine& machine) noexcept : held{machine}, stay{std::in_place, machine.callers_code_} {}
    background(const background&) = delete;
    background& operator=(const background&) = delete;
    ~background() {
      stay.reset();
      if ((held->lending_.flags() & protocol::closed) != 0) held->departures_.raise();
    }
    holder held;
    std::optional<callers_code::stay> stay;
  };

  // Calls `f` with the machine kept alive whatever happens to its holders meanwhile.
  template <class F>
  BANYAN_ALWAYS_INLINE void guarded(F f) noexcept {
    hazard_domain& domain = *options_.domain;
    bool gone = false;
    {
      hazard_slots<1> guard{std::nothrow, domain};
      if (guard) [[likely]] {
        // The caller has a connection, so there is a holder now: no second look is needed. Whoever retires the machine
        // does so after it took what we give, hence after this store.
        guard.publish(0, this);
        f();
        // acquire: as (1) of `release`, for the one who was the last but one
        gone = holders_.load(std::memory_order_acquire) == 0;
      } else {
        retain();
        f();
        release();
      }
    }
    // It was retired under our eyes, and only we kept it, perhaps: with it go the factory and the hooks.
    if (gone) [[unlikely]] {
      domain.reclaim();
    }
  }

  auto waker() noexcept {
    return [this](ticket place, std::uint32_t kind) noexcept {
      pool_waiter& waiter = waiters_[place.index];
      if (kind == waiting_thread) {
        // The entry may be in another's turn by now, who then looks once more than needed.
        waiter.woken.value().fetch_add(1, std::memory_order_release);
        waiter.woken.notify_one();
        return;
      }
      auto* const asked = static_cast<request*>(waiter.request.load(std::memory_order_relaxed));
      const std::uint32_t given = *lending_.given(place);
      lending_.finish(place);
      hand_over(*asked, given);
    };
  }

  // ---- lending and taking back

  // From the fast path's `got`. Ends at `deadline`: it may take one validation after the other to find a connection
  // that works.
  BANYAN_COLD answer try_borrow_with_care(protocol::taken got, const char* tag, std::int64_t now,
                                          steady_clock::time_point deadline) noexcept {
    // Without attention the fast path has asked already: what it got was refused, and is closed.
    if (got.attention == 0 && got.item != protocol::none) got = lending_.take(near(), waker());
    while (got.item != protocol::none) {
      if ((got.attention & protocol::closed) != 0) {
        close_connection(got.item, close_cause::closed);
        dispose_idle();
        return unexpected{pool_error{pool_errc::closed}};
      }
      if (admit(got.item, now)) return answer{lend(got.item, tag, now)};
      if (steady_clock::now() >= deadline) return unexpected{pool_error{pool_errc::exhausted}};
      got = lending_.take(near(), waker());
    }
    return nothing_idle(got.attention, now);
  }

  BANYAN_COLD answer borrow_with_care(protocol::taken first, const char* tag, std::chrono::nanoseconds timeout,
                                      std::int64_t now) noexcept {
    const auto began = steady_clock::now();
    const auto deadline = after(began, timeout);
    // One who does not wait takes the time it takes, as `try_borrow`.
    const auto last_try = timeout.count() > 0 ? deadline : steady_clock::time_point::max();
    {
      answer got = try_borrow_with_care(first, tag, now, last_try);
      if (got || got.error() == pool_errc::closed) return got;
    }
    if (steady_clock::now() >= last_try) return too_late();
    for (bool at_front = false;; at_front = true) {
      const ticket place = lending_.prepare_to_wait(waiting_thread, at_front ? protocol::none : most_waiting());
      if (!place) return unexpected{pool_error{pool_errc::too_many_waiting}};
      waiters_[place.index].request.store(nullptr, std::memory_order_relaxed);  // published by the join
      empty_if_closed(lending_.join(place, at_front, near(), waker()));
      const std::optional<std::uint32_t> given = wait_for(place, deadline);
      lending_.finish(place);
      if (!given) return too_late();
      if (*given == protocol::refused) return unexpected{pool_error{pool_errc::closed}};
      if (*given == protocol::failed) return unexpected{pool_error{pool_errc::open_failed, last_error()}};
      const std::int64_t served = clock_();
      const std::uint32_t item = *given == protocol::look_again ? look_again() : *given;
      if (item == protocol::none) continue;
      if (!admit(item, served)) {
        if (steady_clock::now() < last_try) continue;
        return too_late();
      }
      waits_.record(steady_clock::now() - began);
      return answer{lend(item, tag, served)};
    }
  }

  answer too_late() noexcept {
    count(timeouts_);
    return unexpected{pool_error{pool_errc::timeout, last_error()}};
  }

  // For a waiter that was told so: what is idle now, if anything is.
  std::uint32_t look_again() noexcept {
    const protocol::taken got = lending_.take(near(), waker());
    if ((got.attention & protocol::closed) == 0 || got.item == protocol::none) return got.item;
    close_connection(got.item, close_cause::closed);
    dispose_idle();
    return protocol::none;
  }

  // Whether the connection, which is ours, may be lent; if not it is closed.
  BANYAN_ALWAYS_INLINE bool admit(std::uint32_t item, std::int64_t now) noexcept {
    if (connections_.fit(item, now)) [[likely]] {
      return true;
    }
    return admit_with_care(item, now);
  }

  BANYAN_COLD bool admit_with_care(std::uint32_t item, std::int64_t now) noexcept {
    std::exception_ptr cause;
    const auto refusal = connections_.refusal(item, now, cause);
    if (!refusal) return true;
    // New ones that nobody could use are no success: opening one after the other would be a storm.
    if (*refusal == close_cause::invalid && connections_.newborn(item, now)) {
      tell(std::move(cause));
      refused_new_.fetch_add(1, std::memory_order_relaxed);
      pace_.set_back(clock_(), connections_.failure_bits());
    }
    close_connection(item, *refusal);
    return false;
  }

  BANYAN_ALWAYS_INLINE lease<T> lend(std::uint32_t item, const char* tag, std::int64_t now) noexcept {
    if (connections_.begin_use(item, tag, now)) [[unlikely]] {
      first_use();
    }
    return lease<T>{*this, item};
  }

  BANYAN_ALWAYS_INLINE void take_back(std::uint32_t item, std::int64_t now) noexcept {
    connections_.end_use(item, now);
    if (const auto rejection = connections_.rejection(item, now, min(), max())) [[unlikely]] {
      return dispose(item, *rejection);
    }
    make_idle(item);
    run_if_due(now);
  }

  // The caller keeps the machine alive.
  void make_idle(std::uint32_t item) noexcept { empty_if_closed(lending_.put(item, near(), waker())); }

  void empty_if_closed(std::uint32_t attention) noexcept {
    if ((attention & protocol::closed) != 0) [[unlikely]] {
      dispose_idle();
    }
  }

  BANYAN_COLD answer nothing_idle(std::uint32_t attention, std::int64_t now) noexcept {
    if ((attention & protocol::closed) != 0) {
      dispose_idle();
      return unexpected{pool_error{pool_errc::closed}};
    }
    ensure_opening(now, 1, false);
    return unexpected{pool_error{(attention & protocol::suspended) != 0 ? pool_errc::suspended : pool_errc::exhausted}};
  }

  // ---- waiting

  std::optional<std::uint32_t> wait_for(ticket place, steady_clock::time_point deadline) noexcept {
    pool_waiter& waiter = waiters_[place.index];
    for (;;) {
      const std::uint32_t seen = waiter.woken.value().load(std::memory_order_acquire);
      if (const auto given = lending_.given(place)) return given;
      const std::int64_t ticks = clock_();
      ensure_opening(ticks, 0, false);
      if (opens_by_itself() && open_while_waiting(ticks)) continue;
      const auto now = steady_clock::now();
      if (now >= deadline) {
        if (lending_.leave(place)) return std::nullopt;
        continue;
      }
      auto until = std::min(deadline, now + longest_sleep);
      if (opens_by_itself() && pace_.not_before() > ticks) {
        until = std::min(until, after(now, std::chrono::nanoseconds{pace_.not_before() - ticks}));
      }
      // Nobody woke us for long: who should have may be stopped, or who was woken instead.
      if (!waiter.woken.wait_until(seen, until)) empty_if_closed(lending_.settle(near(), waker()));
    }
  }

  void stand_in_line(request& asked, bool at_front, std::int64_t now) noexcept {
    const ticket place = lending_.prepare_to_wait(waiting_request, at_front ? protocol::none : most_waiting());
    if (!place) return hand_over(asked, no_room);
    retain();
    const std::int64_t deadline = asked.deadline();
    waiters_[place.index].request.store(&asked, std::memory_order_relaxed);  // published by the join
    waiters_[place.index].deadline.store(deadline, std::memory_order_relaxed);
    asked.place.store(std::uint64_t{place.turn} << 32 | place.index, std::memory_order_release);  // pairs with cancel
    // From here `asked` may be answered and gone, and with it whoever else kept the machine.
    empty_if_closed(lending_.join(place, at_front, near(), waker()));
    ensure_opening(now, 0, false);
    if (deadline < next_maintenance_.load(std::memory_order_relaxed)) housekeeping_.raise();
    release();
  }

  [[nodiscard]] std::uint32_t most_waiting() const noexcept { return static_cast<std::uint32_t>(options_.max_waiting); }

  // True: the request is the caller's to answer.
  bool withdraw(ticket place) noexcept {
    if (!lending_.leave(place)) return false;
    lending_.finish(place);
    return true;
  }

  std::int64_t time_out_requests(std::int64_t now, std::int64_t next) noexcept {
    lending_.for_each_waiting([&](ticket place) noexcept {
      const std::int64_t deadline = waiters_[place.index].deadline.load(std::memory_order_relaxed);
      auto* const asked = static_cast<request*>(waiters_[place.index].request.load(std::memory_order_relaxed));
      if (asked == nullptr) return true;
      if (deadline > now) {
        next = std::min(next, deadline);
        return true;
      }
      if (lending_.leave(place)) {
        // Live until we withdrew it, so what we read was of this turn.
        lending_.finish(place);
        count(timeouts_);
        hand_over(*asked, timed_out);
      }
      return true;
    });
    return next;
  }

  // ---- answers

  static constexpr std::uint32_t timed_out = claim_list<>::max_value - 3;
  static constexpr std::uint32_t cancelled = claim_list<>::max_value - 4;
  static constexpr std::uint32_t no_room = claim_list<>::max_value - 5;

  // Brings a request and what it was given to the executor. The executor may drop the task: then the connection goes
  // back, and the request is destroyed unanswered.
  struct delivery {
    explicit delivery(request& asked) noexcept : asked_{&asked} {}
    delivery(delivery&& other) noexcept : asked_{std::exchange(other.asked_, nullptr)} {}
    delivery& operator=(delivery&&) = delete;
    ~delivery() {
      if (asked_ == nullptr) return;
      asked_->dropped = true;
      in_turn::run_from_executor(*asked_);
    }
    void operator()() noexcept { in_turn::run_from_executor(*std::exchange(asked_, nullptr)); }
    request* asked_;
  };

  static bool is_item(std::uint32_t given) noexcept { return given < protocol::max_items; }

  void hand_over(request& asked, std::uint32_t given) noexcept {
    asked.given = given;
    if (!options_.executor) return in_turn::run(asked);
    in_turn::handing_over([&] { (void)caught([&] { options_.executor.execute(delivery{asked}); }); });
  }

  static void answer_now(request& asked, answer&& result) noexcept {
    asked.answered(std::move(result));
    asked.unref();
  }

  // ---- opening

  [[nodiscard]] bool opens_by_itself() const noexcept {
    return options_.maintenance == pool_maintenance::caller && !options_.executor;
  }

  // More are waiting, or wished for, than are on their way, or fewer stay than should.
  [[nodiscard]] bool wants_more(std::uint32_t extra) const noexcept {
    const std::uint32_t flags = lending_.flags();
    if ((flags & protocol::closed) != 0) return false;
    // While it is suspended those who wait may have what is idle afterwards; what they lack is opened then.
    return ((flags & protocol::suspended) == 0 && lending_.waiting() + extra > pace_.opening() &&
            connections_.headcount().alive() < max()) ||
           connections_.headcount().staying() < min();
  }

  void ensure_opening(std::int64_t now, std::uint32_t extra, bool here) noexcept {
    if (opens_by_itself() && !here) return;
    // Not for ever: an executor that drops its tasks leaves everything as it was.
    for (std::size_t tries = opens_by_itself() ? capacity() : options_.max_opening; tries != 0 && wants_more(extra);
         --tries) {
      if (!pace_.try_begin(now)) return;
      const std::uint32_t item = reserve();
      if (item == protocol::none) return pace_.abandoned();
      if (opens_by_itself()) {
        if (!open(item, now)) return;
      } else if (!post_opening(item)) {
        return;
      }
      if (extra != 0) --extra;
    }
  }

  bool open_while_waiting(std::int64_t now) noexcept {
    if (!wants_more(0) || !pace_.try_begin(now)) return false;
    const std::uint32_t item = reserve();
    if (item == protocol::none) return pace_.abandoned(), false;
    (void)open(item, now);
    return true;
  }

  // A connection on its way, in the hands of a task: abandoned when the task is dropped.
  struct opening_task {
    opening_task(pool_machine& machine, std::uint32_t item) noexcept : machine_{&machine}, item_{item} {
      machine.retain();
    }
    opening_task(opening_task&& other) noexcept
        : machine_{std::exchange(other.machine_, nullptr)}, item_{std::exchange(other.item_, protocol::none)} {}
    opening_task& operator=(opening_task&&) = delete;
    ~opening_task() {
      if (machine_ == nullptr) return;
      if (item_ != protocol::none) {
        machine_->pace_.abandoned();
        machine_->vacate(item_);
      }
      machine_->release();
    }
    void operator()() noexcept {
      // One after the other while more are wanted, rather than a task for each.
      while (machine_->open(std::exchange(item_, protocol::none), machine_->clock_())) {
        if (!machine_->wants_more(0) || !machine_->pace_.try_begin(machine_->clock_())) return;
        item_ = machine_->reserve();
        if (item_ == protocol::none) return machine_->pace_.abandoned();
      }
    }
    pool_machine* machine_;
    std::uint32_t item_;
  };

  bool post_opening(std::uint32_t item) noexcept {
    return caught([&] {
             if (options_.executor) {
               options_.executor.execute(opening_task{*this, item});
             } else {
               thread_executor{}.execute(opening_task{*this, item});
             }
           }) == nullptr;
  }

  // A place for one more connection; none when there are as many as may be. Counts as a holder.
  std::uint32_t reserve() noexcept {
    const std::uint32_t item = connections_.reserve(max());
    if (item != protocol::none) retain();
    return item;
  }

  void vacate(std::uint32_t item) noexcept {
    connections_.headcount().leave();
    depart(item);
  }

  // Makes a connection in a reserved place, and lends or keeps it. Counts as opening until then.
  bool open(std::uint32_t item, std::int64_t now) noexcept {
    const background scope{*this};
    std::exception_ptr cause;
    if ((lending_.flags() & protocol::closed) != 0) {
      pace_.abandoned();
      vacate(item);
      return false;
    }
    if (!connections_.make(item, now, cause)) {
      tell(std::move(cause));
      pace_.failed(clock_(), connections_.failure_bits());
      vacate(item);
      if (options_.fail_fast) lending_.refuse_all(protocol::failed, waker());
      housekeeping_.raise();
      return false;
    }
    // Refused ones have to be followed by one that was of use.
    pace_.succeeded(refused_new_.load(std::memory_order_relaxed) == 0);
    make_idle(item);
    return true;
  }

  BANYAN_COLD void first_use() noexcept {
    refused_new_.store(0, std::memory_order_relaxed);
    if (last_error() != nullptr) tell(nullptr);
  }

  void tell(std::exception_ptr cause) noexcept {
    (void)caught([&] { last_error_.publish(std::move(cause)); });
  }

  std::exception_ptr last_error() const noexcept {
    const auto error = last_error_.try_read();
    return error ? *error : nullptr;
  }

  // ---- closing

  // Closes a connection of ours.
  void close_connection(std::uint32_t item, close_cause cause) noexcept {
    connections_.headcount().leave();
    dispose(item, cause);
  }

  // Closes a connection of ours, which counts as leaving. The caller keeps the machine alive.
  BANYAN_COLD void dispose(std::uint32_t item, close_cause cause) noexcept {
    connections_.destroy(item, cause);
    retain();
    depart(item);
    ensure_opening(clock_(), 0, false);
    release();
  }

  // The slot is free, then the place, then the holder is gone.
  void depart(std::uint32_t item) noexcept {
    connections_.vacate(item);
    if ((lending_.flags() & protocol::closed) != 0) departures_.raise();
    release();
  }

  void dispose_idle() noexcept {
    for (std::uint32_t item = lending_.take_any(near()); item != protocol::none; item = lending_.take_any(near())) {
      close_connection(item, close_cause::closed);
    }
  }

  // ---- maintenance

  void run_if_due(std::int64_t now) noexcept {
    if (options_.maintenance != pool_maintenance::executor) return;
    std::int64_t next = next_maintenance_.load(std::memory_order_relaxed);
    // Farther away than any: the clock was set back.
    if ((now < next && next - now <= options_.maintenance_interval.count()) ||
        !next_maintenance_.compare_exchange_strong(next, now + options_.maintenance_interval.count(),
                                                   std::memory_order_relaxed)) {
      return;
    }
    (void)caught([&] { options_.executor.execute([held = holder{*this}] { (void)held->maintain(held->clock_()); }); });
  }

  // Returns how many more are to be opened, so that those that are to retire can.
  std::uint32_t look_at_connections(std::int64_t now) noexcept {
    std::uint32_t replacements = 0;
    for (std::uint32_t i = 0; i < connections_.numbers(); ++i) {
      if (!connections_.is_open(i)) continue;
      if (connections_.is_lent(i)) {
        connections_.look_for_leak(i, now);
        continue;
      }
      if (!connections_.evicted(i) && !connections_.expired(i, now) && !connections_.surplus(max()) &&
          !connections_.idle_too_long(i, now, min()) && !connections_.to_keep_alive(i, now)) {
        continue;
      }
      if (!lending_.take_this(i)) continue;
      if (connections_.evicted(i)) {
        close_connection(i, close_cause::evicted);
      } else if (connections_.surplus(max()) && connections_.headcount().try_leave(max())) {
        dispose(i, close_cause::surplus);
      } else if (connections_.idle_too_long(i, now, min()) && connections_.headcount().try_leave(min())) {
        dispose(i, close_cause::idle);
      } else if (connections_.expired(i, now) && may_retire(replacements)) {
        dispose(i, close_cause::expired);
      } else if (connections_.to_keep_alive(i, now) && !connections_.keep_alive(i, now)) {
        close_connection(i, close_cause::invalid);
      } else {
        make_idle(i);
      }
    }
    return replacements;
  }

  // Where there is room, the one that follows comes first; where there is none, one at a time makes room.
  bool may_retire(std::uint32_t& replacements) noexcept {
    if (connections_.headcount().try_leave(min())) return true;
    if (connections_.headcount().alive() < max()) {
      ++replacements;
      return false;
    }
    if (pace_.opening() != 0) return false;
    connections_.headcount().leave();
    return true;
  }

  const pool_options<T> options_;
  const clock_function clock_;

  pool_connections<T> connections_;
  zeroed_array<std::atomic<std::uint64_t>> places_;
  zeroed_array<claim_entry<>> idle_entries_;
  zeroed_array<claim_entry<>> waiting_entries_;
  zeroed_array<pool_waiter> waiters_;
  zeroed_array<protocol::nook> nooks_;
  protocol lending_;

  alignas(cache_line_size) opening_pace<> pace_;
  std::atomic<std::uint32_t> min_;
  std::atomic<std::uint32_t> max_;
  callers_code callers_code_;
  std::atomic<std::uint64_t> holders_{1};  // the pool itself

  std::atomic<bool> maintaining_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> next_maintenance_{std::numeric_limits<std::int64_t>::min()};
  signal housekeeping_;
  signal departures_;
  published<std::exception_ptr> last_error_;

  std::atomic<std::uint32_t> refused_new_{0};  // in a row, before one was lent
  std::atomic<std::uint64_t> timeouts_{0};
  std::atomic<std::uint64_t> cancelled_{0};
  duration_histogram waits_;
};

}  // namespace banyan::detail
