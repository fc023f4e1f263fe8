#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <banyan/cluster/detail/member_states.hpp>
#include <banyan/cluster/detail/probe_options.hpp>
#include <banyan/cluster/detail/probe_task.hpp>
#include <banyan/cluster/detail/ticks.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/process_seed.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// What came of a probe: nothing when it had no answer, or takes too long.
template <class Answer>
struct probe_outcome {
  endpoint_id id{};
  std::optional<Answer> answer{};
};

/// Which member is to be probed when, and which probes are under way: a `probe_loop` without clock and threads. Times
/// are nanoseconds and never go back. One thread at a time drives it; `stats` may be called by others.
template <class Answer>
class probe_schedule {
 public:
  using run_type = probe_run<Answer>;

  template <probe_options Options>
  explicit probe_schedule(const Options& options)
      : interval_{options.interval.count()},
        timeout_{options.timeout.count()},
        jitter_{options.jitter},
        max_probes_{options.max_probes},
        max_hanging_{options.max_hanging},
        random_{options.seed != 0 ? options.seed : process_seed()} {}

  /// Takes over the members, ordered by id. New ones are due at once.
  void follow(std::span<const endpoint_id> ids, std::int64_t now) {
    if (targets_.are_of(ids)) return;
    auto next = targets_.followed(ids, [now](endpoint_id id) { return target{.id = id, .due = now}; });
    const std::lock_guard lock{lock_};
    std::swap(targets_, next);
  }

  /// Looks at the probes under way: what came of them since. Those that hang have failed once more when they would be
  /// due again. Also of members that have left.
  [[nodiscard]] std::vector<probe_outcome<Answer>> take_results(std::int64_t now) {
    std::vector<probe_outcome<Answer>> outcomes;
    outcomes.reserve(runs_.size());
    const auto tell = [&](endpoint_id id, std::optional<Answer> answer) {
      ++(answer ? counts_.passed : counts_.failed);
      outcomes.push_back({id, std::move(answer)});
    };
    const std::lock_guard lock{lock_};
    std::erase_if(runs_, [&](const std::shared_ptr<run_type>& each) {
      target* const one = targets_.find(each->id);  // its only one: null when it has left
      switch (each->at()) {
        case run_type::stage::waiting:
          each->since = now;
          return false;
        case run_type::stage::running: {
          // What it waited for its executor does not count. No later than now: who drives this may have a time of his
          // own, of which the thread that runs it knows nothing.
          if (!std::exchange(each->seen_running, true)) each->since = std::clamp(each->began(), each->since, now);
          const bool due_again = one != nullptr && is_due(*one, now);
          if (each->late ? !due_again : now < add_sat(each->since, timeout_)) return false;
          if (!std::exchange(each->late, true)) {
            ++hanging_;
            ++counts_.timed_out;
          }
          tell(each->id, std::nullopt);
          if (due_again) one->due = add_sat(now, next_interval(*one));
          return false;
        }
        case run_type::stage::finished:
          if (!each->late) tell(each->id, std::move(each->answer()));
          break;
        case run_type::stage::not_run:
          ++counts_.not_run;
          break;
      }
      if (each->late) --hanging_;
      if (one != nullptr) one->run = nullptr;
      return true;
    });
    return outcomes;
  }

  /// Those to be probed now: as many as there is room for, those who have waited longest first.
  [[nodiscard]] std::vector<endpoint_id> due(std::int64_t now) {
    std::vector<const target*> waiting;
    for (const target& each : targets_.all) {
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
  [[nodiscard]] std::shared_ptr<run_type> begin(endpoint_id id, std::int64_t now) {
    auto run = std::make_shared<run_type>(id, now);
    const std::lock_guard lock{lock_};
    runs_.push_back(run);
    target& one = *targets_.find(id);
    one.run = run.get();
    one.due = add_sat(now, next_interval(one));
    return run;
  }

  /// When there will be something to do, unless a probe ends before.
  [[nodiscard]] std::int64_t next_event() const noexcept {
    std::int64_t next = end_of_time;
    const bool full = room() == 0;
    for (const target& each : targets_.all) {
      const bool blocked = each.run != nullptr ? !each.run->late : full;
      if (!blocked) next = std::min(next, each.due);
    }
    for (const auto& each : runs_) {
      if (!each->late) next = std::min(next, add_sat(each->since, timeout_));
    }
    return next;
  }

  [[nodiscard]] std::span<const std::shared_ptr<run_type>> runs() const noexcept { return runs_; }

  /// Without `changes`.
  [[nodiscard]] health_checker_stats stats() const {
    const std::lock_guard lock{lock_};
    health_checker_stats stats = counts_;
    stats.endpoints = targets_.all.size();
    stats.hanging = hanging_;
    stats.running = runs_.size() - hanging_;
    return stats;
  }

 private:
  struct target {
    endpoint_id id{};
    std::int64_t due = 0;
    run_type* run = nullptr;
    bool spread = false;  // an interval of random length has been
  };

  static bool is_due(const target& one, std::int64_t now) noexcept { return one.due <= now && one.due != end_of_time; }

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
  const std::size_t max_probes_;
  const std::size_t max_hanging_;
  splitmix64 random_;

  mutable std::mutex lock_;  // of what `stats` reads
  member_states<target> targets_;
  std::vector<std::shared_ptr<run_type>> runs_;
  std::size_t hanging_ = 0;  // of the runs
  health_checker_stats counts_{};
};

}  // namespace banyan::detail
