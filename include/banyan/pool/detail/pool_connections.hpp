#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/detail/index_stack.hpp>
#include <banyan/core/duration_histogram.hpp>
#include <banyan/core/process_seed.hpp>
#include <banyan/core/random.hpp>
#include <banyan/core/zeroed_array.hpp>
#include <banyan/pool/detail/pool_slot.hpp>
#include <banyan/pool/detail/population.hpp>
#include <banyan/pool/pool_options.hpp>
#include <banyan/pool/pool_stats.hpp>

namespace banyan::detail {

/// Makes a connection in place.
template <class T>
struct connection_maker {
  connection_maker() = default;
  connection_maker(const connection_maker&) = delete;
  connection_maker& operator=(const connection_maker&) = delete;
  virtual ~connection_maker() = default;
  /// Whether it was made; if not, `cause` is what was thrown, if anything was.
  virtual bool make(void* where, std::exception_ptr& cause) noexcept = 0;
};

/// The connections of a pool, by number: where they live, how they come and go, how old and how fit they are. Nothing
/// of who has them: but for what it says of all, each function is called by whoever has the connection, or the place,
/// at that moment. Calls the factory and the hooks.
template <class T>
class pool_connections {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  using clock_function = std::int64_t (*)() noexcept;

  pool_connections(const pool_options<T>& options, std::unique_ptr<connection_maker<T>> make, clock_function clock)
      : options_{options},
        make_{std::move(make)},
        clock_{clock},
        capacity_{static_cast<std::uint32_t>(std::max<std::size_t>(options.max, least_capacity))},
        slots_{capacity_, 0} {}

  // ---- places

  /// So many there can ever be.
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
  /// Numbers from 0 to below this have been in use.
  [[nodiscard]] std::uint32_t numbers() const noexcept {
    return std::min(fresh_.load(std::memory_order_acquire), capacity_);
  }
  [[nodiscard]] population<>& headcount() noexcept { return population_; }
  [[nodiscard]] const population<>& headcount() const noexcept { return population_; }

  /// A place for one more; none when there are `most`.
  [[nodiscard]] std::uint32_t reserve(std::uint32_t most) noexcept {
    if (!population_.try_enter(most)) return none;
    const std::uint32_t item = free_.pop(free_links());
    if (item != index_stack::none) return item;
    // Those alive are never more than the slots, and a slot is free before its connection no longer counts as alive.
    return fresh_.fetch_add(1, std::memory_order_acq_rel);
  }

  /// The place of one that was about to leave.
  void vacate(std::uint32_t item) noexcept {
    free_.push(item, free_links());
    population_.left();
  }

  // ---- coming and going

  /// In a reserved place. `asked`: its time of birth is not before this.
  bool make(std::uint32_t item, std::int64_t asked, std::exception_ptr& cause) noexcept {
    slot& s = slots_[item];
    const std::uint32_t generation = generation_.load(std::memory_order_seq_cst);
    bool made = make_->make(s.place(), cause);
    if (made && options_.on_create) {
      cause = caught([&] { options_.on_create(s.value()); });
      if (cause != nullptr) {
        std::destroy_at(&s.value());
        made = false;
      }
    }
    if (!made) {
      count(failures_);
      return false;
    }
    const std::int64_t now = std::max(clock_(), asked);
    splitmix64 random{process_seed() ^ mix_bits(created_.load(std::memory_order_relaxed) << 20 | item)};
    s.last_used.store(now, std::memory_order_relaxed);
    s.checked_at.store(now, std::memory_order_relaxed);
    s.proven = false;
    s.dies_at = from(now, options_.max_lifetime.count());
    s.retire_at.store(from(now, drawn(options_.max_lifetime.count(), random)), std::memory_order_relaxed);
    s.keepalive.store(drawn(options_.keepalive.count(), random), std::memory_order_relaxed);
    s.generation.store(generation, std::memory_order_relaxed);
    s.lent_since.store(0, std::memory_order_relaxed);
    s.open.store(true, std::memory_order_release);  // release: pairs with `is_open`
    count(created_);
    return true;
  }

  void destroy(std::uint32_t item, close_cause cause) noexcept {
    slot& s = slots_[item];
    s.open.store(false, std::memory_order_relaxed);
    s.lent_since.store(0, std::memory_order_relaxed);
    if (options_.on_close) (void)caught([&] { options_.on_close(s.value()); });
    std::destroy_at(&s.value());
    count(closed_[static_cast<std::size_t>(cause)]);
  }

  [[nodiscard]] T& value(std::uint32_t item) noexcept { return slots_[item].value(); }

  /// Those that are there now are not to be lent again.
  void evict() noexcept { generation_.fetch_add(1, std::memory_order_seq_cst); }

  // ---- use

  /// Whether it may be lent without further questions.
  [[nodiscard]] BANYAN_ALWAYS_INLINE bool fit(std::uint32_t item, std::int64_t now) const noexcept {
    const slot& s = slots_[item];
    return !evicted(s) && now < s.dies_at && !to_validate(s, now) && !options_.on_borrow;
  }

  /// Why it may not be lent; nothing when it may. Asks `validate` and `on_borrow`; `cause` is what they threw.
  [[nodiscard]] std::optional<close_cause> refusal(std::uint32_t item, std::int64_t now,
                                                   std::exception_ptr& cause) noexcept {
    slot& s = slots_[item];
    if (evicted(s)) return close_cause::evicted;
    if (now >= s.dies_at) return close_cause::expired;
    if (to_validate(s, now) && !still_valid(item, cause)) return close_cause::invalid;
    if (options_.on_borrow) cause = caught([&] { options_.on_borrow(s.value()); });
    if (cause != nullptr) return close_cause::invalid;
    return std::nullopt;
  }

  /// Whether it was opened just now and has never been lent: what is wrong with it is wrong with opening.
  [[nodiscard]] bool newborn(std::uint32_t item, std::int64_t now) const noexcept {
    const slot& s = slots_[item];
    return !s.proven && now - s.last_used.load(std::memory_order_relaxed) <
                            std::max<std::int64_t>(options_.validate_after.count(), least_youth);
  }

  /// True: for the first time.
  BANYAN_ALWAYS_INLINE bool begin_use(std::uint32_t item, const char* tag, std::int64_t now) noexcept {
    slot& s = slots_[item];
    const std::uint64_t before = s.lendings.load(std::memory_order_relaxed);
    s.lendings.store(before + 1, std::memory_order_relaxed);
    s.precise_start = (before & sample_mask) == 0 ? steady_clock::now().time_since_epoch().count() : 0;
    s.tag.store(tag, std::memory_order_relaxed);
    s.lent_since.store(now != 0 ? now : 1, std::memory_order_relaxed);
    return !std::exchange(s.proven, true);
  }

  BANYAN_ALWAYS_INLINE void end_use(std::uint32_t item, std::int64_t now) noexcept {
    slot& s = slots_[item];
    if (s.precise_start != 0) [[unlikely]] {
      const auto end = steady_clock::now().time_since_epoch().count();
      usage_.record(
          std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::duration{end - s.precise_start}));
    }
    s.lent_since.store(0, std::memory_order_relaxed);
    s.last_used.store(now, std::memory_order_relaxed);
    if (s.leak_told.load(std::memory_order_relaxed)) s.leak_told.store(false, std::memory_order_relaxed);
  }

  /// Why it is not to be kept after use; then it counts as leaving. Asks `on_return`.
  [[nodiscard]] BANYAN_ALWAYS_INLINE std::optional<close_cause> rejection(std::uint32_t item, std::int64_t now,
                                                                          std::uint32_t min,
                                                                          std::uint32_t max) noexcept {
    slot& s = slots_[item];
    std::optional<close_cause> why;
    if (options_.on_return && caught([&] { options_.on_return(s.value()); }) != nullptr) [[unlikely]] {
      why = close_cause::invalid;
    } else if (evicted(s)) [[unlikely]] {
      why = close_cause::evicted;
    }
    if (why) [[unlikely]] {
      population_.leave();
      return why;
    }
    if (expired(item, now) && population_.try_leave(min)) return close_cause::expired;
    if (surplus(max) && population_.try_leave(max)) return close_cause::surplus;
    return std::nullopt;
  }

  // ---- age, asked by maintenance of connections that others may have: then the answer is a guess

  /// acquire: what is said of an open one afterwards is of that one, or of a later one in its place.
  [[nodiscard]] bool is_open(std::uint32_t item) const noexcept {
    return slots_[item].open.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool is_lent(std::uint32_t item) const noexcept {
    return slots_[item].lent_since.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] bool evicted(std::uint32_t item) const noexcept { return evicted(slots_[item]); }
  [[nodiscard]] bool expired(std::uint32_t item, std::int64_t now) const noexcept {
    return now >= slots_[item].retire_at.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool surplus(std::uint32_t max) const noexcept { return population_.staying() > max; }
  [[nodiscard]] bool idle_too_long(std::uint32_t item, std::int64_t now, std::uint32_t min) const noexcept {
    const std::int64_t limit = options_.idle_timeout.count();
    return limit > 0 && now - slots_[item].last_used.load(std::memory_order_relaxed) >= limit &&
           population_.staying() > min;
  }
  [[nodiscard]] bool to_keep_alive(std::uint32_t item, std::int64_t now) const noexcept {
    const slot& s = slots_[item];
    const std::int64_t after = s.keepalive.load(std::memory_order_relaxed);
    const std::int64_t last =
        std::max(s.checked_at.load(std::memory_order_relaxed), s.last_used.load(std::memory_order_relaxed));
    return after > 0 && options_.validate && now - last >= after;
  }

  /// Asks `validate`. The caller has it.
  [[nodiscard]] bool keep_alive(std::uint32_t item, std::int64_t now) noexcept {
    slots_[item].checked_at.store(now, std::memory_order_relaxed);
    std::exception_ptr cause;
    return still_valid(item, cause);
  }

  /// Reports one that is lent, if it has been for too long, once.
  void look_for_leak(std::uint32_t item, std::int64_t now) noexcept {
    slot& s = slots_[item];
    const std::int64_t since = s.lent_since.load(std::memory_order_relaxed);
    const std::int64_t limit = options_.leak_threshold.count();
    if (since == 0 || limit <= 0 || now - since < limit) return;
    if (s.leak_told.exchange(true, std::memory_order_relaxed)) return;
    count(leaks_);
    const pool_leak leak{s.tag.load(std::memory_order_relaxed), std::chrono::nanoseconds{now - since}};
    if (options_.on_leak) (void)caught([&] { options_.on_leak(leak); });
  }

  /// Random bits that differ from call to call.
  [[nodiscard]] std::uint64_t failure_bits() const noexcept {
    return mix_bits(process_seed() + failures_.load(std::memory_order_relaxed));
  }

  /// Fills in what is known here.
  void add_to(pool_stats& s) const noexcept {
    for (std::uint32_t i = 0; i < numbers(); ++i) {
      s.borrowed += slots_[i].lendings.load(std::memory_order_relaxed);
      if (!is_open(i)) continue;
      ++(is_lent(i) ? s.in_use : s.idle);
    }
    s.created = created_.load(std::memory_order_relaxed);
    s.open_failures = failures_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < close_causes; ++i) s.closed[i] = closed_[i].load(std::memory_order_relaxed);
    s.leaks = leaks_.load(std::memory_order_relaxed);
    s.usage_times = usage_.read();
  }

 private:
  using slot = pool_slot<T>;
  static constexpr std::size_t least_capacity = 1'024;
  static constexpr std::uint64_t sample_mask = 15;
  static constexpr std::int64_t least_youth = 100'000'000;  // nanoseconds

  static void count(std::atomic<std::uint64_t>& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

  BANYAN_ALWAYS_INLINE bool evicted(const slot& s) const noexcept {
    return s.generation.load(std::memory_order_relaxed) != generation_.load(std::memory_order_seq_cst);
  }
  BANYAN_ALWAYS_INLINE bool to_validate(const slot& s, std::int64_t now) const noexcept {
    return options_.validate && now - s.last_used.load(std::memory_order_relaxed) >= options_.validate_after.count();
  }
  bool still_valid(std::uint32_t item, std::exception_ptr& cause) noexcept {
    bool valid = false;
    cause = caught([&] { valid = options_.validate(slots_[item].value()); });
    return cause == nullptr && valid;
  }

  static std::int64_t from(std::int64_t now, std::int64_t d) noexcept {
    constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
    return d > 0 && now < never - d ? now + d : never;
  }
  std::int64_t drawn(std::int64_t d, splitmix64& random) const noexcept {
    if (d <= 0) return 0;
    return d - static_cast<std::int64_t>(options_.jitter * random_unit(random) * static_cast<double>(d));
  }

  auto free_links() noexcept {
    return [this](std::uint32_t i) -> std::atomic<std::uint32_t>& { return slots_[i].free_link; };
  }

  const pool_options<T>& options_;
  const std::unique_ptr<connection_maker<T>> make_;
  const clock_function clock_;
  const std::uint32_t capacity_;
  zeroed_array<slot> slots_;

  population<> population_;
  index_stack free_;
  std::atomic<std::uint32_t> fresh_{0};
  std::atomic<std::uint32_t> generation_{0};

  std::atomic<std::uint64_t> created_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> closed_[close_causes]{};
  std::atomic<std::uint64_t> leaks_{0};
  duration_histogram usage_;
};

}  // namespace banyan::detail
