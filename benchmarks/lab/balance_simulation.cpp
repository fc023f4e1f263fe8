#include "balance_simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <utility>

#include <banyan/cluster/outlier_detector.hpp>
#include <banyan/core/random.hpp>

#include "balance_policies.hpp"
#include "balance_traffic.hpp"

namespace banyan::lab {
namespace {

using nanoseconds = std::int64_t;  // of the simulation, from the start of the run

constexpr nanoseconds millisecond = 1'000'000;
constexpr nanoseconds second = 1000 * millisecond;
constexpr nanoseconds timeout = static_cast<nanoseconds>(simulation_options::timeout_ms) * millisecond;
constexpr nanoseconds refusal = millisecond;  // until the client hears of it
constexpr nanoseconds cold_time = 10 * second;
constexpr double cold_factor = 5;
constexpr nanoseconds warm_up = 30 * second;
constexpr nanoseconds pause = 200 * millisecond;
constexpr nanoseconds look = second;  // of the outlier detector, when nothing happens
constexpr std::size_t parts = 60;     // of the run, for load over time

nanoseconds rounded(double value) { return static_cast<nanoseconds>(std::llround(value)); }

// An attempt of a request, as the server knows it.
struct job {
  std::uint64_t number;  // of the request
  std::uint32_t slot;
  std::uint32_t attempt;
};

struct server {
  endpoint_id id{};
  std::uint32_t workers = 1;
  double slower = 1;
  nanoseconds joined = 0;
  nanoseconds cold_until = 0;
  bool refuses = false;
  std::deque<job> queue{};
  std::uint32_t busy = 0;
  std::uint32_t life = 0;  // what it worked on in an earlier one is gone
  nanoseconds paused_until = 0;
  nanoseconds paused = 0;  // altogether; what is under way ends later by what has been added since
  std::int64_t in_flight = 0;
  nanoseconds counted_until = 0;
  double busy_time = 0;
  std::vector<double> in_flight_time = std::vector<double>(parts);
  std::uint64_t picks = 0;
};

enum class event_kind { done, refused, dies, recovers, joins, pauses, looks };

struct event {
  nanoseconds at;
  std::uint64_t order;
  event_kind kind;
  std::uint32_t server;
  std::uint32_t life;
  nanoseconds paused;  // `server::paused` when it was planned
  job what;

  friend bool operator>(const event& a, const event& b) noexcept {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
};

class simulation {
 public:
  simulation(const balance_scenario& scenario, std::string_view policy, const simulation_options& options)
      : scenario_{scenario},
        options_{options},
        members_{cluster_options{.slow_start = {.window = std::chrono::nanoseconds{scenario.slow_start ? warm_up : 0}},
                                 .stripes = 1}},
        traffic_{options, scenario.bursts},
        random_{mix_bits(options.seed + 0x9a05)} {
    double capacity = 0;
    for (std::size_t i = 0; i < options.servers; ++i) {
      constexpr std::uint32_t sizes[] = {1, 1, 2, 4};
      const std::uint32_t size = scenario.sizes ? sizes[i % 4] : 1;
      add_server(size, -warm_up);  // long enough ago
      capacity += size * options.workers;
    }
    servers_.front().slower = scenario.first_is_slower;
    const double rate = options.load * capacity / (simulation_options::mean_service_ms * millisecond);
    traffic_.set_rate(rate);
    length_ = std::max<nanoseconds>(1, rounded(static_cast<double>(options.requests) / rate));
    balancer_ = make_balancer(policy, members_, mix_bits(options.seed + 0xba1a) | 1U);
    if (scenario.detector) detector_.emplace(members_, outlier_detector_options{.background = false});
    latencies_.reserve(options.requests);
    plan();
  }

  simulation_result run(const std::function<void(std::uint64_t)>& advance) {
    const auto started = steady_clock::now();
    balance_traffic::request next = traffic_.next();
    std::uint64_t arrived = 0;
    for (;;) {
      const nanoseconds arrival = arrived < options_.requests ? next.at : never;
      const nanoseconds deadline = deadlines_.empty() ? never : deadlines_.front().at;
      const nanoseconds happens = events_.empty() ? never : events_.top().at;
      // At the end all that matters is that the last requests get their answers.
      if (arrival == never && deadline == never) break;
      if (happens <= arrival && happens <= deadline) {
        now_ = happens;
        const event what = events_.top();
        events_.pop();
        handle(what);
      } else if (deadline <= arrival) {
        now_ = deadline;
        const job what = deadlines_.front().what;
        deadlines_.pop_front();
        if (requests_[what.slot].number == what.number) give_up(what.slot);
      } else {
        now_ = arrival;
        ++arrived;
        arrive(next, arrived);
        next = traffic_.next();
        if (advance && arrived % 8192 == 0) advance(8192);
      }
    }
    if (advance) advance(options_.requests % 8192);
    result_.seconds = std::chrono::duration<double>(steady_clock::now() - started).count();
    finish();
    return std::move(result_);
  }

 private:
  static constexpr nanoseconds never = INT64_MAX;

  // A request that has been sent, as the client knows it.
  struct request {
    std::uint64_t number = 0;  // 0: the slot is free
    std::uint32_t attempt = 0;
    std::uint32_t server = 0;
    nanoseconds arrived = 0;
    nanoseconds sent = 0;
    nanoseconds demand = 0;
    std::uint64_t key = 0;
    simulated_cluster::token token{};
  };

  struct patience {
    nanoseconds at;
    job what;
  };

  // The cluster's clock starts well above its epoch.
  static simulated_clock::time_point time(nanoseconds at) {
    return simulated_clock::time_point{std::chrono::nanoseconds{at + 3600 * second}};
  }

  void add_server(std::uint32_t size, nanoseconds at) {
    const auto number = static_cast<std::uint32_t>(servers_.size());
    server added;
    added.workers = size * options_.workers;
    added.joined = std::max<nanoseconds>(0, at);
    added.counted_until = added.joined;
    added.id = members_.add(number, {.weight = static_cast<double>(size), .name = fmt::format("server-{}", number + 1)},
                            time(at));
    servers_.push_back(std::move(added));
  }

  void push(nanoseconds at, event_kind kind, std::uint32_t server, job what = {}) {
    events_.push({at, ++order_, kind, server, servers_.empty() ? 0 : servers_[server].life,
                  servers_.empty() ? 0 : servers_[server].paused, what});
  }

  void plan() {
    if (scenario_.first != server_fate::none) push(length_ / 3, event_kind::dies, 0);
    if (scenario_.first == server_fate::refuses) push(length_ / 3 * 2, event_kind::recovers, 0);
    if (scenario_.one_joins) push(length_ / 2, event_kind::joins, 0);
    if (detector_) push(look, event_kind::looks, 0);
    if (scenario_.pauses) {
      for (std::uint32_t i = 0; i < servers_.size(); ++i)
        push(rounded(random_unit(random_) * 5 * second), event_kind::pauses, i);
    }
  }

  void handle(const event& what) {
    server& at = servers_[what.server];
    switch (what.kind) {
      case event_kind::done:
        done(what, at);
        break;
      case event_kind::refused:
        if (alive(what.what)) failed(what.what.slot);
        break;
      case event_kind::dies:
        scenario_.first == server_fate::hangs ? stand_still(at, length_ / 3) : die(at);
        break;
      case event_kind::recovers:
        at.refuses = false;
        break;
      case event_kind::joins:
        add_server(1, now_);
        servers_.back().cold_until = now_ + cold_time;
        break;
      case event_kind::looks:
        detector_->evaluate(time(now_));
        push(now_ + look, event_kind::looks, 0);
        break;
      case event_kind::pauses:
        stand_still(at, pause);
        push(now_ + rounded((4 + 2 * random_unit(random_)) * second), event_kind::pauses, what.server);
        break;
    }
  }

  void arrive(const balance_traffic::request& from, std::uint64_t number) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(requests_.size()));
      requests_.emplace_back();
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    request& it = requests_[slot];
    it.number = number;
    it.attempt = 0;
    it.arrived = now_;
    it.demand = from.demand;
    it.key = from.key;
    deadlines_.push_back({now_ + timeout, {number, slot, 0}});
    send(slot, {});
  }

  void send(std::uint32_t slot, endpoint_id avoid) {
    request& it = requests_[slot];
    it.token = balancer_->pick({.avoid = avoid, .key = it.key}, time(now_));
    ++result_.picks;
    if (!it.token) {
      end(slot, false);
      return;
    }
    it.sent = now_;
    it.server = *it.token;
    server& at = servers_[it.server];
    count(at);
    ++at.picks;
    ++at.in_flight;
    const job what{it.number, slot, it.attempt};
    if (at.refuses) {
      push(now_ + refusal, event_kind::refused, it.server, what);
    } else if (at.busy < at.workers) {
      begin(at, what);
    } else {
      at.queue.push_back(what);
    }
  }

  void begin(server& at, job what) {
    ++at.busy;
    const nanoseconds from = std::max(now_, at.paused_until);
    double factor = at.slower;
    if (now_ < at.cold_until) factor *= cold_factor;
    const nanoseconds takes = rounded(static_cast<double>(requests_[what.slot].demand) * factor);
    push(from + takes, event_kind::done, static_cast<std::uint32_t>(&at - servers_.data()), what);
  }

  void done(event what, server& at) {
    if (what.life != at.life) return;
    if (what.paused != at.paused) {
      what.at += at.paused - what.paused;
      what.paused = at.paused;
      what.order = ++order_;
      events_.push(what);
      return;
    }
    count(at);
    --at.busy;
    if (alive(what.what)) {
      request& it = requests_[what.what.slot];
      it.token.succeeded(std::chrono::nanoseconds{now_ - it.sent}, time(now_));
      leave(it);
      end(what.what.slot, true);
    }
    // Clients that gave up have closed their connections: what still waits for them is dropped.
    while (at.busy < at.workers && !at.queue.empty()) {
      const job waiting = at.queue.front();
      at.queue.pop_front();
      if (alive(waiting)) begin(at, waiting);
    }
  }

  void stand_still(server& at, nanoseconds how_long) {
    const nanoseconds until = now_ + how_long;
    at.paused += until - std::max(now_, std::min(at.paused_until, until));
    at.paused_until = std::max(at.paused_until, until);
  }

  void die(server& at) {
    count(at);
    at.refuses = true;
    ++at.life;
    at.busy = 0;
    at.queue.clear();
    std::vector<std::uint32_t> cut_off;
    for (std::uint32_t slot = 0; slot < requests_.size(); ++slot) {
      if (requests_[slot].number != 0 && &servers_[requests_[slot].server] == &at) cut_off.push_back(slot);
    }
    for (const std::uint32_t slot : cut_off) failed(slot);
  }

  void failed(std::uint32_t slot) {
    request& it = requests_[slot];
    it.token.failed(std::chrono::nanoseconds{now_ - it.sent}, time(now_));
    const endpoint_id where = it.token.id();
    leave(it);
    alarm();
    if (it.attempt >= options_.retries) {
      end(slot, false);
      return;
    }
    if (it.attempt++ == 0) ++result_.retried;
    send(slot, where);
  }

  void give_up(std::uint32_t slot) {
    request& it = requests_[slot];
    it.token.failed(std::chrono::nanoseconds{now_ - it.sent}, time(now_));
    leave(it);
    alarm();
    end(slot, false);
  }

  // In its own thread the detector would be woken now.
  void alarm() {
    if (!detector_ || members_.events_seen() == events_seen_) return;
    events_seen_ = members_.events_seen();
    detector_->evaluate(time(now_));
  }

  void leave(request& it) {
    server& at = servers_[it.server];
    count(at);
    --at.in_flight;
    it.token = {};
  }

  void end(std::uint32_t slot, bool success) {
    request& it = requests_[slot];
    latencies_.push_back(static_cast<float>(now_ - it.arrived) / static_cast<float>(millisecond));
    if (!success) ++result_.errors;
    it.number = 0;
    free_.push_back(slot);
  }

  [[nodiscard]] bool alive(const job& what) const {
    const request& it = requests_[what.slot];
    return it.number == what.number && it.attempt == what.attempt;
  }

  // Accounts for the time since the last change.
  void count(server& at) {
    const nanoseconds until = std::min(now_, length_);
    if (until <= at.counted_until) return;
    at.busy_time += static_cast<double>(at.busy) * static_cast<double>(until - at.counted_until);
    const double part = static_cast<double>(length_) / parts;
    double from = static_cast<double>(at.counted_until);
    while (at.in_flight > 0 && from < static_cast<double>(until)) {
      const auto index = std::min(parts - 1, static_cast<std::size_t>(from / part));
      const double to = index + 1 == parts
                            ? static_cast<double>(until)
                            : std::min(static_cast<double>(until), part * static_cast<double>(index + 1));
      at.in_flight_time[index] += static_cast<double>(at.in_flight) * std::max(0.0, to - from);
      from = std::max(to, from + 1);
    }
    at.counted_until = until;
  }

  void finish() {
    now_ = std::max(now_, length_);
    describe_latencies();
    result_.run_seconds = static_cast<double>(length_) / second;
    for (server& at : servers_) {
      count(at);
      server_result one;
      one.picks = at.picks;
      one.workers = at.workers;
      const double there = static_cast<double>(std::max<nanoseconds>(1, length_ - at.joined)) * at.workers;
      one.busy = at.busy_time / there;
      for (const double each : at.in_flight_time)
        one.in_flight.push_back(static_cast<float>(each * parts / static_cast<double>(length_) / at.workers));
      result_.left_in_flight += members_.in_flight(at.id);
      result_.servers.push_back(std::move(one));
    }
  }

  void describe_latencies() {
    std::sort(latencies_.begin(), latencies_.end());
    const auto count = static_cast<double>(latencies_.size());
    result_.requests = latencies_.size();
    double sum = 0;
    for (const float each : latencies_) sum += each;
    result_.mean_ms = sum / count;
    const auto at = [&](double quantile) {
      const double rank = std::clamp(std::ceil(quantile * count - 1e-6), 1.0, count);
      return static_cast<double>(latencies_[static_cast<std::size_t>(rank) - 1]);
    };
    result_.p50_ms = at(0.5);
    result_.p99_ms = at(0.99);
    result_.p999_ms = at(0.999);
    for (double decades = 0.1; decades < std::log10(count) - 1 + 1e-9; decades += 0.1) {
      const double one_in = std::pow(10.0, decades);
      result_.curve.push_back({one_in, at(1 - 1 / one_in)});
    }
  }

  const balance_scenario& scenario_;
  simulation_options options_;
  simulated_cluster members_;
  std::unique_ptr<simulated_balancer> balancer_;
  std::optional<outlier_detector<std::uint32_t, simulated_clock>> detector_;
  std::uint32_t events_seen_ = 0;
  balance_traffic traffic_;
  xoshiro256 random_;  // for what befalls the servers
  nanoseconds length_ = 0;
  nanoseconds now_ = 0;
  std::uint64_t order_ = 0;
  std::vector<server> servers_;
  std::vector<request> requests_;
  std::vector<std::uint32_t> free_;
  std::deque<patience> deadlines_;  // in order: all have the same time
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::vector<float> latencies_;
  simulation_result result_;
};

}  // namespace

double simulation_result::error_ratio() const noexcept {
  return requests == 0 ? 0 : static_cast<double>(errors) / static_cast<double>(requests);
}

double simulation_result::retried_ratio() const noexcept {
  return requests == 0 ? 0 : static_cast<double>(retried) / static_cast<double>(requests);
}

double simulation_result::load_spread() const noexcept {
  if (servers.empty()) return 0;
  const auto count = static_cast<double>(servers.size());
  double mean = 0;
  for (const server_result& each : servers) mean += each.busy / count;
  double variance = 0;
  for (const server_result& each : servers) variance += (each.busy - mean) * (each.busy - mean) / count;
  return mean > 0 ? std::sqrt(variance) / mean : 0;
}

double simulation_result::share_of(std::size_t server) const noexcept {
  return picks == 0 || server >= servers.size()
             ? 0
             : static_cast<double>(servers[server].picks) / static_cast<double>(picks);
}

simulation_result simulate(const balance_scenario& scenario, std::string_view policy, const simulation_options& options,
                           const std::function<void(std::uint64_t)>& advance) {
  return simulation{scenario, policy, options}.run(advance);
}

}  // namespace banyan::lab
