#include <banyan/cache/fifo_policy.hpp>
#include <banyan/cache/lfu_policy.hpp>
#include <banyan/cache/lru_policy.hpp>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <thread>
#include <tuple>
#include <type_traits>

#include "cache/policy_checks.hpp"

/// What holds for every ranked policy of the library.
namespace {

using namespace banyan;
using namespace banyan::testing;

template <class Policy, class Model>
struct with_model {
  using policy = Policy;
  using model = Model;
};
using ranked_policies = std::tuple<with_model<lru_policy, lru_model>, with_model<lfu_policy, lfu_model>,
                                   with_model<fifo_policy, fifo_model>>;

TEMPLATE_LIST_TEST_CASE("ranked policies evict in exact order up to 500 entries", "", ranked_policies) {
  for (const std::uint32_t capacity : {1u, 2u, 3u, 7u, 64u, 65u, 200u, 440u}) {
    const int operations = capacity < 100 ? 20'000 : 8'000;
    agrees_with_model<typename TestType::policy, typename TestType::model>(
        capacity, operations, derived_seed("ranked model", capacity), true);
  }
}

TEMPLATE_LIST_TEST_CASE("ranked policies hit as the exact ones do in larger caches", "", ranked_policies) {
  for (const std::uint32_t capacity : {600u, 1'500u, 5'000u}) {
    const std::uint64_t seed = derived_seed("ranked large", capacity);
    CAPTURE(capacity, seed);
    sequential_cache<typename TestType::policy> cache{capacity, seed, 2'000};
    typename TestType::model model{capacity};
    const double ratio = drifting_hit_ratio(cache, capacity, 100'000, seed);
    const double exact = drifting_hit_ratio(model, capacity, 100'000, seed);
    CAPTURE(ratio, exact);
    CHECK(exact > 10.0);
    CHECK(std::abs(ratio - exact) < 0.5);
  }
}

TEMPLATE_LIST_TEST_CASE("ranked policies find the only entry, but not the one to be kept", "", ranked_policies) {
  using policy_type = typename TestType::policy;
  for (const std::uint32_t slots : {10u, 5'000u}) {
    policy_type policy{{.slots = slots, .entries = slots - 1, .seed = 1}};
    typename policy_type::local local{};
    CHECK(policy.victim(no_slot, slots, local) == no_slot);
    policy.stamp(slots / 2, 1, local);
    CHECK(policy.victim(slots / 2, slots, local) == no_slot);
    CHECK(policy.victim(no_slot, slots, local) == slots / 2);
    policy.touch(slots / 2, 1, local);
    CHECK(policy.rank(slots / 2) != 0);
    CHECK(policy.victim(no_slot, slots, local) == slots / 2);
    policy.vacate(slots / 2);
    CHECK(policy.rank(slots / 2) == 0);
    CHECK(policy.victim(no_slot, slots, local) == no_slot);
  }
}

TEMPLATE_LIST_TEST_CASE("ranked policies serve several threads", "", ranked_policies) {
  threads_find_victims<typename TestType::policy>(100, 10'000, derived_seed("ranked threads", 1));
  threads_find_victims<typename TestType::policy>(2'000, 10'000, derived_seed("ranked threads", 2));
}

// `entry` stands for what the cache knows of the entry in slot 0. No atomic and no lock guards it but the slot's mark:
// the thread sanitizer reports a race where a mark is stored or claimed by a weaker order.
template <class Policy>
void claimant_knows_the_entry(bool touched) {
  constexpr int rounds = 50;
  for (int round = 1; round <= rounds; ++round) {
    Policy policy{{.slots = 3, .entries = 2, .seed = 1}};
    int entry = 0;
    std::atomic<std::uint64_t> stamped{0};
    std::atomic<bool> linked{false};
    std::thread putter([&] {
      typename Policy::local local{};
      entry = round;
      policy.stamp(0, 1, local);
      stamped.store(policy.rank(0), std::memory_order_relaxed);
      policy.stamp(1, 1, local);
      linked.store(true, std::memory_order_release);
    });
    std::thread reader([&] {
      if (!touched) return;
      while (!linked.load(std::memory_order_acquire)) std::this_thread::yield();
      typename Policy::local local{};
      policy.touch(1, 1, local);
      policy.touch(0, 1, local);
    });
    const auto ready = [&] {
      const std::uint64_t mark = policy.rank(0);
      const std::uint64_t first = stamped.load(std::memory_order_relaxed);
      return touched ? first != 0 && mark != first : mark != 0;
    };
    while (!ready()) std::this_thread::yield();
    const bool claimed = policy.claim(0);
    const int seen = entry;
    putter.join();
    reader.join();
    REQUIRE(claimed);
    REQUIRE(seen == round);
  }
}

TEMPLATE_LIST_TEST_CASE("who claims a slot knows what those knew who stamped and touched it", "", ranked_policies) {
  using policy_type = typename TestType::policy;
  claimant_knows_the_entry<policy_type>(false);
  if constexpr (!std::is_same_v<policy_type, fifo_policy>) claimant_knows_the_entry<policy_type>(true);
}

}  // namespace
