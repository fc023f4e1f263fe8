#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <banyan/cluster/cluster_options.hpp>
#include <banyan/cluster/detail/roster.hpp>
#include <banyan/cluster/endpoint_description.hpp>
#include <banyan/cluster/endpoint_handle.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/endpoint_options.hpp>
#include <banyan/cluster/endpoint_stats.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/cluster/pick_token.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

namespace detail {
struct cluster_access;
}

/// Who is there: the endpoints that requests may go to, with weight, zone, priority, health and counts.
///
///     banyan::cluster<backend> web;
///     auto a = web.add({"10.0.0.1:80"}, {.weight = 5, .zone = "eu-1"});
///     web.drain(a);                      // nothing new goes there
///     web.wait_drained(a, 10s);          // and what was there has ended
///     web.remove(a);
///
/// Each endpoint has a record of its own that survives every change of the membership: counts, averages and slow start
/// go on when somebody else joins. Balancers made from the cluster follow it. A change is in force when the call
/// returns: no pick that begins afterwards sees what was before.
///
/// Thread-safe. Functions that change the membership block while another such call runs, take O(n), and have the strong
/// guarantee: when they throw (`std::invalid_argument`, `std::bad_alloc`), nothing has changed. Picks and everything
/// `const` are lock-free. A value's destructor runs on whichever thread ends its last use or changes the cluster next.
/// Tokens, handles and balancers may outlive the cluster.
template <class T, class Clock = steady_clock>
class cluster {
 public:
  using value_type = T;
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using token = pick_token<T, Clock>;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit cluster(const cluster_options& options = {}) : slow_start_{options.slow_start} {
    check(options.slow_start);
    if (options.latency_half_life.count() <= 0)
      invalid_option("cluster_options.latency_half_life", options.latency_half_life.count(), "must be above 0");
    if (options.failure_penalty.count() < 0)
      invalid_option("cluster_options.failure_penalty", options.failure_penalty.count(), "must not be negative");
    if (options.stripes > max_stripes)
      invalid_option("cluster_options.stripes", options.stripes, "must be at most 256");
    if (options.domain == nullptr) invalid_option("cluster_options.domain", std::string{"null"}, "must be a domain");
    auto terms = std::make_shared<detail::cluster_terms>();
    terms->domain = options.domain;
    terms->stripes.exclusive = options.stripes != 0 ? options.stripes : default_stripes();
    terms->decay = 1.0F / static_cast<float>(options.latency_half_life.count());
    terms->failure_penalty = options.failure_penalty.count();
    roster_ = std::make_shared<detail::roster>(std::move(terms));
  }

  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  /// Adds an endpoint. It begins with slow start, if the cluster has one. Throws `std::invalid_argument` for a weight
  /// that is negative, not finite or above 2^32, and for a name that is there already.
  endpoint_id add(T value, endpoint_options options = {}, time_point now = Clock::now()) {
    check(options);
    detail::record_ref record = make_record(std::move(value), options, now);
    roster_->change(
        [&](detail::member_list& list) {
          for (const detail::member& each : list.members) {
            if (each.record->name() == record->name())
              invalid_option("endpoint_options.name", record->name(), "is the name of another endpoint");
          }
          // Numbers are given under the lock, so the list stays in order of id.
          const std::uint32_t zone = zone_in(list, options.zone);
          record->name_itself(endpoint_id{++last_id_});
          list.members.push_back(member_of(record, options, zone));
          return true;
        },
        [&]() noexcept { record->state().clear_attention(detail::endpoint_state::removed); });
    return record->id();
  }

  /// Takes an endpoint out. What is in flight there may end; the memory is freed with the last token. False when there
  /// is none of that id (any more).
  bool remove(endpoint_id id) {
    detail::record_ref gone;
    const bool found = roster_->change(
        [&](detail::member_list& list) {
          const detail::member* const one = list.find(id);
          if (one == nullptr) return false;
          gone = one->record;
          list.members.erase(list.members.begin() + (one - list.members.data()));
          return true;
        },
        [&]() noexcept { gone->state().set_attention(detail::endpoint_state::removed); });
    if (!found) return false;
    finish({&gone, 1});
    return true;
  }

  /// Makes the membership what `wanted` says, in one step. Endpoints are told apart by name: one that stays keeps its
  /// record, health and value (but for values that can be compared and differ: then it is another endpoint); weight,
  /// priority and zone are taken over. Throws `std::invalid_argument` for bad weights, and for names that are missing
  /// (where the value does not convert to a string) or not unique. O(n).
  void replace(std::vector<endpoint_description<T>> wanted, time_point now = Clock::now()) {
    std::unordered_map<std::string, std::size_t> by_name;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      check(wanted[i].options);
      if (wanted[i].options.name.empty()) wanted[i].options.name = name_of(wanted[i].value);
      const std::string& name = wanted[i].options.name;
      if (name.empty()) invalid_option("endpoint_description.options.name", name, "must not be empty");
      if (!by_name.emplace(name, i).second)
        invalid_option("endpoint_description.options.name", name, "is the name of another endpoint");
    }
    std::vector<detail::record_ref> gone;
    std::vector<detail::record_ref> fresh;
    roster_->change(
        [&](detail::member_list& list) {
          std::vector<bool> kept(wanted.size());
          std::vector<detail::member> members;
          members.reserve(wanted.size());
          for (detail::member& each : list.members) {
            const auto at = by_name.find(each.record->name());
            if (at == by_name.end() || !same_value(each, wanted[at->second].value)) {
              gone.push_back(std::move(each.record));
              continue;
            }
            const endpoint_options& options = wanted[at->second].options;
            kept[at->second] = true;
            each.weight = options.weight;
            each.priority = options.priority;
            each.zone = zone_in(list, options.zone);
            members.push_back(std::move(each));
          }
          for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (kept[i]) continue;
            endpoint_options& options = wanted[i].options;
            detail::record_ref record = make_record(std::move(wanted[i].value), options, now);
            record->name_itself(endpoint_id{++last_id_});
            members.push_back(member_of(record, options, zone_in(list, options.zone)));
            fresh.push_back(std::move(record));
          }
          list.members = std::move(members);
          return true;
        },
        [&]() noexcept {
          for (const detail::record_ref& each : gone) each->state().set_attention(detail::endpoint_state::removed);
          for (const detail::record_ref& each : fresh) each->state().clear_attention(detail::endpoint_state::removed);
        });
    finish(gone);
  }

  /// Sets an endpoint's share. False when there is none of that id. Throws as `add`.
  bool set_weight(endpoint_id id, double weight) {
    check_weight(weight);
    return edit(id,
                [&](detail::member& one, detail::member_list&) { return std::exchange(one.weight, weight) != weight; });
  }

  /// False when there is none of that id.
  bool set_priority(endpoint_id id, std::uint32_t priority) {
    return edit(id, [&](detail::member& one, detail::member_list&) {
      return std::exchange(one.priority, priority) != priority;
    });
  }

  /// False when there is none of that id.
  bool set_zone(endpoint_id id, const std::string& zone) {
    return edit(id, [&](detail::member& one, detail::member_list& list) {
      const std::uint32_t index = zone_in(list, zone);
      return std::exchange(one.zone, index) != index;
    });
  }

  /// Sets what is known of an endpoint's fitness. One that becomes fit begins slow start anew. `health::draining` is
  /// the same as `drain`; any other does not end draining, `resume` does. False when there is none of that id.
  bool set_health(endpoint_id id, health state, time_point now = Clock::now()) {
    if (state == health::draining) return drain(id);
    return edit_fitness(id, now, [&](detail::member& one) { return std::exchange(one.checked, state) != state; });
  }

  /// Takes an endpoint out of the picks for a while, whatever its health: what an outlier detector does. False when
  /// there is none of that id.
  bool eject(endpoint_id id) {
    return edit(id, [](detail::member& one, detail::member_list&) { return !std::exchange(one.ejected, true); });
  }

  /// Ends an ejection; slow start begins anew. False when there is none of that id.
  bool readmit(endpoint_id id, time_point now = Clock::now()) {
    return edit_fitness(id, now, [](detail::member& one) { return std::exchange(one.ejected, false); });
  }

  /// Nothing new goes to the endpoint; what is in flight may end. False when there is none of that id.
  bool drain(endpoint_id id) { return static_cast<bool>(drain_one(id)); }

  /// As above, and calls `finished(true)` once nothing is in flight: at once, or on the thread whose token was the
  /// last; `finished(false)` if the endpoint is made to serve again before. What it throws is dropped.
  bool drain(endpoint_id id, std::function<void(bool drained)> finished) {
    auto waiter = std::make_unique<drain_callback>(std::move(finished));
    const detail::record_ref record = drain_one(id);
    if (!record) return false;
    record->state().wait(*waiter.release());
    roster_->barrier();
    record->settle();
    return true;
  }

  /// Drains every endpoint there is, in one step.
  void drain_all() {
    std::vector<detail::record_ref> drained;
    roster_->change(
        [&](detail::member_list& list) {
          for (detail::member& each : list.members) {
            if (!std::exchange(each.draining, true)) drained.push_back(each.record);
          }
          return !drained.empty();
        },
        [&]() noexcept {
          for (const detail::record_ref& each : drained) each->state().set_attention(detail::endpoint_state::draining);
        });
    finish(drained);
  }

  /// An endpoint that drains serves again, beginning with slow start. False when there is none of that id.
  bool resume(endpoint_id id, time_point now = Clock::now()) {
    detail::record_ref record;
    const bool found = edit_fitness(
        id, now,
        [&](detail::member& one) {
          if (!std::exchange(one.draining, false)) return false;
          record = one.record;
          return true;
        },
        [&]() noexcept {
          if (record) record->state().clear_attention(detail::endpoint_state::draining);
        });
    if (record) record->state().tell_waiters(false);
    return found;
  }

  /// Whether the endpoint drains and nothing is in flight there; true when there is none of that id (any more). O(log
  /// n), lock-free.
  [[nodiscard]] bool drained(endpoint_id id) const {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    return one == nullptr || (one->draining && one->record->state().in_flight() == 0);
  }

  /// Whether all endpoints drain and nothing is in flight at any of them; those that were removed are not waited for.
  /// O(n), lock-free.
  [[nodiscard]] bool drained() const {
    const auto list = roster_->read();
    return std::all_of((*list)->members.begin(), (*list)->members.end(),
                       [](const detail::member& one) { return one.draining && one.record->state().in_flight() == 0; });
  }

  /// Blocks until `drained(id)`, at most for `timeout`; the result is `drained(id)`.
  bool wait_drained(endpoint_id id, std::chrono::nanoseconds timeout) const {
    return wait_until([&] { return drained(id); }, timeout);
  }

  /// The same for all endpoints: graceful shutdown is `drain_all` and this.
  bool wait_drained(std::chrono::nanoseconds timeout) const {
    return wait_until([&] { return drained(); }, timeout);
  }

  /// Number of endpoints. O(1), lock-free.
  [[nodiscard]] std::size_t size() const { return (*roster_->read())->members.size(); }
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// The ids of all endpoints in order of joining. O(n), lock-free apart from the memory it allocates.
  [[nodiscard]] std::vector<endpoint_id> ids() const {
    const auto list = roster_->read();
    std::vector<endpoint_id> all;
    all.reserve((*list)->members.size());
    for (const detail::member& each : (*list)->members) all.push_back(each.id());
    return all;
  }

  /// Tokens out; 0 when there is none of that id. Exact when no token comes or goes meanwhile. O(log n), lock-free.
  [[nodiscard]] std::int64_t in_flight(endpoint_id id) const {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    return one != nullptr ? std::max<std::int64_t>(one->record->state().in_flight(), 0) : 0;
  }

  /// What is known of an endpoint; nothing when there is none of that id. O(log n), lock-free.
  [[nodiscard]] std::optional<endpoint_stats> stats(endpoint_id id, time_point now = Clock::now()) const {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    if (one == nullptr) return std::nullopt;
    return stats_of(*one, detail::nanoseconds_of(now));
  }

  /// Of all endpoints, in order of joining. O(n), lock-free apart from the memory it allocates.
  [[nodiscard]] std::vector<endpoint_stats> all_stats(time_point now = Clock::now()) const {
    const auto list = roster_->read();
    std::vector<endpoint_stats> all;
    all.reserve((*list)->members.size());
    for (const detail::member& each : (*list)->members) all.push_back(stats_of(each, detail::nanoseconds_of(now)));
    return all;
  }

  /// The endpoint of that name; none when there is none. O(n), lock-free.
  [[nodiscard]] endpoint_id find(std::string_view name) const {
    const auto list = roster_->read();
    for (const detail::member& each : (*list)->members) {
      if (each.record->name() == name) return each.id();
    }
    return {};
  }

  /// An endpoint's name; empty when there is none of that id. O(log n), lock-free apart from the copy.
  [[nodiscard]] std::string name_of(endpoint_id id) const {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    return one != nullptr ? one->record->name() : std::string{};
  }

  /// A use of one particular endpoint; empty when there is none of that id or it drains. O(log n), lock-free.
  [[nodiscard]] token acquire(endpoint_id id) {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    return one != nullptr && detail::try_begin_use(*one->record) ? detail::token_access::make<T, Clock>(*one->record)
                                                                 : token{};
  }

  /// Keeps an endpoint's value alive without counting as a use; empty when there is none of that id. O(log n),
  /// lock-free.
  [[nodiscard]] endpoint_handle<T> lend(endpoint_id id) const {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    return one != nullptr ? endpoint_handle<T>{one->record} : endpoint_handle<T>{};
  }

  /// For those who watch endpoints fail: `wait_for_event` returns as soon as a run of failures of an endpoint reaches
  /// `failures`, or a run of unanswered ones `unanswered` (0: never). It holds for endpoints that join later as well.
  void watch_failures(std::uint32_t failures, std::uint32_t unanswered = 0) {
    roster_->change([&](detail::member_list& list) {
      alarm_ = failures;
      silence_alarm_ = unanswered;
      for (const detail::member& each : list.members) each.record->alarm_at(failures, unanswered);
      return false;
    });
  }

  /// A number that changes with every event: a run of failures, or an endpoint that has drained. Wait-free.
  [[nodiscard]] std::uint32_t events_seen() const noexcept { return roster_->terms()->events.seen(); }

  /// Blocks until an event after `seen`, or `until`.
  void wait_for_event(std::uint32_t seen, steady_clock::time_point until) const noexcept {
    roster_->terms()->events.wait_until(seen, until);
  }

  /// Ends the waiting of `wait_for_event`.
  void wake() const noexcept { roster_->terms()->events.raise(); }

  /// A run of failures has been dealt with. False when there is none of that id.
  bool forget_failures(endpoint_id id) {
    const auto list = roster_->read();
    const detail::member* const one = (*list)->find(id);
    if (one != nullptr) one->record->state().forget_failures();
    return one != nullptr;
  }

  [[nodiscard]] const slow_start_options& slow_start() const noexcept { return slow_start_; }

 private:
  friend detail::cluster_access;

  static constexpr std::uint32_t max_stripes = 256;
  static constexpr double max_weight = 4294967296.0;

  struct drain_callback : detail::drain_waiter {
    explicit drain_callback(std::function<void(bool)> callback) : call{std::move(callback)} {
      finished = [](detail::drain_waiter& waiter, bool drained) noexcept {
        const std::unique_ptr<drain_callback> self{static_cast<drain_callback*>(&waiter)};
#if defined(__cpp_exceptions)
        try {
          if (self->call) self->call(drained);
        } catch (...) {  // it runs where a token dies: nobody is there to hear of it
        }
#else
        if (self->call) self->call(drained);
#endif
      };
    }
    std::function<void(bool)> call;
  };

  static std::uint32_t default_stripes() { return std::clamp(2 * std::thread::hardware_concurrency(), 2U, 16U); }

  static detail::valued_endpoint<T>& valued(detail::endpoint_record& record) noexcept {
    return static_cast<detail::valued_endpoint<T>&>(record);
  }

  static void check_weight(double weight) {
    if (!(weight >= 0 && weight <= max_weight))
      invalid_option("endpoint_options.weight", weight, "must be from 0 to 2^32");
  }
  static void check(const endpoint_options& options) { check_weight(options.weight); }
  static void check(const slow_start_options& options) { banyan::check(options); }

  static std::string name_of(const T& value) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      return std::string{std::string_view{value}};
    } else {
      return {};
    }
  }

  static bool same_value(const detail::member& one, const T& wanted) {
    if constexpr (std::equality_comparable<T>) {
      return valued(*one.record).value() == wanted;
    } else {
      return true;
    }
  }

  static std::uint32_t zone_in(detail::member_list& list, const std::string& zone) {
    const auto at = std::find(list.zones->begin(), list.zones->end(), zone);
    if (at != list.zones->end()) return static_cast<std::uint32_t>(at - list.zones->begin());
    auto more = std::make_shared<std::vector<std::string>>(*list.zones);
    more->push_back(zone);
    list.zones = std::move(more);
    return static_cast<std::uint32_t>(list.zones->size() - 1);
  }

  static bool fit(const detail::member& one) noexcept {
    return one.state() == health::healthy || one.state() == health::degraded;
  }

  // Not serving yet: it is freed with the reference unless the change that lists it comes into force.
  detail::record_ref make_record(T&& value, const endpoint_options& options, time_point now) {
    std::string name = options.name.empty() ? name_of(value) : options.name;
    auto record = std::make_unique<detail::valued_endpoint<T>>(std::move(value), std::move(name), roster_->terms());
    record->state().set_attention(detail::endpoint_state::removed);
    if (slow_start_.window.count() > 0) record->warm_up(detail::nanoseconds_of(now));
    return detail::record_ref{record.release()};
  }

  detail::member member_of(const detail::record_ref& record, const endpoint_options& options,
                           std::uint32_t zone) const {
    record->alarm_at(alarm_, silence_alarm_);
    return {.record = record,
            .weight = options.weight,
            .priority = options.priority,
            .zone = zone,
            .checked = options.state == health::draining ? health::healthy : options.state,
            .draining = options.state == health::draining};
  }

  // `change(member&, list&)` says whether anything is different.
  template <class Change, class Decided>
  bool edit(endpoint_id id, Change change, Decided decided) {
    bool found = false;
    roster_->change(
        [&](detail::member_list& list) {
          detail::member* const one = list.find(id);
          found = one != nullptr;
          return found && change(*one, list);
        },
        decided);
    return found;
  }
  template <class Change>
  bool edit(endpoint_id id, Change change) {
    return edit(id, std::move(change), []() noexcept {});
  }

  template <class Change, class Decided>
  bool edit_fitness(endpoint_id id, time_point now, Change change, Decided decided) {
    return edit(
        id,
        [&](detail::member& one, detail::member_list&) {
          const bool before = fit(one);
          if (!change(one)) return false;
          if (!before && fit(one) && slow_start_.window.count() > 0) one.record->warm_up(detail::nanoseconds_of(now));
          return true;
        },
        decided);
  }
  template <class Change>
  bool edit_fitness(endpoint_id id, time_point now, Change change) {
    return edit_fitness(id, now, std::move(change), []() noexcept {});
  }

  detail::record_ref drain_one(endpoint_id id) {
    detail::record_ref record;
    bool changed = false;
    edit(
        id,
        [&](detail::member& one, detail::member_list&) {
          record = one.record;
          return changed = !std::exchange(one.draining, true);
        },
        [&]() noexcept { record->state().set_attention(detail::endpoint_state::draining); });
    if (changed) finish({&record, 1});
    return record;
  }

  // The other half of setting attention.
  void finish(std::span<detail::record_ref> records) {
    roster_->barrier();
    for (const detail::record_ref& each : records) each->settle();
    roster_->reclaim();
  }

  template <class Condition>
  bool wait_until(Condition condition, std::chrono::nanoseconds timeout) const {
    const auto until = deadline::in(timeout).at();
    for (;;) {
      const std::uint32_t seen = roster_->terms()->events.seen();
      if (condition()) return true;
      if (steady_clock::now() >= until) return false;
      roster_->terms()->events.wait_until(seen, until);
    }
  }

  static endpoint_stats stats_of(const detail::member& one, std::int64_t now) {
    const detail::endpoint_state& state = one.record->state();
    endpoint_stats stats{.id = one.id(),
                         .state = one.state(),
                         .ejected = one.ejected,
                         .weight = one.weight,
                         .in_flight = std::max<std::int64_t>(state.in_flight(), 0),
                         .failures_in_a_row = state.failures_in_a_row(),
                         .unanswered_in_a_row = state.unanswered_in_a_row(),
                         .latency = std::chrono::nanoseconds{static_cast<std::int64_t>(one.record->latency(now))}};
    for (const detail::flight_cell& cell : state.all_cells()) {
      stats.succeeded += cell.succeeded.load(std::memory_order_relaxed);
      stats.failed += cell.failed.load(std::memory_order_relaxed);
    }
    return stats;
  }

  slow_start_options slow_start_;
  std::uint64_t last_id_ = 0;        // under the roster's lock
  std::uint32_t alarm_ = 0;          // under the roster's lock
  std::uint32_t silence_alarm_ = 0;  // under the roster's lock
  std::shared_ptr<detail::roster> roster_;
};

namespace detail {

struct cluster_access {
  template <class T, class Clock>
  [[nodiscard]] static const std::shared_ptr<roster>& roster(const cluster<T, Clock>& members) noexcept {
    return members.roster_;
  }
};

}  // namespace detail
}  // namespace banyan
