#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/detail/member_states.hpp>
#include <banyan/cluster/detail/probe_schedule.hpp>
#include <banyan/cluster/detail/probe_task.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/cluster/health_probe.hpp>
#include <banyan/cluster/probe_history.hpp>

namespace banyan::detail {

/// What a health checker asks, and what it makes of the answers. See `probe_loop`.
template <class T, class Clock>
class health_watch {
 public:
  using answer = health;  // healthy or degraded
  using time_point = typename Clock::time_point;

  template <health_probe<T> Probe>
  health_watch(cluster<T, Clock>& web, Probe probe, std::uint32_t healthy_after, std::uint32_t unhealthy_after)
      : web_{web},
        ask_{[shared = std::make_shared<Probe>(std::move(probe))](T& value) { return fit_health(*shared, value); }},
        healthy_after_{healthy_after},
        unhealthy_after_{unhealthy_after} {}

  [[nodiscard]] std::vector<endpoint_id> members(time_point) {
    std::vector<endpoint_id> ids = web_.ids();
    if (verdicts_.are_of(ids)) return ids;
    auto next = verdicts_.followed(ids, [this](endpoint_id id) {
      const std::optional<health> known = known_health(id);
      return known ? watched{id, probe_history{*known}, known} : watched{.id = id};
    });
    const std::lock_guard lock{lock_};
    std::swap(verdicts_, next);
    return ids;
  }

  [[nodiscard]] probe_question<health> question(endpoint_id id, time_point) const {
    endpoint_handle<T> endpoint = web_.lend(id);
    if (!endpoint) return nullptr;
    return [ask = ask_, endpoint = std::move(endpoint)] { return ask(*endpoint); };
  }

  /// What `cluster::set_health` throws is let through, and tried again with the next call.
  void take(std::span<const probe_outcome<health>> outcomes, time_point now) {
    record(outcomes);
    for (watched& each : verdicts_.all) {
      const std::optional<health> verdict = each.history.verdict();
      if (!verdict || verdict == each.told) continue;
      if (web_.set_health(each.id, *verdict, now)) changes_.fetch_add(1, std::memory_order_relaxed);  // a count
      each.told = verdict;
    }
  }

  /// By any thread.
  [[nodiscard]] std::optional<health> verdict(endpoint_id id) const {
    const std::lock_guard lock{lock_};
    const watched* const one = verdicts_.find(id);
    return one != nullptr ? one->history.verdict() : std::nullopt;
  }
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_.load(std::memory_order_relaxed); }

 private:
  struct watched {
    endpoint_id id{};
    probe_history history{};
    std::optional<health> told{};  // what the cluster knows
  };

  template <class Probe>
  static std::optional<health> fit_health(Probe& probe, T& value) {
    health found = health::unhealthy;
    if constexpr (std::same_as<std::remove_cvref_t<decltype(probe(value))>, health>) {
      found = probe(value);
    } else if (static_cast<bool>(probe(value))) {
      found = health::healthy;
    }
    return found == health::healthy || found == health::degraded ? std::optional{found} : std::nullopt;
  }

  // As far as it shows: not while the endpoint drains or is ejected.
  [[nodiscard]] std::optional<health> known_health(endpoint_id id) const {
    const auto known = web_.stats(id);
    if (!known || known->ejected || known->state == health::draining) return std::nullopt;
    return known->state;
  }

  void record(std::span<const probe_outcome<health>> outcomes) {
    const std::lock_guard lock{lock_};
    for (const probe_outcome<health>& each : outcomes) {
      if (watched* const one = verdicts_.find(each.id))
        one->history.record(each.answer.value_or(health::unhealthy), healthy_after_, unhealthy_after_);
    }
  }

  cluster<T, Clock>& web_;
  const std::function<std::optional<health>(T&)> ask_;
  const std::uint32_t healthy_after_;
  const std::uint32_t unhealthy_after_;

  mutable std::mutex lock_;  // of what `verdict` reads
  member_states<watched> verdicts_;
  std::atomic<std::uint64_t> changes_{0};
};

}  // namespace banyan::detail
