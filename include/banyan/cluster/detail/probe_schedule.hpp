#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/cluster/health_checker_options.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/cluster/health_probe.hpp>
#include <banyan/cluster/probe_history.hpp>
#include <banyan/core/process_seed.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// Which endpoint is to be probed when, which probes are under way, and what their results amount to: a health checker
/// without its cluster, its clock and its threads. Times are nanoseconds and never go back. One thread at a time drives
/// it; `stats` and `verdict` may be called by others.
class probe_schedule {
 public:
  explicit probe_schedule(const health_checker_options& options)
      : interval_{options.interval.count()},
        timeout_{options.timeout.count()},
        jitter_{options.jitter},
        healthy_after_{options.healthy_after},
        unhealthy_after_{options.unhealthy_after},
        max_probes_{options.max_probes},
        max_hanging_{options.max_hanging},
        random_{options.seed != 0 ? options.seed : process_seed()} {}

  /// The end of time.
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  static constexpr std::int64_t later(std::int64_t now, std::int64_t step) noexcept {
    return now > never - step ? never : now + step;
  }

  /// Takes over the members, ordered by id. `known_health(id)` says what is known of a new one, if anything.
  template <class KnownHealth>
  void follow(std::span<const endpoint_id> ids, std::int64_t now, KnownHealth known_health) {
    if (std::equal(ids.begin(), ids.end(), targets_.begin(), targets_.end(),
                   [](endpoint_id id, const target& one) { return one.id == id; }))
      return;
    std::vector<target> next;
    next.reserve(ids.size());
    for (const endpoint_id id : ids) {
      if (const target* const known = find(id)) {
        next.push_back(*known);
        continue;
      }
      const std::optional<health> state = known_health(id);
      next.push_back({.id = id, .due = now, .history = state ? probe_history{*state} : probe_history{}, .told = state});
    }
    const std::lock_guard lock{lock_};
    targets_.swap(next);
  }

  /// Looks at the probes under way. Those that hang have failed once more when they would be due again.
  void take_results(std::int64_t now) {
    const std::lock_guard lock{lock_};
    std::erase_if(runs_, [&](const std::shared_ptr<probe_run>& each) {
      target* const one = find(each->id);  // its only one: null when it has been removed
      switch (each->at()) {
        case probe_run::stage::waiting:
          each->since = now;
          return false;
        case probe_run::stage::running:
          if (!each->late && now >= later(each->since, timeout_)) {
            each->late = true;
            ++hanging_;
            ++counts_.timed_out;
            judge(one, health::unhealthy);
          } else if (each->late && one != nullptr && is_due(*one, now)) {
            judge(one, health::unhealthy);
            one->due = later(now, next_interval(*one));
          }
          return false;
        case probe_run::stage::finished:
          if (!each->late) judge(one, each->result());
          break;
        case probe_run::stage::not_run:
          ++counts_.not_run;
          break;
      }
      if (each->late) --hanging_;
      if (one != nullptr) one->run = nullptr;
      return true;
    });
  }

  /// `set_health(id, state)` for all whose health has changed; true when somebody took it.
  template <class SetHealth>
  void tell(SetHealth set_health) {
    for (target& each : targets_) {
      const std::optional<health> verdict = each.history.verdict();
      if (!verdict || verdict == each.told) continue;
      if (set_health(each.id, *verdict)) changes_.fetch_add(1, std::memory_order_relaxed);  // a count, and no more
      each.told = verdict;
    }
  }

  /// Those to be probed now: as many as there is room for, those who have waited longest first.
  [[nodiscard]] std::vector<endpoint_id> due(std::int64_t now) {
    std::vector<target*> waiting;
    for (target& each : targets_) {
      if (each.run == nullptr && is_due(each, now)) waiting.push_back(&each);
    }
    const std::size_t number = std::min(waiting.size(), room());
    const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(number);
    std::partial_sort(waiting.begin(), end, waiting.end(), [](const target* one, const target* other) {
      return one->due != other->due ? one->due < other->due : one->id < other->id;
    });
    std::vector<endpoint_id> ids(number);
    std::transform(waiting.begin(), end, ids.begin(), [](const target* one) { return one->id; });
    return ids;
  }

  /// A probe of a member that is due begins.
  [[nodiscard]] std::shared_ptr<probe_run> begin(endpoint_id id, std::int64_t now) {
    auto run = std::make_shared<probe_run>(id, now);
    const std::lock_guard lock{lock_};
    runs_.push_back(run);
    target& one = *find(id);
    one.run = run.get();
    one.due = later(now, next_interval(one));
    return run;
  }

  /// When there will be something to do, unless a probe ends before.
  [[nodiscard]] std::int64_t next_event() const noexcept {
    std::int64_t next = never;
    const bool full = room() == 0;
    for (const target& each : targets_) {
      const bool blocked = each.run != nullptr ? !each.run->late : full;
      if (!blocked) next = std::min(next, each.due);
    }
    for (const auto& each : runs_) {
      if (!each->late) next = std::min(next, later(each->since, timeout_));
    }
    return next;
  }

  [[nodiscard]] std::span<const std::shared_ptr<probe_run>> runs() const noexcept { return runs_; }

  [[nodiscard]] health_checker_stats stats() const {
    const std::lock_guard lock{lock_};
    health_checker_stats stats = counts_;
    stats.endpoints = targets_.size();
    stats.hanging = hanging_;
    stats.running = runs_.size() - hanging_;
    stats.changes = changes_.load(std::memory_order_relaxed);
    return stats;
  }

  [[nodiscard]] std::optional<health> verdict(endpoint_id id) const {
    const std::lock_guard lock{lock_};
    const target* const one = find(id);
    return one != nullptr ? one->history.verdict() : std::nullopt;
  }

 private:
  struct target {
    endpoint_id id{};
    std::int64_t due = 0;
    probe_history history{};
    std::optional<health> told{};  // what the cluster knows
    probe_run* run = nullptr;
    bool spread = false;  // an interval of random length has been
  };

  [[nodiscard]] const target* find(endpoint_id id) const noexcept {
    const auto at = std::lower_bound(targets_.begin(), targets_.end(), id,
                                     [](const target& one, endpoint_id wanted) { return one.id < wanted; });
    return at != targets_.end() && at->id == id ? &*at : nullptr;
  }
  [[nodiscard]] target* find(endpoint_id id) noexcept {
    return const_cast<target*>(static_cast<const probe_schedule*>(this)->find(id));
  }

  static bool is_due(const target& one, std::int64_t now) noexcept { return one.due <= now && one.due != never; }

  // Null: its endpoint has been removed.
  void judge(target* one, health result) noexcept {
    ++(result == health::healthy || result == health::degraded ? counts_.passed : counts_.failed);
    if (one != nullptr) one->history.record(result, healthy_after_, unhealthy_after_);
  }

  [[nodiscard]] std::size_t room() const noexcept {
    const std::size_t running = runs_.size() - hanging_;
    return hanging_ >= max_hanging_ || running >= max_probes_ ? 0 : max_probes_ - running;
  }

  [[nodiscard]] std::int64_t next_interval(target& one) noexcept {
    const double part = random_unit(random_);
    double factor = 1 + jitter_ * (2 * part - 1);
    if (jitter_ > 0 && !std::exchange(one.spread, true)) factor = part;
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(interval_) * factor));
  }

  const std::int64_t interval_;
  const std::int64_t timeout_;
  const double jitter_;
  const std::uint32_t healthy_after_;
  const std::uint32_t unhealthy_after_;
  const std::size_t max_probes_;
  const std::size_t max_hanging_;
  splitmix64 random_;

  mutable std::mutex lock_;  // of what `stats` and `verdict` read
  std::vector<target> targets_;
  std::vector<std::shared_ptr<probe_run>> runs_;
  std::size_t hanging_ = 0;  // of the runs
  health_checker_stats counts_{};
  std::atomic<std::uint64_t> changes_{0};
};

}  // namespace banyan::detail
