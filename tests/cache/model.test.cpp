#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/cache.hpp>

#include "cache/every_policy.hpp"
#include "cache/sequential_cache.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::removal_cause;
using banyan::testing::derived_seed;
using banyan::testing::random_source;
using banyan::testing::sequential_cache;
using key_type = std::uint64_t;

// The hash of the sequential cache, for policies that remember hashes.
struct model_hash {
  using is_avalanching = void;
  std::uint64_t operator()(key_type key) const noexcept {
    return std::uint64_t{sequential_cache<banyan::lru_policy>::hash(key)} << 32;
  }
};

// Few keys often, many seldom: about one over the rank.
key_type skewed(random_source& random, key_type keys) { return random.below(1 + random.below(1 + random.below(keys))); }

// Exactly what the textbook says, in a list: the front leaves first.
class list_model {
 public:
  enum class order { lru, lfu, fifo };

  list_model(order by, std::size_t capacity) : by_{by}, capacity_{capacity} {}

  std::optional<int> get(key_type key) {
    const auto found = find(key);
    if (found == entries_.end()) return std::nullopt;
    const int value = found->value;
    used(found);
    return value;
  }

  std::optional<key_type> put(key_type key, int value) {
    if (const auto found = find(key); found != entries_.end()) {
      found->value = value;
      used(found);
      return std::nullopt;
    }
    std::optional<key_type> evicted;
    if (entries_.size() == capacity_) {
      evicted = entries_.front().key;
      entries_.pop_front();
    }
    join({key, value, 1});
    return evicted;
  }

  bool erase(key_type key) {
    const auto found = find(key);
    if (found == entries_.end()) return false;
    entries_.erase(found);
    return true;
  }

  void clear() { entries_.clear(); }
  std::size_t size() const { return entries_.size(); }

 private:
  struct entry {
    key_type key;
    int value;
    std::uint64_t uses;
  };
  using iterator = std::list<entry>::iterator;

  iterator find(key_type key) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.key == key; });
  }

  void used(iterator at) {
    if (by_ == order::fifo) return;
    entry moved = *at;
    ++moved.uses;
    entries_.erase(at);
    join(moved);
  }

  // LFU: behind all that were used as often or less, so that ties leave by recency.
  void join(const entry& newest) {
    auto place = entries_.end();
    if (by_ == order::lfu) {
      place = std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.uses > newest.uses; });
    }
    entries_.insert(place, newest);
  }

  order by_;
  std::size_t capacity_;
  std::list<entry> entries_;
};

template <class Policy>
void check_against_list(list_model::order order, const char* name) {
  for (const std::size_t capacity : {1U, 2U, 3U, 8U, 64U, 200U, 500U}) {
    const std::uint64_t seed = derived_seed(name, capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    list_model model{order, capacity};
    std::vector<key_type> evicted;
    banyan::basic_cache<key_type, int, Policy> cache{
        {.capacity = capacity, .seed = seed, .removal_listener = [&](key_type key, int, removal_cause cause) {
           if (cause == removal_cause::evicted) evicted.push_back(key);
         }}};
    for (int i = 0; i < 8000; ++i) {
      CAPTURE(i);
      const key_type key = skewed(random, 3 * capacity + 2);
      evicted.clear();
      std::optional<key_type> leaves;
      switch (random.below(10)) {
        case 0:
          REQUIRE(cache.erase(key) == model.erase(key));
          break;
        case 1:
          if (random.chance(1, 500)) {
            cache.clear();
            model.clear();
          } else {
            leaves = model.put(key, i);
            cache.compute(key, [&](const int*) { return std::optional<int>{i}; });
          }
          break;
        case 2:
        case 3:
          leaves = model.put(key, i);
          REQUIRE(cache.put(key, i));
          break;
        default: {
          const std::optional<int> expected = model.get(key);
          const std::optional<int> got = cache.get(key);
          REQUIRE(got == expected);
          if (!got) {
            leaves = model.put(key, i);
            REQUIRE(cache.put_if_absent(key, i));
          }
        }
      }
      REQUIRE(evicted.size() == (leaves ? 1 : 0));
      if (leaves) REQUIRE(evicted.front() == *leaves);
      REQUIRE(cache.size() == model.size());
    }
  }
}

}  // namespace

TEST_CASE("the order of LRU is exact in one thread up to 500 entries") {
  check_against_list<banyan::lru_policy>(list_model::order::lru, "lru in a list");
}

TEST_CASE("the order of LFU is exact in one thread up to 500 entries, ties by recency") {
  check_against_list<banyan::lfu_policy>(list_model::order::lfu, "lfu in a list");
}

TEST_CASE("the order of FIFO is exact in one thread up to 500 entries") {
  check_against_list<banyan::fifo_policy>(list_model::order::fifo, "fifo in a list");
}

TEMPLATE_LIST_TEST_CASE("in one thread the cache hits and evicts as its policy alone does", "",
                        banyan::testing::every_policy) {
  for (const std::uint32_t capacity : {1U, 2U, 7U, 64U, 400U}) {
    const std::uint64_t seed = derived_seed("sequential", capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    // As many slots as the real cache has: those of its threads included.
    const std::uint32_t spare = 2 * banyan::detail::stripe_count - 1;
    sequential_cache<TestType> model{capacity, seed, spare};
    std::vector<key_type> evicted;
    banyan::basic_cache<key_type, key_type, TestType, model_hash> cache{
        {.capacity = capacity, .seed = seed, .removal_listener = [&](key_type key, key_type, removal_cause) {
           evicted.push_back(key);
         }}};
    for (int i = 0; i < 8000; ++i) {
      CAPTURE(i);
      // Changes its habits now and then, for those policies that adapt.
      const key_type base = static_cast<key_type>(i) / 2500 * capacity;
      const key_type key = i % 3000 > 2500 ? static_cast<key_type>(i) : base + skewed(random, 4 * capacity + 2);
      evicted.clear();
      const bool hit = model.get(key);
      REQUIRE(cache.get(key).has_value() == hit);
      if (hit) continue;
      const std::vector<key_type> leaving = model.put(key);
      cache.put(key, key);
      REQUIRE(evicted == leaving);
    }
    CHECK(cache.size() == model.size());
    CHECK(cache.stats().hits == model.hits());
  }
}

TEMPLATE_LIST_TEST_CASE("whatever happens in one thread, contents and counts are those of a map", "",
                        banyan::testing::every_policy) {
  // The policy decides who leaves: the model learns it from the listener, and nothing else may differ.
  for (const std::uint64_t capacity : {1U, 2U, 10U, 100U}) {
    const std::uint64_t seed = derived_seed("map", capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    struct entry {
      int value;
      std::uint64_t weight;
    };
    std::map<key_type, entry> model;
    std::size_t wrong = 0;
    std::uint64_t evictions = 0;
    // What is told of must be what was there; `incoming` is on its way in, and may leave at once.
    std::optional<std::pair<key_type, entry>> incoming;
    banyan::basic_cache<key_type, int, TestType> cache{
        {.capacity = capacity, .seed = seed, .removal_listener = [&](key_type key, int value, removal_cause cause) {
           if (cause == removal_cause::evicted) ++evictions;
           if (incoming && incoming->first == key && incoming->second.value == value) {
             incoming.reset();
             if (cause != removal_cause::evicted && cause != removal_cause::rejected) ++wrong;
             return;
           }
           const auto found = model.find(key);
           if (found == model.end() || found->second.value != value || cause == removal_cause::rejected) {
             ++wrong;
             return;
           }
           model.erase(found);
         }}};
    std::uint64_t rejections = 0;
    for (int i = 0; i < 10'000; ++i) {
      CAPTURE(i);
      const key_type key = skewed(random, 3 * capacity + 2);
      const bool present = model.contains(key);
      const std::uint64_t weight = random.chance(1, 5) ? 1 + random.below(capacity + capacity / 8 + 1) : 1;
      switch (random.below(12)) {
        case 0:
          REQUIRE(cache.erase(key) == present);
          break;
        case 1:
          if (random.chance(1, 200)) {
            cache.clear();
          } else if (random.chance(1, 10)) {
            const auto even = static_cast<std::size_t>(
                std::count_if(model.begin(), model.end(), [](const auto& e) { return e.second.value % 2 == 0; }));
            REQUIRE(cache.erase_if([](key_type, int value) { return value % 2 == 0; }) == even);
          }
          break;
        case 2:
          incoming = {key, {i, weight}};
          REQUIRE(cache.put_if_absent(key, i, {.weight = weight}) == (!present && weight <= capacity));
          if (!present && weight > capacity) ++rejections;
          if (incoming && !present) model[key] = incoming->second;
          incoming.reset();
          break;
        case 3:
          incoming = {key, {i, weight}};
          REQUIRE(cache.compute(
                      key,
                      [&](const int* v) { return (v != nullptr) == present ? std::optional<int>{i} : std::nullopt; },
                      {.weight = weight}) == i);
          if (weight > capacity) ++rejections;
          if (incoming) model[key] = incoming->second;
          incoming.reset();
          break;
        case 4:
        case 5:
        case 6:
          incoming = {key, {i, weight}};
          REQUIRE(cache.put(key, i, {.weight = weight}) == (weight <= capacity));
          if (weight > capacity) ++rejections;
          if (incoming) model[key] = incoming->second;
          incoming.reset();
          break;
        default: {
          const std::optional<int> got = cache.get(key);
          REQUIRE(got.has_value() == present);
          if (got) REQUIRE(*got == model[key].value);
        }
      }
      REQUIRE(wrong == 0);
      REQUIRE(cache.size() == model.size());
      std::uint64_t total = 0;
      for (const auto& [each, what] : model) total += what.weight;
      REQUIRE(cache.stats().weight == total);
      REQUIRE(total <= capacity);
    }
    CHECK(cache.stats().evictions == evictions);
    CHECK(cache.stats().rejections == rejections);
    std::map<key_type, int> contents;
    cache.for_each([&](key_type key, int value) { CHECK(contents.emplace(key, value).second); });
    CHECK(contents.size() == model.size());
    for (const auto& [key, value] : contents) CHECK(model.at(key).value == value);
  }
}
