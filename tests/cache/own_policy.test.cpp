#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <tuple>
#include <vector>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/core/zeroed_array.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"

/// Policies written outside the library, good and bad: the capacity is the cache's business, not theirs.
namespace {

using banyan::no_slot;
using banyan::policy_limits;
using banyan::slot_id;

// Whatever slot comes next, in turn.
struct in_turn {
  struct local {};
  explicit in_turn(const policy_limits& limits) : occupied{limits.slots} {}
  void stamp(slot_id slot, std::uint32_t, local&) noexcept { occupied[slot].store(1); }
  void touch(slot_id, std::uint32_t, local&) noexcept {}
  std::uint64_t rank(slot_id) const noexcept { return 0; }
  slot_id victim(slot_id keep, std::uint32_t high_water, local&) noexcept {
    for (std::uint32_t i = 0; i < high_water; ++i) {
      const slot_id slot = next.fetch_add(1) % high_water;
      if (slot != keep && occupied[slot].load() != 0) return slot;
    }
    return no_slot;
  }
  bool claim(slot_id slot) noexcept { return occupied[slot].exchange(0) != 0; }
  void vacate(slot_id slot) noexcept { occupied[slot].store(0); }

  banyan::zeroed_array<std::atomic<std::uint8_t>> occupied;
  std::atomic<std::uint32_t> next{0};
};

struct useless {
  struct local {};
  explicit useless(const policy_limits&) {}
  void stamp(slot_id, std::uint32_t, local&) noexcept {}
  void touch(slot_id, std::uint32_t, local&) noexcept {}
  std::uint64_t rank(slot_id) const noexcept { return 0; }
};

// As if stopped threads had claimed all others.
struct names_nobody : useless {
  using useless::useless;
  slot_id victim(slot_id, std::uint32_t, local&) noexcept { return no_slot; }
  bool claim(slot_id) noexcept { return false; }
  void vacate(slot_id) noexcept {}
};

// As if a stopped thread were for ever about to vacate that slot.
struct names_an_empty_slot : useless {
  using useless::useless;
  slot_id victim(slot_id, std::uint32_t high_water, local&) noexcept { return high_water + 100; }
  bool claim(slot_id) noexcept { return true; }
  void vacate(slot_id) noexcept {}
};

struct names_nobody_in_order : useless {
  using useless::useless;
  void insert(slot_id, std::uint32_t) noexcept {}
  void erase(slot_id) noexcept {}
  slot_id victim() noexcept { return no_slot; }
};

using policies = std::tuple<in_turn, names_nobody, names_an_empty_slot, names_nobody_in_order>;

}  // namespace

TEMPLATE_LIST_TEST_CASE("the cache keeps to its capacity with any policy", "", policies) {
  for (const std::uint64_t capacity : {1U, 2U, 5U, 700U}) {
    CAPTURE(capacity);
    banyan::basic_cache<std::uint64_t, std::uint64_t, TestType> cache{{.capacity = capacity}};
    for (std::uint64_t i = 0; i < 3000; ++i) {
      REQUIRE(cache.put(i, i));
      REQUIRE(cache.size() == std::min(i + 1, capacity));
      REQUIRE(cache.stats().weight == cache.size());
      if (i % 5 == 0 && cache.erase(i)) cache.put(i, i);
    }
    CHECK(cache.put(7, 7, {.weight = capacity}));
    CHECK(cache.stats().weight == capacity);
    CHECK(cache.stats().rejections == 0);
  }
}

TEMPLATE_LIST_TEST_CASE("the number of entries is kept with any policy, however little they weigh", "", policies) {
  banyan::basic_cache<std::uint64_t, std::uint64_t, TestType> cache{{.capacity = 1'000'000, .expected_entries = 6}};
  for (std::uint64_t i = 0; i < 2000; ++i) {
    REQUIRE(cache.put(i, i));
    REQUIRE(cache.size() == std::min<std::uint64_t>(i + 1, 6));
  }
}

TEMPLATE_LIST_TEST_CASE("any policy, several threads", "", policies) {
  const std::uint64_t seed = banyan::testing::derived_seed("own policies");
  CAPTURE(seed);
  banyan::basic_cache<std::uint64_t, std::uint64_t, TestType> cache{{.capacity = 4}};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&cache, random = banyan::testing::random_source{seed + t}]() mutable {
      for (int i = 0; i < 3000; ++i) {
        const std::uint64_t key = random.below(20);
        if (random.chance(1, 4)) {
          cache.erase(key);
        } else {
          cache.put(key, key);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::size_t entries = 0;
  cache.for_each([&](std::uint64_t key, std::uint64_t value) {
    CHECK(key == value);
    ++entries;
  });
  CHECK(entries == cache.size());
  CHECK(cache.stats().weight == entries);
  // A put that met only moving entries may have left more, which the next ones take over.
  for (std::uint64_t i = 100; i < 120; ++i) cache.put(i, i);
  CHECK(cache.size() == 4);
}
