#pragma once

#include <banyan/cache/eviction_policy.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace banyan::testing {

/// The plainest cache around a policy: a `std::unordered_map` from 64-bit keys to slots, driven by one thread exactly
/// as the policy contract says. It is what the real cache is checked against, and what policies are tested with.
///
/// `spare` slots are there beside `capacity` and the one in flight, as the real cache has them.
template <eviction_policy Policy>
class sequential_cache {
 public:
  using key_type = std::uint64_t;

  explicit sequential_cache(std::uint32_t capacity, std::uint64_t seed = 1, std::uint32_t spare = 0)
      : capacity_{capacity},
        hashes_(capacity + 1 + spare),
        policy_{
            policy_limits{.slots = capacity + 1 + spare, .entries = capacity, .seed = seed, .hashes = hashes_.data()}},
        keys_(capacity + 1 + spare) {
    slots_.reserve(capacity + 1);
    for (auto slot = static_cast<slot_id>(keys_.size()); slot-- > 0;) vacant_.push_back(slot);
  }

  /// One request as a trace has it: whether it was a hit; if not, the key is in the cache afterwards (as a rule).
  bool access(key_type key) {
    if (get(key)) return true;
    put(key);
    return false;
  }

  /// Whether the key is there; if so, it counts as used.
  bool get(key_type key) {
    ++requests_;
    const auto found = slots_.find(key);
    if (found == slots_.end()) return false;
    ++hits_;
    policy_.touch(found->second, hash(key), local_);
    return true;
  }

  /// Inserts a key that is not there, and evicts down to the capacity. The keys that left, in order.
  const std::vector<key_type>& put(key_type key) {
    evicted_.clear();
    const slot_id slot = take_slot();
    keys_[slot] = key;
    hashes_[slot].store(hash(key), std::memory_order_relaxed);
    policy_.stamp(slot, hash(key), local_);
    slots_.emplace(key, slot);
    if constexpr (ordered_policy<Policy>) {
      if constexpr (requires { policy_.collect(local_); }) policy_.collect(local_);
      if (in_queues_.size() < keys_.size()) in_queues_.resize(keys_.size());
      if (in_queues_[slot]) policy_.erase(slot);
      in_queues_[slot] = true;
      policy_.insert(slot, hash(key));
    }
    while (slots_.size() > capacity_) {
      slot_id leaving = no_slot;
      if constexpr (ordered_policy<Policy>) {
        leaving = policy_.victim();
      } else {
        leaving = policy_.victim(slot, high_water_, local_);
        if (leaving != no_slot && !policy_.claim(leaving)) continue;
      }
      if (leaving == no_slot) break;
      if constexpr (ordered_policy<Policy>) {
        in_queues_[leaving] = false;
        // Erased by the user before: it was only left in the queues.
        if (!occupied(leaving)) continue;
      }
      evicted_.push_back(keys_[leaving]);
      drop(leaving);
    }
    return evicted_;
  }

  /// Takes a key out as a user would: in an ordered policy the slot stays in the queues until it is used again.
  bool erase(key_type key) {
    const auto found = slots_.find(key);
    if (found == slots_.end()) return false;
    drop(found->second);
    return true;
  }

  [[nodiscard]] bool contains(key_type key) const { return slots_.contains(key); }
  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] std::uint64_t hits() const { return hits_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }

  /// In percent, 0 before the first request.
  [[nodiscard]] double hit_ratio() const {
    return requests_ == 0 ? 0.0 : 100.0 * static_cast<double>(hits_) / static_cast<double>(requests_);
  }

  [[nodiscard]] Policy& policy() { return policy_; }

  /// SplitMix64's output function, upper half (Steele, Lea, Flood 2014).
  [[nodiscard]] static std::uint32_t hash(key_type key) {
    std::uint64_t x = key + 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>((x ^ x >> 31) >> 32);
  }

 private:
  [[nodiscard]] bool occupied(slot_id slot) const {
    const auto found = slots_.find(keys_[slot]);
    return found != slots_.end() && found->second == slot;
  }

  slot_id take_slot() {
    const slot_id slot = vacant_.back();
    vacant_.pop_back();
    if (slot >= high_water_) high_water_ = slot + 1;
    return slot;
  }

  void drop(slot_id slot) {
    slots_.erase(keys_[slot]);
    if constexpr (ranked_policy<Policy>) policy_.vacate(slot);
    vacant_.push_back(slot);
  }

  std::uint32_t capacity_;
  std::vector<std::atomic<std::uint32_t>> hashes_;  // by slot
  Policy policy_;
  typename Policy::local local_{};
  std::unordered_map<key_type, slot_id> slots_;
  std::vector<key_type> keys_;     // by slot
  std::vector<slot_id> vacant_;    // used from the back
  std::vector<bool> in_queues_;    // by slot; ordered policies only
  std::vector<key_type> evicted_;  // by the last put
  std::uint32_t high_water_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t requests_ = 0;
};

}  // namespace banyan::testing
