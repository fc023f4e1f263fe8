#include <banyan/cache/detail/slot_table.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::no_slot;
using banyan::slot_id;
using banyan::detail::slot_table;

// The table of a cache, with its memory.
template <std::uint32_t Count>
struct own_table {
  std::array<std::atomic<std::uint32_t>, Count> hashes{};
  std::array<std::atomic<std::uint32_t>, Count> links{};
  slot_table slots{hashes, links};
};

struct stripe_part {
  std::uint32_t spare_slot = 0;
};

}  // namespace

TEST_CASE("slot_table: every slot once, then none, then those that were vacated") {
  own_table<5> table;
  slot_table& slots = table.slots;
  stripe_part mine;
  CHECK(slots.high_water() == 0);
  for (slot_id expected = 0; expected < 5; ++expected) {
    CHECK(slots.take(mine) == expected);
    CHECK(slots.high_water() == expected + 1);
  }
  for (int i = 0; i < 100; ++i) CHECK(slots.take(mine) == no_slot);
  CHECK(slots.high_water() == 5);
  slots.vacate(3, mine);
  slots.vacate(1, mine);
  slots.vacate(4, mine);
  const std::set<slot_id> again{slots.take(mine), slots.take(mine), slots.take(mine)};
  CHECK(again == std::set<slot_id>{1, 3, 4});
  CHECK(slots.take(mine) == no_slot);
  slots.set_hash(2, 77);
  CHECK(slots.hash(2) == 77);
}

TEST_CASE("slot_table: a slot that one thread puts by is the only one others cannot have") {
  own_table<3> table;
  slot_table& slots = table.slots;
  stripe_part mine;
  stripe_part other;
  for (int i = 0; i < 3; ++i) slots.take(mine);
  for (slot_id slot = 0; slot < 3; ++slot) slots.vacate(slot, mine);
  CHECK(slots.take(other) != no_slot);
  CHECK(slots.take(other) != no_slot);
  CHECK(slots.take(other) == no_slot);
  CHECK(slots.take(mine) != no_slot);
}

TEST_CASE("slot_table: threads never share a slot and lose none") {
  constexpr std::uint32_t count = 12;
  constexpr std::size_t threads = 4;
  const std::uint64_t seed = banyan::testing::derived_seed("slots");
  CAPTURE(seed);
  own_table<count> table;
  slot_table& slots = table.slots;
  std::vector<std::atomic<int>> owners(count);
  std::vector<stripe_part> stripes(threads);
  std::atomic<int> shared{0};
  std::vector<std::thread> running;
  for (std::size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      banyan::testing::random_source random{seed + t};
      std::vector<slot_id> own;
      for (int i = 0; i < 20'000; ++i) {
        if (own.size() < 4 && random.chance(1, 2)) {
          const slot_id slot = slots.take(stripes[t]);
          if (slot == no_slot) continue;
          if (owners[slot].fetch_add(1) != 0) shared.fetch_add(1);
          own.push_back(slot);
        } else if (!own.empty()) {
          owners[own.back()].fetch_sub(1);
          slots.vacate(own.back(), stripes[t]);
          own.pop_back();
        }
      }
      for (const slot_id slot : own) {
        owners[slot].fetch_sub(1);
        slots.vacate(slot, stripes[t]);
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CHECK(shared.load() == 0);
  std::set<slot_id> all;
  for (stripe_part& stripe : stripes) {
    for (slot_id slot = slots.take(stripe); slot != no_slot; slot = slots.take(stripe)) CHECK(all.insert(slot).second);
  }
  CHECK(all.size() == count);
}
