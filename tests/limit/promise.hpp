#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/joining_thread.hpp"
#include "support/seed.hpp"

namespace banyan::testing {

/// One admission: when, by the clock of the thread that asked, and of how many tokens.
struct admission {
  std::int64_t at = 0;  // nanoseconds
  std::uint64_t tokens = 0;
};

/// By how much the worst interval exceeds burst + rate * length, in tokens; 0 or less when the promise was kept.
/// Compares all intervals between two admissions, both ends included. O(n log n).
inline double excess(std::vector<admission> history, double rate, double burst) {
  std::stable_sort(history.begin(), history.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  double worst = -burst;
  double before = 0;
  double opening = -1e300;  // of all beginnings so far: rate * time - what was admitted before it
  for (const admission& each : history) {
    const double due = rate * 1e-9 * static_cast<double>(each.at);
    opening = std::max(opening, due - before);
    before += static_cast<double>(each.tokens);
    worst = std::max(worst, before - due + opening - burst);
  }
  return worst;
}

/// A thread's clock: it may run ahead or behind, stand still for a while, and jump back.
class crooked_clock {
 public:
  crooked_clock(std::uint64_t seed, std::int64_t skew) : random_{seed}, skew_{skew} {}

  std::int64_t read(std::int64_t true_time) {
    if (frozen_ > 0) {
      --frozen_;
    } else if (random_.chance(1, 50)) {
      frozen_ = static_cast<int>(random_.below(100));
    } else {
      last_ = true_time + skew_;
    }
    if (random_.chance(1, 200)) return last_ - static_cast<std::int64_t>(random_.below(1'000'000'000));
    return last_;
  }

 private:
  random_source random_;
  std::int64_t skew_;
  std::int64_t last_ = 0;
  int frozen_ = 0;
};

/// Threads with crooked clocks ask `limiter.try_acquire(n, now)`, `attempts` times each, while the true time goes on by
/// up to `step` a call. `Limiter::time_point` is told in nanoseconds since `zero`. All that was admitted.
template <class TimePoint, class Ask>
std::vector<admission> recorded_run(std::size_t threads, std::size_t attempts, std::int64_t step, std::uint64_t most,
                                    std::uint64_t seed, TimePoint zero, Ask ask) {
  std::vector<std::vector<admission>> lanes(threads);
  std::atomic<std::int64_t> true_time{0};
  std::atomic<std::size_t> ready{0};
  {
    std::vector<joining_thread> running;
    for (std::size_t t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        random_source random{seed + t};
        // One clock is right, the others are ahead or behind by up to a second.
        crooked_clock clock{seed * 31 + t,
                            t == 0 ? 0 : static_cast<std::int64_t>(random.below(2'000'000'000)) - 1'000'000'000};
        lanes[t].reserve(attempts);
        ready.fetch_add(1);
        while (ready.load() < threads) {
        }
        for (std::size_t i = 0; i < attempts; ++i) {
          const auto now =
              true_time.fetch_add(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(step))));
          const std::int64_t at = clock.read(now);
          const std::uint64_t n = 1 + random.below(most);
          if (ask(n, zero + typename TimePoint::duration{at}, t)) lanes[t].push_back({at, n});
        }
      });
    }
  }
  std::vector<admission> all;
  for (const auto& lane : lanes) all.insert(all.end(), lane.begin(), lane.end());
  return all;
}

}  // namespace banyan::testing
