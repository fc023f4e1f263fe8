#pragma once

/// \file
/// Everything that is compared, behind one shape: so many picks, each given back at once.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/balance.hpp>
#include <banyan/cluster.hpp>
#include <banyan/core/cache_line.hpp>

#include "rivals.hpp"

namespace bench {

/// What a thread knows from one stretch to the next: its keys and its time, both made up.
struct alignas(banyan::cache_line_size) thread_state {
  explicit thread_state(unsigned thread) : key{thread} {}

  std::uint64_t key;
  banyan::steady_clock::time_point now = banyan::steady_clock::now();

  /// A new key each time, strewn over all numbers.
  std::uint64_t next_key() noexcept { return key += 0x9E3779B97F4A7C15U; }

  /// A tenth of a microsecond later each time: the caller's clock, which costs the pick nothing.
  banyan::steady_clock::time_point next_time() noexcept { return now += std::chrono::nanoseconds{100}; }

  /// About a millisecond, a little different each time.
  [[nodiscard]] std::chrono::nanoseconds latency() noexcept {
    return std::chrono::nanoseconds{900'000 + static_cast<std::int64_t>(next_key() >> 46)};
  }
};

struct setup {
  std::size_t endpoints = 0;
  std::uint32_t stripes = 0;  ///< cluster_options::stripes
  bool equal_weights = false;

  [[nodiscard]] double weight(std::size_t i) const { return equal_weights ? 1 : 1 + static_cast<double>(i % 5); }
  [[nodiscard]] static std::string address(std::size_t i) {
    return "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ":80";
  }
};

class contender {
 public:
  contender() = default;
  contender(const contender&) = delete;
  contender& operator=(const contender&) = delete;
  virtual ~contender() = default;

  /// Picks so often and gives back each time; returns how many came back empty, which should be none.
  virtual std::uint64_t run(std::uint64_t picks, thread_state& thread) = 0;
};

struct entrant {
  std::string name;
  std::string meaning;
  std::function<std::unique_ptr<contender>(const setup&)> make;
  bool rival = false;
};

// ---- ours -----------------------------------------------------------------------------------------------------------

/// How one request goes: what is asked, whether the outcome is reported, whose clock is read.
struct plain_pick {
  template <class Balancer>
  static bool once(Balancer& lb, thread_state&) noexcept {
    return static_cast<bool>(lb.pick());
  }
};

struct keyed_pick {
  template <class Balancer>
  static bool once(Balancer& lb, thread_state& thread) noexcept {
    return static_cast<bool>(lb.pick({.key = thread.next_key()}));
  }
};

/// One of 4,096 sessions.
struct session_pick {
  template <class Balancer>
  static bool once(Balancer& lb, thread_state& thread) noexcept {
    return static_cast<bool>(lb.pick({.key = thread.next_key() >> 52}));
  }
};

struct reported_pick {
  template <class Balancer>
  static bool once(Balancer& lb, thread_state& thread) noexcept {
    const auto now = thread.next_time();
    auto pick = lb.pick({}, now);
    pick.succeeded(thread.latency(), now);
    return static_cast<bool>(pick);
  }
};

/// As above, but the time is asked for: once by the pick, if it wants to know, and once by the report.
struct clocked_pick {
  template <class Balancer>
  static bool once(Balancer& lb, thread_state& thread) noexcept {
    auto pick = lb.pick();
    pick.succeeded(thread.latency());
    return static_cast<bool>(pick);
  }
};

template <class Policy, class Pick>
class ours final : public contender {
 public:
  ours(const setup& wanted, Policy policy)
      : members_{{.stripes = wanted.stripes}}, lb_{filled(wanted), std::move(policy)} {}

  std::uint64_t run(std::uint64_t picks, thread_state& thread) override {
    std::uint64_t empty = 0;
    for (std::uint64_t i = 0; i < picks; ++i) empty += Pick::once(lb_, thread) ? 0 : 1;
    return empty;
  }

 private:
  banyan::cluster<std::string>& filled(const setup& wanted) {
    std::vector<banyan::endpoint_description<std::string>> all;
    for (std::size_t i = 0; i < wanted.endpoints; ++i) all.push_back({setup::address(i), {.weight = wanted.weight(i)}});
    members_.replace(std::move(all));
    return members_;
  }

  banyan::cluster<std::string> members_;
  banyan::balancer<std::string, Policy> lb_;
};

template <class Pick, class Make>
entrant our_entrant(std::string name, std::string meaning, Make make_policy) {
  using policy = decltype(make_policy());
  return {std::move(name), std::move(meaning), [make_policy](const setup& wanted) -> std::unique_ptr<contender> {
            return std::make_unique<ours<policy, Pick>>(wanted, make_policy());
          }};
}

// ---- rivals ---------------------------------------------------------------------------------------------------------

template <class Rival>
class plain final : public contender {
 public:
  explicit plain(const setup& wanted) : rival_{endpoints(wanted)} {}

  std::uint64_t run(std::uint64_t picks, thread_state&) override {
    std::uint64_t empty = 0;
    for (std::uint64_t i = 0; i < picks; ++i) empty += rival_.pick() ? 0 : 1;
    return empty;
  }

 private:
  static plain_list endpoints(const setup& wanted) {
    plain_list all;
    for (std::size_t i = 0; i < wanted.endpoints; ++i) {
      all.push_back(std::make_shared<plain_endpoint>());
      all.back()->address = setup::address(i);
      all.back()->weight = wanted.weight(i);
    }
    return all;
  }

  Rival rival_;
};

/// No balancing, no counting, no lifetime: one number that all threads add to.
class bare_fetch_add final : public contender {
 public:
  std::uint64_t run(std::uint64_t picks, thread_state&) override {
    for (std::uint64_t i = 0; i < picks; ++i) next_.fetch_add(1, std::memory_order_relaxed);
    return 0;
  }

 private:
  alignas(banyan::cache_line_size) std::atomic<std::uint64_t> next_{0};
};

/// The same with a number for each thread: what two threads of this machine come to when nothing is shared.
class own_fetch_add final : public contender {
 public:
  std::uint64_t run(std::uint64_t picks, thread_state&) override {
    alignas(banyan::cache_line_size) thread_local std::atomic<std::uint64_t> next{0};
    for (std::uint64_t i = 0; i < picks; ++i) next.fetch_add(1, std::memory_order_relaxed);
    return 0;
  }
};

/// A count for each endpoint, a line apart: one drawn at random is counted up and down again. The floor for whoever
/// does not go through the endpoints in order: with many of them, the wait for memory.
class random_line final : public contender {
 public:
  explicit random_line(const setup& wanted) : lines_(wanted.endpoints) {}

  std::uint64_t run(std::uint64_t picks, thread_state& thread) override {
    for (std::uint64_t i = 0; i < picks; ++i) {
      line& one = lines_[((thread.next_key() >> 32) * lines_.size()) >> 32];
      one.in_flight.fetch_add(1, std::memory_order_relaxed);
      one.in_flight.fetch_sub(1, std::memory_order_release);
    }
    return 0;
  }

 private:
  struct alignas(banyan::cache_line_size) line {
    std::atomic<std::int64_t> in_flight{0};
  };
  std::vector<line> lines_;
};

template <class Contender>
entrant rival(std::string name, std::string meaning) {
  return {std::move(name), std::move(meaning),
          [](const setup& wanted) -> std::unique_ptr<contender> {
            if constexpr (std::is_default_constructible_v<Contender>) {
              return std::make_unique<Contender>();
            } else {
              return std::make_unique<Contender>(wanted);
            }
          },
          true};
}

/// One line each.
inline std::vector<entrant> all_entrants() {
  using namespace banyan;
  return {
    our_entrant<plain_pick>("round-robin", "a cursor for each thread", [] { return round_robin{}; }),
        our_entrant<plain_pick>("strict-rr", "one order for all threads", [] { return round_robin{{.strict = true}}; }),
        our_entrant<plain_pick>("smooth-wrr", "nginx's sequence, baked", [] { return smooth_weighted_round_robin{}; }),
        our_entrant<plain_pick>("random", "weighted, alias table", [] { return random_choice{}; }),
        our_entrant<plain_pick>("least-conn", "exact: looks at all", [] { return least_connections{}; }),
        our_entrant<plain_pick>("two-choices", "fewest in flight of two", [] { return power_of_two{}; }),
        our_entrant<plain_pick>("peak-ewma", "no latency reported", [] { return peak_ewma{}; }),
        our_entrant<keyed_pick>("ring", "a new key each time", [] { return ring_affinity{}; }),
        our_entrant<keyed_pick>("maglev", "a new key each time", [] { return maglev_affinity{}; }),
        our_entrant<keyed_pick>("rendezvous", "a new key each time", [] { return rendezvous_affinity{}; }),
        our_entrant<keyed_pick>("ring-bounded", "bounded load 1.25",
                                [] { return ring_affinity{{.bounded_load = 1.25}}; }),
        our_entrant<keyed_pick>("maglev-bounded", "bounded load 1.25",
                                [] { return maglev_affinity{{.bounded_load = 1.25}}; }),
        our_entrant<session_pick>("sticky", "4,096 sessions, new ones by two choices",
                                  [] { return sticky<power_of_two>{}; }),
        our_entrant<reported_pick>("round-robin+", "with a report, at the caller's time", [] { return round_robin{}; }),
        our_entrant<reported_pick>("two-choices+", "with a report, at the caller's time",
                                   [] { return power_of_two{}; }),
        our_entrant<reported_pick>("peak-ewma+", "with a report, at the caller's time", [] { return peak_ewma{}; }),
        our_entrant<clocked_pick>("peak-ewma+clock", "with a report, reads the clock twice",
                                  [] { return peak_ewma{}; }),
        rival<bare_fetch_add>("fetch-add", "the floor: one number all threads add to"),
        rival<own_fetch_add>("own-fetch-add", "the same with a number for each thread: how two threads can scale here"),
        rival<random_line>("random-line", "a count for each endpoint, one at random up and down: what memory asks for"),
        rival<plain<mutex_round_robin>>("mutex", "round robin under a mutex"),
        rival<plain<mutex_smooth_round_robin>>("nginx", "smooth weighted round robin, O(n) under a mutex"),
        rival<plain<shared_mutex_round_robin>>("shared-mutex", "round robin over a list behind a shared_mutex"),
#if defined(__cpp_lib_atomic_shared_ptr)
        rival<plain<atomic_list_round_robin>>("atomic-ptr", "round robin over a list in an atomic shared_ptr"),
#endif
  };
}

}  // namespace bench
