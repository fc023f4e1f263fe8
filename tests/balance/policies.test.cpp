#include <banyan/balance/balance_policy.hpp>

#include <banyan/balance/least_connections.hpp>
#include <banyan/balance/maglev_affinity.hpp>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/balance/power_of_two.hpp>
#include <banyan/balance/random_choice.hpp>
#include <banyan/balance/rendezvous_affinity.hpp>
#include <banyan/balance/ring_affinity.hpp>
#include <banyan/balance/round_robin.hpp>
#include <banyan/balance/smooth_weighted_round_robin.hpp>
#include <banyan/balance/sticky.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <set>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "balance/picking.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/seed.hpp"

// What holds for all policies.

namespace {

using namespace banyan;
using banyan::testing::misfit;
using banyan::testing::picking;

/// A policy of a user's own: whoever was tried least often.
struct least_tried {
  struct table {
    std::vector<std::atomic<std::uint64_t>>* tries;
  };
  std::unique_ptr<std::vector<std::atomic<std::uint64_t>>> tries =
      std::make_unique<std::vector<std::atomic<std::uint64_t>>>(2000);  // more than any test has

  table build(std::span<const candidate>) const { return {tries.get()}; }
  std::uint32_t choose(const table& made, std::span<const candidate> all, pick_context& context) const noexcept {
    std::uint32_t best = pick_context::none;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      if (context.refused(i)) continue;
      if (best == pick_context::none || (*made.tries)[all[i].id().value()] < (*made.tries)[all[best].id().value()])
        best = i;
    }
    if (best != pick_context::none) ++(*made.tries)[all[best].id().value()];
    return best;
  }
};
static_assert(balance_policy<least_tried>);

struct strict_round_robin : round_robin {
  strict_round_robin() : round_robin{{.strict = true}} {}
};
struct bounded_ring : ring_affinity {
  bounded_ring() : ring_affinity{{.bounded_load = 1.25}} {}
};

#define EVERY_POLICY                                                                                            \
  round_robin, strict_round_robin, random_choice, smooth_weighted_round_robin, least_connections, power_of_two, \
      peak_ewma, ring_affinity, bounded_ring, maglev_affinity, rendezvous_affinity, sticky<power_of_two>, least_tried

TEMPLATE_TEST_CASE("any policy: any number of endpoints, any weights", "[balance][policies]", EVERY_POLICY) {
  const std::uint64_t seed = banyan::testing::derived_seed("any weights");
  CAPTURE(seed);
  for (const std::vector<double>& weights :
       {std::vector<double>{}, std::vector<double>{1}, std::vector<double>{0}, std::vector<double>{0, 2, 0},
        std::vector<double>{1e-300}, std::vector<double>{1e-300, 1e-40, 1}, std::vector<double>{4e9, 1e-30, 4e9},
        std::vector<double>(3, 4e9), std::vector<double>(70, 1.5)}) {
    CAPTURE(weights);
    picking<TestType> all{weights, TestType{}, seed};
    for (std::uint64_t i = 0; i < 50; ++i) {
      for (const pick_request& request : {pick_request{}, pick_request{.key = i}, pick_request{.cookie = i}}) {
        const std::size_t chosen = all.number(request);
        if (all.lb().candidates() == 0) {
          REQUIRE(chosen == all.none);
        } else {
          REQUIRE(chosen < weights.size());
          REQUIRE(weights[chosen] > 0);
        }
      }
    }
    for (std::size_t i = 0; i < weights.size(); ++i) REQUIRE(all.members().in_flight(all.id(i)) == 0);
  }
}

TEMPLATE_TEST_CASE("any policy: goes elsewhere if it can", "[balance][policies]", EVERY_POLICY) {
  for (const std::size_t n : {2U, 3U, 9U, 80U}) {
    picking<TestType> all{std::vector<double>(n, 1)};
    all.members().set_weight(all.id(0), 1e6);
    for (std::uint64_t i = 0; i < 100; ++i) {
      const std::size_t avoided = i % 2 == 0 ? 0 : i % n;
      REQUIRE(all.number({.avoid = all.id(avoided), .key = i}) != avoided);
      REQUIRE(all.number({.avoid = all.id(avoided)}) != avoided);
    }
  }
}

TEMPLATE_TEST_CASE("any policy: everybody gets something, removed and drained ones nothing", "[balance][policies]",
                   EVERY_POLICY) {
  picking<TestType> all{std::vector<double>(12, 1)};
  std::set<std::size_t> picked;
  for (std::uint64_t i = 0; i < 600; ++i) picked.insert(all.number({.key = i}));
  CHECK(picked.size() == 12);
  all.members().remove(all.id(3));
  all.members().drain(all.id(5));
  all.members().set_health(all.id(7), health::unhealthy);
  all.members().set_weight(all.id(9), 0);
  picked.clear();
  for (std::uint64_t i = 0; i < 600; ++i) picked.insert(all.number({.key = i}));
  CHECK(picked == std::set<std::size_t>{0, 1, 2, 4, 6, 8, 10, 11});
}

TEMPLATE_TEST_CASE("any policy: a pick does not allocate", "[balance][policies]", EVERY_POLICY) {
  for (const std::size_t n : {1U, 10U, 100U, 1100U}) {
    picking<TestType> all{std::vector<double>(n, 1)};
    (void)all.number();
    const std::uint64_t before = banyan::testing::allocations_by_this_thread();
    for (std::uint64_t i = 0; i < 200; ++i) {
      (void)all.number({.key = i});
      (void)all.number({.avoid = all.id(i % n), .key = i});
      (void)all.number();
    }
    CHECK(banyan::testing::allocations_by_this_thread() == before);
  }
}

TEMPLATE_TEST_CASE("any policy: memory that runs out while members change", "[balance][policies]", EVERY_POLICY) {
  picking<TestType> all{std::vector<double>{1, 2, 3}};
  const std::size_t before = all.lb().candidates();
  for (std::uint64_t n = 1; n < 200; ++n) {
    const banyan::testing::fail_nth_allocation guard{n};
    bool failed = false;
    try {
      all.members().set_weight(all.id(1), static_cast<double>(n) + 0.25);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    const banyan::testing::unfailing_section off;
    REQUIRE(all.lb().candidates() == before);
    REQUIRE(all.number({.key = n}) < 3);
    if (!failed) break;
  }
}

TEMPLATE_TEST_CASE("any policy: threads pick while members come and go", "[balance][policies]", EVERY_POLICY) {
  picking<TestType> all{std::vector<double>(8, 1)};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> empty{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      std::vector<typename picking<TestType>::token> held;
      for (std::uint64_t i = t; i < 4000 || !done; ++i) {
        auto one = i % 3 == 0 ? all.pick() : all.pick({.key = i % 100});
        if (!one) ++empty;
        if (i % 5 == 0) one.failed();
        if (i % 5 == 1) one.succeeded(std::chrono::microseconds{i % 7});
        held.push_back(std::move(one));
        if (held.size() > 10) held.clear();
      }
    });
  }
  for (std::size_t i = 0; i < 10; ++i) {
    all.members().set_weight(all.id(i % 4), 1 + static_cast<double>(i % 3));
    const endpoint_id joined = all.add(2);
    all.members().drain(all.id(4 + i % 4));
    all.members().resume(all.id(4 + i % 4));
    all.members().remove(joined);
  }
  done = true;
  for (auto& each : threads) each.join();
  CHECK(empty == 0);
  for (const endpoint_id each : all.members().ids()) CHECK(all.members().in_flight(each) == 0);
}

TEMPLATE_TEST_CASE("weighted policies: shares by weight with one request at a time", "[balance][policies]",
                   random_choice, smooth_weighted_round_robin, least_connections, power_of_two, maglev_affinity,
                   rendezvous_affinity, sticky<power_of_two>) {
  const std::uint64_t seed = banyan::testing::derived_seed("shares");
  CAPTURE(seed);
  for (const std::vector<double>& weights :
       {std::vector<double>{1, 1}, std::vector<double>{10, 1}, std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8},
        std::vector<double>{0.3, 0.01, 7.7, 2.45, 1}, std::vector<double>{1000, 1000, 1}}) {
    CAPTURE(weights);
    picking<TestType> all{weights, TestType{}, seed};
    CHECK(misfit(all.counts(40'000), weights) < 4);
  }
}

TEST_CASE("a policy of one's own", "[balance][policies]") {
  picking<least_tried> four{std::vector<double>(4, 1)};
  CHECK(four.counts(40) == std::vector<std::size_t>(4, 10));
  picking<sticky<least_tried>> stuck{std::vector<double>(4, 1)};
  CHECK(stuck.number({.key = 3}) == stuck.number({.key = 3}));
}

}  // namespace
