#include <banyan/cache/detail/frequency_sketch.hpp>
#include <banyan/cache/detail/ghost_set.hpp>
#include <banyan/cache/detail/slot_list.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("slot_list is a queue that gives up slots from anywhere") {
  const std::uint64_t seed = derived_seed("slot_list");
  CAPTURE(seed);
  random_source random{seed};
  constexpr std::uint32_t slots = 12;
  banyan::detail::slot_links links{slots};
  banyan::detail::slot_list list;
  std::deque<slot_id> model;
  for (int i = 0; i < 20'000; ++i) {
    const auto slot = static_cast<slot_id>(random.below(slots));
    const auto found = std::find(model.begin(), model.end(), slot);
    if (found != model.end()) {
      const slot_id newer = found + 1 == model.end() ? no_slot : *(found + 1);
      const slot_id older = found == model.begin() ? no_slot : *(found - 1);
      REQUIRE(banyan::detail::slot_list::newer(links, slot) == newer);
      REQUIRE(banyan::detail::slot_list::older(links, slot) == older);
      list.remove(links, slot);
      model.erase(found);
    } else if (random.chance(3, 4)) {
      list.push_newest(links, slot);
      model.push_back(slot);
    } else {
      list.push_oldest(links, slot);
      model.push_front(slot);
    }
    if (random.chance(1, 5)) {
      REQUIRE(list.pop_oldest(links) == (model.empty() ? no_slot : model.front()));
      if (!model.empty()) model.pop_front();
    }
    REQUIRE(list.size() == model.size());
    REQUIRE(list.oldest() == (model.empty() ? no_slot : model.front()));
    REQUIRE(list.newest() == (model.empty() ? no_slot : model.back()));
  }
}

TEST_CASE("ghost_set remembers the last hashes, and no others") {
  for (const std::uint32_t capacity : {1u, 2u, 10u, 30u, 1'000u, 20'000u}) {
    const std::uint64_t seed = derived_seed("ghost_set", capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    banyan::detail::ghost_set ghosts{capacity};
    std::vector<std::uint32_t> inserted;
    for (std::uint32_t i = 0; i < 100'000; ++i) {
      inserted.push_back(static_cast<std::uint32_t>(random()));
      ghosts.insert(inserted.back());
    }
    std::uint32_t remembered = 0;
    std::uint32_t wrong = 0;
    const std::size_t young = inserted.size() - capacity;
    // One tick, up to 1/8192 of the capacity, is how finely it tells ages apart.
    const std::size_t old = young - capacity / 8'000 - 1;
    for (std::size_t i = 0; i < inserted.size(); ++i) {
      if (i >= young) remembered += ghosts.contains(inserted[i]) ? 1 : 0;
      if (i < old) wrong += ghosts.contains(inserted[i]) ? 1 : 0;
    }
    // Buckets overflow now and then in a large set; a small one has room to spare.
    CHECK(remembered >= (capacity <= 10 ? capacity : capacity * 17 / 20));
    CHECK(wrong < 100'000 / 2'000);
    CHECK(ghosts.contains(inserted.back()));
    CHECK(ghosts.take(inserted.back()));
    CHECK_FALSE(ghosts.take(inserted.back()));
  }
}

TEST_CASE("ghost_set without capacity remembers nothing") {
  banyan::detail::ghost_set ghosts{0};
  ghosts.insert(7);
  CHECK_FALSE(ghosts.contains(7));
}

TEST_CASE("frequency_sketch never counts too little, and seldom too much") {
  const std::uint64_t seed = derived_seed("frequency_sketch");
  CAPTURE(seed);
  random_source random{seed};
  constexpr std::uint32_t hashes = 4'000;
  banyan::detail::frequency_sketch sketch{hashes, ~std::uint64_t{0}};
  std::vector<std::uint32_t> counts(hashes);
  const auto hash_of = [](std::uint32_t i) { return i * 0x9e3779b1u + 12345; };
  for (int i = 0; i < 20'000; ++i) {
    const auto picked = static_cast<std::uint32_t>(random.below(hashes));
    sketch.add(hash_of(picked));
    ++counts[picked];
  }
  std::uint32_t over = 0;
  for (std::uint32_t i = 0; i < hashes; ++i) {
    const std::uint32_t exact = std::min(counts[i], banyan::detail::frequency_sketch::most);
    const std::uint32_t estimate = sketch.estimate(hash_of(i));
    REQUIRE(estimate >= exact);
    over += estimate > exact + 1 ? 1 : 0;
  }
  CHECK(over < hashes / 10);
}

TEST_CASE("frequency_sketch saturates and ages") {
  banyan::detail::frequency_sketch sketch{16, 100};
  sketch.add(1, 40);
  CHECK(sketch.estimate(1) == 15);
  sketch.raise(2, 6);
  CHECK(sketch.estimate(2) == 6);
  sketch.add(1, 60);
  CHECK(sketch.estimate(1) == 7);
  CHECK(sketch.estimate(2) == 3);
}
