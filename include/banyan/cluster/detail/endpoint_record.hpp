#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <banyan/cluster/detail/cycle_counter.hpp>
#include <banyan/cluster/detail/endpoint_state.hpp>
#include <banyan/cluster/detail/ticks.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/hazard_slots.hpp>
#include <banyan/hashing/hash_of.hpp>

namespace banyan::detail {

/// What all endpoints of a cluster have in common. Lives as long as any of them.
struct cluster_terms {
  hazard_domain* domain = nullptr;
  detail::stripes stripes{};
  float decay = 0;                   // halvings of a latency per nanosecond
  std::int64_t failure_penalty = 0;  // nanoseconds
  // No thread has used a stripe from here on: estimates need not look there.
  alignas(cache_line_size) std::atomic<std::uint32_t> used_stripes{1};
  alignas(cache_line_size) signal events{};

  /// The stripe of the thread, which is about to write there.
  [[nodiscard]] std::uint32_t stripe_of(const hazard_domain::thread_record& thread) noexcept {
    const std::uint32_t mine = stripes.of(thread.index());
    std::uint32_t used = used_stripes.load(std::memory_order_relaxed);
    while (mine >= used && !used_stripes.compare_exchange_weak(used, mine + 1, std::memory_order_relaxed)) {
    }
    return mine;
  }
};

/// One endpoint, apart from the user's value. It survives every change of the membership and lives until it has been
/// removed, no list names it and no token is out.
class endpoint_record : public hazard_pointer_obj_base<endpoint_record, void (*)(endpoint_record*)> {
 public:
  endpoint_record(const endpoint_record&) = delete;
  endpoint_record& operator=(const endpoint_record&) = delete;

  [[nodiscard]] endpoint_id id() const noexcept { return id_; }

  /// Before it is listed anywhere.
  void name_itself(endpoint_id id) {
    id_ = id;
    if (name_.empty()) name_ = std::to_string(id.value());
    name_hash_ = hash_of(std::string_view{name_});
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t name_hash() const noexcept { return name_hash_; }
  [[nodiscard]] endpoint_state& state() noexcept { return state_; }
  [[nodiscard]] const endpoint_state& state() const noexcept { return state_; }
  [[nodiscard]] flight_cell* cells() const noexcept { return cells_.get(); }
  [[nodiscard]] cluster_terms& terms() const noexcept { return *terms_; }

  /// Start of the warm-up in nanoseconds; `not_warming` when there is none. Wait-free.
  static constexpr std::int64_t not_warming = INT64_MIN;
  [[nodiscard]] std::int64_t warming_since() const noexcept { return warming_since_.load(std::memory_order_relaxed); }
  void end_warm_up(std::int64_t since) noexcept {
    warming_since_.compare_exchange_strong(since, not_warming, std::memory_order_relaxed);  // unless it began anew
  }
  void warm_up(std::int64_t since) noexcept { warming_since_.store(since, std::memory_order_relaxed); }

  /// The run of failures at which whoever watches is woken; 0: never.
  void alarm_at(std::uint32_t failures, std::uint32_t unanswered) noexcept {
    alarm_.store(failures, std::memory_order_relaxed);
    silence_alarm_.store(unanswered, std::memory_order_relaxed);
  }

  /// See `endpoint_state::settle`. The caller protects the record by a hazard, or lists it.
  void settle() noexcept {
    const endpoint_state::settled found = state_.settle();
    if (found == endpoint_state::settled::busy) return;
    // A record that is freed has no other protector than us: its cluster's waiters are woken while it is there.
    terms_->events.raise();
    if (found == endpoint_state::settled::last) retire(destroy_, *terms_->domain);
  }

  /// A use went well or failed; `nanoseconds` it took, 0 when not known, and the time. Lock-free; wait-free but for the
  /// failure that raises the alarm.
  enum class outcome : std::uint8_t { success, failure, unanswered };
  void report(std::uint32_t mine, outcome how, std::int64_t nanoseconds, std::int64_t now) noexcept {
    if (how == outcome::success) {
      state_.count_success(mine);
      if (nanoseconds > 0) sample_latency(mine, nanoseconds, now);
      return;
    }
    sample_latency(mine, nanoseconds > terms_->failure_penalty ? nanoseconds : terms_->failure_penalty, now);
    // Runs are at least 1, but for the unanswered ones of a failure that was answered.
    const endpoint_state::failure_runs runs = state_.count_failure(mine, how != outcome::unanswered);
    if (runs.failures == alarm_.load(std::memory_order_relaxed) ||
        (runs.unanswered != 0 && runs.unanswered == silence_alarm_.load(std::memory_order_relaxed)))
      terms_->events.raise();
  }

  /// What thread `mine` thinks is in flight: its own part exactly, the others' as of a few thousand cycles ago. So
  /// threads that pick all the time do not fetch each other's cache lines every time.
  [[nodiscard]] std::int64_t seen_in_flight(std::uint32_t mine, std::uint32_t cycles) noexcept {
    flight_cell& own = cells_[mine];
    if (cycles - own.flights_seen.load(std::memory_order_relaxed) > cycle_counter::microseconds_20) {
      std::int64_t others = 0;
      const std::uint32_t used = terms_->used_stripes.load(std::memory_order_relaxed);
      for (std::uint32_t i = 0; i < used; ++i) {
        if (i != mine) others += cells_[i].in_flight.load(std::memory_order_relaxed);
      }
      own.others.store(static_cast<std::int32_t>(others), std::memory_order_relaxed);
      own.flights_seen.store(cycles, std::memory_order_relaxed);
    }
    const std::int64_t sum = own.in_flight.load(std::memory_order_relaxed) + own.others.load(std::memory_order_relaxed);
    return sum > 0 ? sum : 0;
  }

  /// The same for the latency in nanoseconds, decayed; 0: none known.
  [[nodiscard]] float seen_latency(std::uint32_t mine, std::uint32_t cycles, std::int64_t now) noexcept {
    flight_cell& own = cells_[mine];
    if (cycles - own.latency_seen.load(std::memory_order_relaxed) > cycle_counter::microseconds_20) {
      own.others_latency.store(highest_latency(now, mine), std::memory_order_relaxed);
      own.latency_seen.store(cycles, std::memory_order_relaxed);
    }
    const float others = own.others_latency.load(std::memory_order_relaxed);
    const float latency = latency_of(own, now);
    return others > latency ? others : latency;
  }

  /// The highest moving average of all stripes in nanoseconds, decayed; 0: none.
  [[nodiscard]] float latency(std::int64_t now) const noexcept { return highest_latency(now, terms_->stripes.count()); }

 protected:
  using destructor = void (*)(endpoint_record*);

  endpoint_record(std::string name, std::shared_ptr<cluster_terms> terms, destructor destroy)
      : cells_{std::make_unique<flight_cell[]>(terms->stripes.count())},
        terms_{std::move(terms)},
        state_{cells_.get(), terms_->stripes},
        name_{std::move(name)},
        destroy_{destroy} {}
  ~endpoint_record() = default;

 private:
  // Takes a sample into the moving average of a stripe: a higher one at once, a lower one by how long ago the last
  // came. Source: the peak EWMA load metric of Twitter's Finagle.
  void sample_latency(std::uint32_t mine, std::int64_t nanoseconds, std::int64_t now) noexcept {
    flight_cell& own = cells_[mine];
    const auto sample = static_cast<float>(nanoseconds > 1 ? nanoseconds : 1);  // 0 means none
    const float old = own.latency.load(std::memory_order_relaxed);
    const std::int64_t before = own.latency_at.load(std::memory_order_relaxed);
    const std::int64_t age = now > before ? now - before : 0;
    const float kept = kept_after(age);
    if (sample < old && kept == 1) return;  // too soon: the age goes on, or frequent samples would never bring it down
    const float next = sample >= old ? sample : sample + (old - sample) * kept;
    own.latency.store(next, std::memory_order_relaxed);
    if (age > 0) own.latency_at.store(now, std::memory_order_relaxed);
  }

  [[nodiscard]] float latency_of(const flight_cell& cell, std::int64_t now) const noexcept {
    const float value = cell.latency.load(std::memory_order_relaxed);
    const std::int64_t at = cell.latency_at.load(std::memory_order_relaxed);
    return value == 0 || now <= at ? value : value * kept_after(now - at);
  }

  [[nodiscard]] float highest_latency(std::int64_t now, std::uint32_t except) const noexcept {
    float highest = 0;
    const std::uint32_t used = terms_->used_stripes.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < used; ++i) {
      if (i == except) continue;
      const float each = latency_of(cells_[i], now);
      if (each > highest) highest = each;
    }
    return highest;
  }

  // 2^(-age / half-life)
  [[nodiscard]] float kept_after(std::int64_t age) const noexcept {
    const float halvings = static_cast<float>(age) * terms_->decay;
    return halvings < 1.0F / 512 ? 1.0F : std::exp2(-halvings);  // spares the function where it is within 0.2 % of 1
  }

  std::unique_ptr<flight_cell[]> cells_;
  endpoint_id id_;
  std::shared_ptr<cluster_terms> terms_;
  std::atomic<std::int64_t> warming_since_{not_warming};
  std::atomic<std::uint32_t> alarm_{0};
  std::atomic<std::uint32_t> silence_alarm_{0};
  endpoint_state state_;
  std::uint64_t name_hash_ = 0;
  std::string name_;
  destructor destroy_;
};

/// Counts a use; false when the endpoint takes nothing new, or memory is out and the thread has no hazard yet. The
/// caller protects the record or lists it. Wait-free, but for the thread's first use and an endpoint that drains.
inline bool try_begin_use(endpoint_record& record) noexcept {
  cluster_terms& terms = record.terms();
  hazard_domain::thread_record* const self = terms.domain->try_local();
  if (self == nullptr) [[unlikely]] {
    return false;
  }
  const std::uint32_t mine = terms.stripe_of(*self);
  if (endpoint_state::try_begin(record.cells(), terms.stripes, mine, [&] { terms.domain->meet(*self); })) return true;
  if (endpoint_state::end(record.cells(), terms.stripes, mine, [&] { terms.domain->meet(*self); })) record.settle();
  return false;
}

/// Ends a use that was counted before. Wait-free, but the last use of an endpoint that drains or was removed runs what
/// waits for that and frees the endpoint.
///
/// `between` is called where others may come in between: after the count is down, before the endpoint is looked at.
template <class Between>
void end_use(endpoint_record& record, Between between) noexcept {
  cluster_terms& terms = record.terms();
  flight_cell* const cells = record.cells();
  hazard_slots<1> guard{std::nothrow, *terms.domain};
  if (!guard) [[unlikely]] {
    // Memory is out and the thread has no hazard yet. The count must be right; whether this was the last use, we cannot
    // find out without protection. An endpoint that was removed may stay behind.
    (void)endpoint_state::end(cells, terms.stripes, terms.stripes.exclusive, [] {});
    return;
  }
  guard.publish(0, &record);  // as soon as the use has ended, another thread may free it
  hazard_domain::thread_record& self = guard.record();
  const std::uint32_t mine = terms.stripe_of(self);
  const auto meet = [&] {
    terms.domain->meet(self);
    between();
  };
  if (endpoint_state::end(cells, terms.stripes, mine, meet)) [[unlikely]] {
    record.settle();
  }
}
inline void end_use(endpoint_record& record) noexcept {
  end_use(record, [] {});
}

/// An endpoint with its value.
template <class T>
class valued_endpoint final : public endpoint_record {
 public:
  valued_endpoint(T value, std::string name, std::shared_ptr<cluster_terms> terms)
      : endpoint_record{std::move(name), std::move(terms), &destroy}, value_(std::move(value)) {}

  [[nodiscard]] T& value() noexcept { return value_; }

 private:
  static void destroy(endpoint_record* record) { delete static_cast<valued_endpoint*>(record); }

  T value_;
};

}  // namespace banyan::detail
