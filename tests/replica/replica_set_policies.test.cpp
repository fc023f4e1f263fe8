#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include <banyan/balance/balancer.hpp>
#include <banyan/balance/least_connections.hpp>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/balance/power_of_two.hpp>
#include <banyan/balance/ring_affinity.hpp>
#include <banyan/balance/round_robin.hpp>
#include <banyan/balance/sticky.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"

// Among the replicas that have what a read asks for, the policy chooses as if there were no others.

using namespace std::chrono_literals;

namespace {

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;

/// Names anybody, whatever is asked for.
struct heedless {
  struct table {};
  table build(std::span<const banyan::candidate>) const noexcept { return {}; }
  std::uint32_t choose(const table&, std::span<const banyan::candidate> all,
                       banyan::pick_context& context) const noexcept {
    return static_cast<std::uint32_t>(banyan::random_below(context, all.size()));
  }
};

template <class Policy>
struct half_of {
  explicit half_of(int replicas, std::uint64_t seed) : users{options(seed)} {
    (void)users.add_primary(0);
    for (int i = 0; i < replicas; ++i) {
      ids.push_back(users.add_replica(i));
      const bool has = i % 2 == 0;
      users.report(ids.back(), {.position = has ? 10U : 9U}, at{});
      if (has) able.insert(ids.back());
    }
    session.read_at(10);
  }
  static banyan::replica_set_options options(std::uint64_t seed) {
    banyan::replica_set_options wanted;
    wanted.balance.seed = seed;
    wanted.cluster.stripes = 2;
    return wanted;
  }
  auto read(const banyan::pick_request& request = {}) {
    return users.read(session,
                      {.consistency = banyan::causal, .fallback = banyan::read_fallback::refuse, .request = request},
                      at{1s});
  }

  banyan::replica_set<int, Policy, test_clock> users;
  std::vector<banyan::endpoint_id> ids;
  std::set<banyan::endpoint_id> able;
  banyan::consistency_token session;
};

}  // namespace

TEMPLATE_TEST_CASE("replica_set: whatever the policy, reads go to those that have it, and to all of them",
                   "[replica][replica_set][policies]", heedless, banyan::round_robin, banyan::least_connections,
                   banyan::power_of_two, banyan::peak_ewma, banyan::ring_affinity,
                   banyan::sticky<banyan::power_of_two>) {
  const std::uint64_t seed = banyan::testing::derived_seed("to all of them");
  CAPTURE(seed);
  for (const int replicas : {1, 2, 3, 8, 9, 60}) {
    half_of<TestType> set{replicas, seed};
    std::set<banyan::endpoint_id> seen;
    for (std::uint64_t i = 0; i < 1'000; ++i) {
      for (const banyan::pick_request& request :
           {banyan::pick_request{}, banyan::pick_request{.avoid = set.ids[0]}, banyan::pick_request{.key = i}}) {
        auto r = set.read(request);
        REQUIRE(set.able.count(r.id()) == 1);
        REQUIRE((!request.avoid || r.id() != request.avoid || set.able.size() == 1));
        seen.insert(r.id());
        r.succeeded(1ms, at{1s});
      }
    }
    CHECK(seen == set.able);
  }
}

// Those that have it are slow or fast by turns; each holds what it is given for as long as it takes. The reference is a
// balancer over them alone.
TEMPLATE_TEST_CASE("replica_set: shares among half of the replicas are those of a cluster of only these",
                   "[replica][replica_set][policies]", banyan::peak_ewma, banyan::power_of_two, banyan::round_robin) {
  const std::uint64_t seed = banyan::testing::derived_seed("half of the replicas");
  CAPTURE(seed);
  const auto shares = [](const auto& pick) {
    std::map<int, int> counts;
    std::vector<std::pair<int, decltype(pick(0))>> out;  // until which step
    for (int step = 0; step < 20'000; ++step) {
      for (std::size_t i = 0; i < out.size();) {
        if (out[i].first > step) {
          ++i;
          continue;
        }
        out[i].second.succeeded(*out[i].second % 4 == 0 ? 30ms : 5ms, at{1s} + step * 1ms);
        std::swap(out[i], out.back());
        out.pop_back();
      }
      auto one = pick(step);
      if (!one) continue;
      ++counts[*one];
      out.emplace_back(step + (*one % 4 == 0 ? 30 : 5), std::move(one));
    }
    return counts;
  };
  for (const int replicas : {6, 7, 40}) {
    CAPTURE(replicas);
    half_of<TestType> set{replicas, seed};
    banyan::cluster<int, test_clock> only{{.stripes = 2}};
    for (int i = 0; i < replicas; i += 2) only.add(i);
    banyan::balancer<int, TestType, test_clock> reference{only, TestType{}, {.seed = seed}};
    const auto expected = shares([&](int step) { return reference.pick({}, at{1s} + step * 1ms); });
    const auto found = shares(
        [&](int step) { return set.users.read(set.session, {.consistency = banyan::causal}, at{1s} + step * 1ms); });
    REQUIRE(found.size() == expected.size());
    int slow_expected = 0;
    int slow_found = 0;
    for (const auto& [place, count] : expected) {
      if (place % 4 == 0) slow_expected += count;
      if (place % 4 == 0) slow_found += found.at(place);
      CHECK(found.at(place) * 10 > count * 7);
      CHECK(found.at(place) * 10 < count * 13 + 300);
    }
    CHECK(slow_found * 10 > slow_expected * 8 - 1000);
    CHECK(slow_found * 10 < slow_expected * 12 + 1000);
  }
}

// With nothing in flight; whom the refused one stands between must not matter.
TEMPLATE_TEST_CASE("replica_set: of a few replicas, those that have it share the reads evenly",
                   "[replica][replica_set][policies]", banyan::power_of_two, banyan::least_connections,
                   banyan::round_robin) {
  const std::uint64_t seed = banyan::testing::derived_seed("evenly");
  CAPTURE(seed);
  constexpr int reads = 6'000;
  for (unsigned members = 2; members <= 4; ++members) {
    for (unsigned able = 1; able < 1U << members; ++able) {
      CAPTURE(members, able);
      banyan::replica_set<int, TestType, test_clock> users{half_of<TestType>::options(seed + able)};
      (void)users.add_primary(-1);
      int those = 0;
      for (unsigned i = 0; i < members; ++i) {
        const bool has = (able >> i & 1U) != 0;
        users.report(users.add_replica(static_cast<int>(i)), {.position = has ? 10U : 9U}, at{});
        if (has) ++those;
      }
      banyan::consistency_token session;
      session.read_at(10);
      std::map<int, int> counts;
      for (int i = 0; i < reads; ++i) ++counts[*users.read(session, {.consistency = banyan::causal}, at{1s})];
      CHECK(counts.size() == static_cast<std::size_t>(those));
      for (const auto& [place, count] : counts) {
        CAPTURE(place);
        CHECK((able >> place & 1U) != 0);
        CHECK(std::abs(count - reads / those) < reads / 25);
      }
    }
  }
}

TEST_CASE("replica_epochs: nobody is fresher than the freshest report", "[replica][replica_epochs]") {
  banyan::detail::replica_epoch epoch{1};
  CHECK(epoch.freshest() == banyan::detail::replica_progress<>::never);
  epoch.replica_reports({.lag = 1'000}, 1'000'000'000);
  CHECK(epoch.freshest() >= 999'999'000);
  CHECK(epoch.freshest() < 999'999'000 + (1 << 16));
  epoch.replica_reports({.lag = 500'000'000}, 1'000'000'000);  // another one, further behind
  CHECK(epoch.freshest() >= 999'999'000);
  epoch.replica_reports({.has_position = true, .position = 7}, 2'000'000'000);  // says nothing of its lag
  CHECK(epoch.freshest() < 1'000'100'000);
  CHECK(epoch.furthest() == 7);
}
