#include "limit_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>
#include <utility>

#include <banyan/core/random.hpp>
#include <banyan/limit/detail/queue_patience.hpp>

#include "limit_clients.hpp"

namespace banyan::lab {
namespace {

using nanoseconds = std::int64_t;  // of the simulation, from the start of the run

constexpr nanoseconds millisecond = 1'000'000;
constexpr nanoseconds second = 1000 * millisecond;
constexpr nanoseconds never = INT64_MAX;
constexpr nanoseconds patience_target = 5 * millisecond;
constexpr nanoseconds patience_interval = 100 * millisecond;
constexpr nanoseconds chore_takes = 5 * millisecond;  // refusals that a worker deals with at a time
constexpr double good = 0.9;                          // of what arrives answered: the service has recovered

nanoseconds rounded(double value) { return static_cast<nanoseconds>(std::llround(value)); }
nanoseconds from_ms(double value) { return rounded(value * static_cast<double>(millisecond)); }

// Given by the number alone, so that every policy has the same.
double unit(std::uint64_t seed, std::uint64_t number) {
  splitmix64 generator{mix_bits(seed) ^ mix_bits(number * 2 + 1)};
  return random_unit(generator);
}

enum class event_kind { done, refused, again, impatient, chore };

struct event {
  nanoseconds at;
  std::uint64_t order;
  event_kind kind;
  std::size_t slot;      // of the job; refused and again: of the request
  std::uint64_t number;  // of the attempt, or of the job
  friend bool operator>(const event& a, const event& b) noexcept {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
};

// A request, as its client knows it. `attempt` is the number of the attempt under way, over all requests; 0: none.
struct request {
  std::uint64_t number = 0;
  std::uint64_t attempt = 0;
  std::uint32_t tries = 0;
  std::size_t client = 0;
  importance how = importance::normal;
  nanoseconds arrived = 0;
  nanoseconds sent = 0;
  simulated_client::permit permit{};
};

// An attempt that was let in, as the service knows it.
struct job {
  std::uint64_t number = 0;  // of the attempt; 0: the slot is free, or it was sent away while it waited
  std::size_t request = 0;
  nanoseconds demand = 0;
  nanoseconds came = 0;
  nanoseconds deadline = 0;
  nanoseconds took = 0;
  bool hangs = false;
  bool waits = false;
};

struct expiry {
  nanoseconds at;
  std::size_t request;
  std::uint64_t attempt;
};

template <class T>
class slots {
 public:
  std::size_t take() {
    if (free_.empty()) {
      all_.emplace_back();
      return all_.size() - 1;
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(std::size_t slot) {
    all_[slot] = T{};
    free_.push_back(slot);
  }
  [[nodiscard]] T& operator[](std::size_t slot) { return all_[slot]; }
  [[nodiscard]] std::size_t taken() const { return all_.size() - free_.size(); }

 private:
  std::deque<T> all_;
  std::vector<std::size_t> free_;
};

class simulation {
 public:
  simulation(const limit_scenario& scenario, const limit_policy_entry& policy, const limit_simulation_options& options)
      : scenario_{scenario},
        policy_{policy},
        options_{options},
        length_{options.seconds * second},
        timeout_{from_ms(options.timeout_ms)},
        arrivals_{mix_bits(options.seed)} {
    if (policy.make != nullptr) gate_ = policy.make(options.capacity(), options.workers);
    for (std::uint32_t i = 0; i < limit_simulation_options::clients; ++i) clients_.emplace_back(policy, time(0));
    result_.seconds.resize(options.seconds);
    for (std::uint32_t i = 0; i < options.seconds; ++i) {
      limit_sums& bin = result_.seconds[i];
      bin.seconds = 1;
      for (int tenth = 0; tenth < 10; ++tenth) {
        const double part = (i + (tenth + 0.5) / 10) / options.seconds;
        bin.possible += scenario.capacity_at(part, options.workers, limit_simulation_options::mean_service_ms,
                                             limit_simulation_options::hang_ms) /
                        10;
      }
    }
  }

  limit_simulation_result run(const std::function<void(std::uint64_t)>& advance) {
    const auto started = steady_clock::now();
    nanoseconds arrival = next_arrival();
    nanoseconds look = 0;
    for (;;) {
      const nanoseconds expires = expiries_.empty() ? never : expiries_.front().at;
      const nanoseconds happens = events_.empty() ? never : events_.top().at;
      const nanoseconds at = std::min({arrival, expires, happens});
      if (at == never) break;
      // Ten times a second the state is looked at, for the mean values.
      while (look <= at && look < length_) {
        now_ = look;
        observe();
        look += second / 10;
        if (advance && look % second == 0) advance(1);
      }
      now_ = at;
      if (at == happens) {
        const event what = events_.top();
        events_.pop();
        handle(what);
      } else if (at == expires) {
        const expiry what = expiries_.front();
        expiries_.pop_front();
        if (requests_[what.request].attempt == what.attempt) attempt_failed(what.request);
      } else {
        arrive();
        arrival = next_arrival();
      }
    }
    result_.left_in_flight = jobs_.taken() + (gate_ != nullptr ? gate_->in_flight() : 0);
    result_.machine_seconds = std::chrono::duration<double>(steady_clock::now() - started).count();
    finish();
    return std::move(result_);
  }

 private:
  static limit_clock::time_point time(nanoseconds at) { return limit_start + std::chrono::nanoseconds{at}; }
  [[nodiscard]] double part(nanoseconds at) const { return static_cast<double>(at) / static_cast<double>(length_); }
  [[nodiscard]] limit_sums& bin(nanoseconds at) {
    return at < length_ ? result_.seconds[static_cast<std::size_t>(at / second)] : beyond_;
  }
  void push(nanoseconds at, event_kind kind, std::size_t slot, std::uint64_t number) {
    events_.push({at, ++order_, kind, slot, number});
  }

  // Poisson at the highest rate, of which the present rate's share is kept.
  nanoseconds next_arrival() {
    const double highest = scenario_.highest_load(options_.load);
    const double mean = static_cast<double>(second) / (highest * options_.capacity());
    for (;;) {
      next_ += -std::log(1 - random_unit(arrivals_)) * mean;
      const nanoseconds at = rounded(next_);
      if (at >= length_) return never;
      if (random_unit(arrivals_) * highest < scenario_.load_at(part(at), options_.load)) return at;
    }
  }

  void arrive() {
    const std::size_t slot = requests_.take();
    request& made = requests_[slot];
    made.number = ++arrived_;
    made.arrived = now_;
    made.client = static_cast<std::size_t>(mix_bits(options_.seed ^ mix_bits(made.number)) % clients_.size());
    const double drawn = unit(options_.seed + 1, made.number);
    made.how = drawn < 0.2 ? importance::critical : drawn < 0.8 ? importance::normal : importance::sheddable;
    bin(now_).arrived += 1;
    if (made.how == importance::critical) bin(now_).critical += 1;
    clients_[made.client].request(time(now_));
    send(slot);
  }

  void send(std::size_t slot) {
    request& sent = requests_[slot];
    limit_sums& sums = bin(now_);
    sums.attempts += 1;
    sent.tries += 1;
    sent.attempt = ++attempts_;
    sent.sent = now_;
    if (!clients_[sent.client].may_send(sent.permit, time(now_))) {
      // A client whose breaker is open fails at once; it does not try again.
      sums.refused += 1;
      requests_.give_back(slot);
      return;
    }
    expiries_.push_back({now_ + timeout_, slot, sent.attempt});
    const std::size_t let_in = jobs_.take();
    if (gate_ != nullptr && !gate_->try_acquire(let_in, sent.how, time(now_))) {
      jobs_.give_back(let_in);
      refuse(slot, sent.attempt);
      return;
    }
    job& work = jobs_[let_in];
    work.number = sent.attempt;
    work.request = slot;
    work.came = now_;
    work.deadline = now_ + timeout_;
    work.waits = true;
    work.demand =
        std::max<nanoseconds>(1, from_ms(limit_simulation_options::mean_service_ms *
                                         unit_service_time(options_.service, unit(options_.seed + 2, sent.number),
                                                           unit(options_.seed + 4, sent.number))));
    const nanoseconds patience = patience_.of(waiting_ == 0, now_);
    ++waiting_;
    queue_.push_back(let_in);
    begin_work();
    if (policy_.queue == queue_rule::patience && jobs_[let_in].waits && jobs_[let_in].number == sent.attempt) {
      push(now_ + patience, event_kind::impatient, let_in, sent.attempt);
    }
  }

  // The client hears of it soon. Saying no is work as well, of any worker; it is done in lots.
  void refuse(std::size_t slot, std::uint64_t attempt) {
    bin(now_).refused += 1;
    push(now_ + from_ms(limit_simulation_options::refusal_ms), event_kind::refused, slot, attempt);
    owed_ += from_ms(limit_simulation_options::refusal_work_ms);
    if (owed_ >= chore_takes) begin_work();
  }

  [[nodiscard]] std::uint32_t workers() const { return scenario_.workers_at(part(now_), options_.workers); }

  void begin_work() {
    for (; busy_ < workers() && owed_ >= chore_takes; owed_ -= chore_takes) {
      ++busy_;
      push(now_ + chore_takes, event_kind::chore, 0, 0);
    }
    while (busy_ < workers() && !queue_.empty()) {
      const std::size_t slot = queue_.front();
      queue_.pop_front();
      job& work = jobs_[slot];
      if (!work.waits) {  // sent away before
        jobs_.give_back(slot);
        continue;
      }
      work.waits = false;
      --waiting_;
      if (policy_.queue == queue_rule::deadline && now_ >= work.deadline) {
        if (gate_ != nullptr) gate_->dropped(slot, time(now_));
        jobs_.give_back(slot);
        continue;
      }
      const bool troubled = scenario_.troubled(part(now_));
      work.hangs = troubled && unit(options_.seed + 3, work.number) < scenario_.timeouts;
      work.took = work.hangs ? from_ms(limit_simulation_options::hang_ms)
                             : rounded(static_cast<double>(work.demand) * (troubled ? scenario_.slower : 1));
      ++busy_;
      push(now_ + work.took, event_kind::done, slot, work.number);
    }
  }

  void handle(const event& what) {
    switch (what.kind) {
      case event_kind::done:
        done(what.slot);
        break;
      case event_kind::chore:
        --busy_;
        bin(now_).worked += static_cast<double>(chore_takes) / static_cast<double>(second);
        begin_work();
        break;
      case event_kind::refused:
        if (requests_[what.slot].attempt == what.number) attempt_failed(what.slot);
        break;
      case event_kind::again:
        send(what.slot);
        break;
      case event_kind::impatient:
        if (job& work = jobs_[what.slot]; work.number == what.number && work.waits) {
          work.waits = false;
          --waiting_;
          if (gate_ != nullptr) gate_->dropped(what.slot, time(now_));
          refuse(work.request, work.number);
        }
        break;
    }
  }

  void done(std::size_t slot) {
    const job work = jobs_[slot];
    if (gate_ != nullptr) {
      if (work.hangs) {
        gate_->dropped(slot, time(now_));
      } else {
        gate_->succeeded(slot, std::chrono::nanoseconds{now_ - work.came}, time(now_));
      }
    }
    jobs_.give_back(slot);
    --busy_;
    limit_sums& sums = bin(now_);
    const double took = static_cast<double>(work.took) / static_cast<double>(second);
    sums.worked += took;
    request& from = requests_[work.request];
    const bool awaited = from.attempt == work.number;
    if (work.hangs || !awaited) sums.wasted += took;
    if (awaited && work.hangs) {
      attempt_failed(work.request);
    } else if (awaited) {
      answered(work.request);
    }
    begin_work();
  }

  void answered(std::size_t slot) {
    request& from = requests_[slot];
    from.permit.succeeded(std::chrono::nanoseconds{now_ - from.sent}, time(now_));
    limit_sums& sums = bin(from.arrived);
    sums.answered += 1;
    if (from.how == importance::critical) sums.critical_answered += 1;
    latencies_.emplace_back(from.arrived, now_ - from.arrived);
    requests_.give_back(slot);
  }

  void attempt_failed(std::size_t slot) {
    request& from = requests_[slot];
    from.permit.failed(std::chrono::nanoseconds{now_ - from.sent}, time(now_));
    from.attempt = 0;
    if (from.tries <= options_.retries) {
      const auto wait = clients_[from.client].retry_after(from.tries - 1, from.number, time(now_));
      if (wait) {
        push(now_ + wait->count(), event_kind::again, slot, 0);
        return;
      }
    }
    requests_.give_back(slot);
  }

  void observe() {
    limit_sums& sums = bin(now_);
    if (gate_ != nullptr) sums.limit += gate_->limit() / 10;
    sums.in_flight += static_cast<double>(waiting_ + busy_) / 10;
    begin_work();  // workers that have come back take up work
  }

  void finish() {
    for (limit_sums& each : result_.seconds) each.possible = std::min(each.possible, each.arrived);
    for (const limit_phase& phase : scenario_.phases()) {
      limit_phase_result of{.phase = phase};
      const auto first = static_cast<std::size_t>(std::lround(phase.from * options_.seconds));
      const auto last = static_cast<std::size_t>(std::lround(phase.to * options_.seconds));
      for (std::size_t i = first; i < last; ++i) add(of.sums, result_.seconds[i]);
      of.sums.limit /= of.sums.seconds;
      of.sums.in_flight /= of.sums.seconds;
      std::vector<nanoseconds> took;
      for (const auto& [arrived, latency] : latencies_) {
        const auto in = static_cast<std::size_t>(arrived / second);
        if (in >= first && in < last) took.push_back(latency);
      }
      of.p50_ms = percentile(took, 0.5);
      of.p99_ms = percentile(took, 0.99);
      result_.phases.push_back(of);
    }
    if (scenario_.to > scenario_.from) recovery();
  }

  static void add(limit_sums& to, const limit_sums& from) {
    for (const auto member :
         {&limit_sums::arrived, &limit_sums::answered, &limit_sums::possible, &limit_sums::critical,
          &limit_sums::critical_answered, &limit_sums::attempts, &limit_sums::refused, &limit_sums::worked,
          &limit_sums::wasted, &limit_sums::limit, &limit_sums::in_flight, &limit_sums::seconds}) {
      to.*member += from.*member;
    }
  }

  static double percentile(std::vector<nanoseconds>& of, double share) {
    if (of.empty()) return 0;
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(of.size())));
    const auto at = of.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::nth_element(of.begin(), at, of.end());
    return static_cast<double>(*at) / static_cast<double>(millisecond);
  }

  void recovery() {
    const auto over = static_cast<std::size_t>(std::lround(scenario_.to * options_.seconds));
    std::size_t since = over;  // the first second from which on all is well
    for (std::size_t i = over; i < result_.seconds.size(); ++i) {
      if (result_.seconds[i].answered < good * result_.seconds[i].arrived) since = i + 1;
    }
    if (since < result_.seconds.size()) result_.recovered_after = static_cast<double>(since - over);
  }

  const limit_scenario& scenario_;
  const limit_policy_entry& policy_;
  const limit_simulation_options& options_;
  nanoseconds length_;
  nanoseconds timeout_;
  xoshiro256 arrivals_;
  double next_ = 0;
  nanoseconds now_ = 0;
  std::uint64_t arrived_ = 0;
  std::uint64_t attempts_ = 0;
  std::uint64_t order_ = 0;
  std::unique_ptr<simulated_gate> gate_;
  std::deque<simulated_client> clients_;
  slots<request> requests_;
  slots<job> jobs_;
  std::deque<std::size_t> queue_;  // of jobs, some of them sent away
  std::size_t waiting_ = 0;
  detail::queue_patience<> patience_{patience_interval, patience_target};
  std::uint32_t busy_ = 0;
  nanoseconds owed_ = 0;  // work for refusals that nobody has done yet
  std::deque<expiry> expiries_;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::vector<std::pair<nanoseconds, nanoseconds>> latencies_;  // arrival and time until the answer
  limit_simulation_result result_;
  limit_sums beyond_;  // of what happens after the end
};

}  // namespace

limit_simulation_result simulate_overload(const limit_scenario& scenario, std::string_view policy,
                                          const limit_simulation_options& options,
                                          const std::function<void(std::uint64_t)>& advance) {
  return simulation{scenario, find_limit_policy(policy), options}.run(advance);
}

}  // namespace banyan::lab
