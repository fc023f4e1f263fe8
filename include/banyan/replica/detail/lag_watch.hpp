#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <banyan/cluster/detail/probe_schedule.hpp>
#include <banyan/cluster/detail/probe_task.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/lag_probe.hpp>
#include <banyan/replica/replica_report.hpp>
#include <banyan/replica/replica_set.hpp>

namespace banyan::detail {

/// What a lag monitor asks, and whom it tells the answers. See `probe_loop`.
template <class T, class Policy, class Clock>
class lag_watch {
 public:
  using set_type = replica_set<T, Policy, Clock>;
  using time_point = typename Clock::time_point;

  struct answer {
    replica_report report{};
    time_point began{};
  };

  template <lag_probe<T> Probe>
  lag_watch(set_type& watched, Probe probe, std::chrono::nanoseconds timeout)
      : set_{watched},
        ask_{[shared = std::make_shared<Probe>(std::move(probe))](T& value) -> std::optional<replica_report> {
          return (*shared)(value);
        }},
        timeout_{timeout} {}

  [[nodiscard]] std::vector<endpoint_id> members(time_point) const { return set_.members().ids(); }

  /// What is answered too long after it was asked, by waiting for an executor or by itself, is no answer.
  [[nodiscard]] probe_question<answer> question(endpoint_id id, time_point now) const {
    endpoint_handle<T> endpoint = set_.members().lend(id);
    if (!endpoint) return nullptr;
    return [ask = ask_, endpoint = std::move(endpoint), began = now, asked = Clock::now(), timeout = timeout_,
            epoch = set_.epoch()]() -> std::optional<answer> {
      const auto start = steady_clock::now();
      std::optional<replica_report> found = ask(*endpoint);
      if (!found || Clock::now() - asked >= timeout) return std::nullopt;
      if (!found->round_trip) found->round_trip = steady_clock::now() - start;
      if (found->epoch == 0) found->epoch = epoch;
      return answer{*found, began};
    };
  }

  void take(std::span<const probe_outcome<answer>> outcomes, time_point) {
    for (const probe_outcome<answer>& each : outcomes) {
      if (each.answer) set_.report(each.id, each.answer->report, each.answer->began);
    }
  }

 private:
  set_type& set_;
  const std::function<std::optional<replica_report>(T&)> ask_;
  const std::chrono::nanoseconds timeout_;
};

}  // namespace banyan::detail
