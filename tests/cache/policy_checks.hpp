#pragma once

#include <banyan/cache/eviction_policy.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cache/policy_models.hpp"
#include "cache/sequential_cache.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

/// What several policies are tested for.
namespace banyan::testing {

/// A key in [0, keys), the low ones more often: about as skewed as web requests.
inline std::uint64_t skewed_key(random_source& random, std::uint64_t keys) {
  const double u = static_cast<double>(random() >> 11) * 0x1p-53;
  return static_cast<std::uint64_t>(u * u * u * static_cast<double>(keys));
}

/// Drives a cache with the policy and the model by the same random operations; both must hit, and evict, the same.
template <class Policy, class Model>
void agrees_with_model(std::uint32_t capacity, int operations, std::uint64_t seed, bool erasing) {
  CAPTURE(capacity, seed);
  random_source random{seed};
  sequential_cache<Policy> cache{capacity, seed, 64};
  Model model{capacity};
  const std::uint64_t keys = 2 + capacity * (1 + random.below(4));
  for (int i = 0; i < operations; ++i) {
    const std::uint64_t key = skewed_key(random, keys);
    if constexpr (requires { model.erase(key); }) {
      if (erasing && random.chance(1, 16)) {
        cache.erase(key);
        model.erase(key);
        continue;
      }
    }
    const bool hit = cache.get(key);
    const bool expected = model.get(key);
    if (hit != expected) FAIL("operation " << i << ": hit " << hit << ", expected " << expected);
    if (hit) continue;
    const model_keys& left = cache.put(key);
    const model_keys expected_left = model.put(key);
    if (left != expected_left) FAIL("operation " << i << ": another key left than in the model");
  }
}

/// The hit ratio, in percent, of a cache (or model) under a load that is partly skewed and partly drifts.
template <class Cache>
double drifting_hit_ratio(Cache& cache, std::uint32_t capacity, int operations, std::uint64_t seed) {
  random_source random{seed};
  std::uint64_t hits = 0;
  for (int i = 0; i < operations; ++i) {
    const std::uint64_t drift = static_cast<std::uint64_t>(i) / 8;
    const std::uint64_t key = random.chance(1, 2) ? skewed_key(random, capacity * 8u)
                                                  : (std::uint64_t{1} << 32) + drift + random.below(capacity * 2u);
    if (cache.get(key)) {
      ++hits;
    } else {
      cache.put(key);
    }
  }
  return 100.0 * static_cast<double>(hits) / operations;
}

/// Inserts, touches, erases and evicts slots of an ordered policy in any order, in the queues more or fewer than the
/// policy was made for. Each slot that went in must come out exactly once.
template <class Policy>
void gives_back_each_slot_once(std::uint32_t entries, int operations, std::uint64_t seed) {
  CAPTURE(entries, seed);
  random_source random{seed};
  const std::uint32_t slots = entries + 20;
  std::vector<std::atomic<std::uint32_t>> hashes(slots);
  Policy policy{policy_limits{.slots = slots, .entries = entries, .seed = seed, .hashes = hashes.data()}};
  typename Policy::local local{};
  std::vector<bool> inside(slots);
  std::uint32_t count = 0;
  const auto evict = [&] {
    const slot_id slot = policy.victim();
    if (count == 0) {
      if (slot != no_slot) FAIL("a victim from empty queues");
      return;
    }
    if (slot >= slots || !inside[slot]) FAIL("slot " << slot << " is no victim");
    inside[slot] = false;
    --count;
  };
  for (int i = 0; i < operations; ++i) {
    const auto slot = static_cast<slot_id>(random.below(slots));
    const auto hash = static_cast<std::uint32_t>(random.below(entries * 3u) * 0x9e3779b1u);
    switch (random.below(4)) {
      case 0:
        hashes[slot].store(hash);
        policy.stamp(slot, hash, local);
        if (inside[slot]) {
          policy.erase(slot);
          --count;
        }
        policy.insert(slot, hash);
        inside[slot] = true;
        ++count;
        while (count > entries && random.chance(3, 4)) evict();
        break;
      case 1:
        if (inside[slot]) {
          policy.erase(slot);
          inside[slot] = false;
          --count;
        }
        break;
      case 2:
        if (random.chance(1, 8)) evict();
        break;
      default:
        for (std::uint64_t times = random.below(6); times > 0; --times) policy.touch(slot, hash, local);
        break;
    }
  }
  while (count > 0) evict();
  evict();
}

/// Threads stamp, touch and evict slots of one ranked policy. A victim is in range and never the slot to be kept.
template <class Policy>
void threads_find_victims(std::uint32_t entries, int operations, std::uint64_t seed) {
  CAPTURE(entries, seed);
  constexpr std::uint32_t threads = 3;
  const std::uint32_t slots = entries + 64;
  Policy policy{policy_limits{.slots = slots, .entries = entries, .seed = seed}};
  std::vector<std::atomic<int>> owners(slots);  // 0 vacant, 1 occupied, 2 being filled or emptied
  std::atomic<int> errors{0};
  const auto work = [&](std::uint32_t index) {
    auto local = std::make_unique<typename Policy::local>();
    random_source random{seed + index};
    for (int i = 0; i < operations; ++i) {
      const auto slot = static_cast<slot_id>(random.below(slots));
      int vacant = 0;
      if (random.chance(1, 2)) {
        policy.touch(static_cast<slot_id>(random.below(slots)), 0, *local);
      } else if (owners[slot].compare_exchange_strong(vacant, 2)) {
        policy.stamp(slot, 0, *local);
        owners[slot].store(1);
      } else {
        const slot_id victim = policy.victim(slot, slots, *local);
        if (victim == slot || (victim != no_slot && victim >= slots)) ++errors;
        int occupied = 1;
        if (victim < slots && owners[victim].compare_exchange_strong(occupied, 2)) {
          policy.vacate(victim);
          owners[victim].store(0);
        }
      }
    }
  };
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) running.emplace_back(work, i);
  for (std::thread& thread : running) thread.join();
  CHECK(errors.load() == 0);
}

/// Threads touch and ask for ranks while one inserts and evicts.
template <class Policy>
void threads_touch_meanwhile(std::uint32_t entries, int operations, std::uint64_t seed) {
  CAPTURE(entries, seed);
  std::vector<std::atomic<std::uint32_t>> hashes(entries + 1);
  Policy policy{policy_limits{.slots = entries + 1, .entries = entries, .seed = seed, .hashes = hashes.data()}};
  std::atomic<bool> done{false};
  std::vector<std::thread> touching;
  for (std::uint64_t index = 1; index < 3; ++index) {
    touching.emplace_back([&, index] {
      auto local = std::make_unique<typename Policy::local>();
      random_source random{seed + index};
      while (!done.load()) {
        const auto slot = static_cast<slot_id>(random.below(entries + 1));
        if (policy.rank(slot) < 100) policy.touch(slot, slot, *local);
      }
    });
  }
  typename Policy::local local{};
  bool once_each = true;
  std::vector<bool> inside(entries + 1);
  slot_id slot = 0;
  for (int i = 0; i < operations; ++i) {
    hashes[slot].store(static_cast<std::uint32_t>(i));
    policy.stamp(slot, static_cast<std::uint32_t>(i), local);
    policy.insert(slot, static_cast<std::uint32_t>(i));
    inside[slot] = true;
    if (slot < entries && i < static_cast<int>(entries)) {
      ++slot;
      continue;
    }
    slot = policy.victim();
    if (slot > entries || !inside[slot]) {
      once_each = false;
      break;
    }
    inside[slot] = false;
  }
  done.store(true);
  for (std::thread& thread : touching) thread.join();
  CHECK(once_each);
}

}  // namespace banyan::testing
