#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/jump_back_hash.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/ring_placement.hpp>
#include <banyan/hashing/weighted_hash.hpp>
#include <banyan/hashing/weighted_node.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// How a `hash_router` finds the shard of a hash.
enum class hash_routing : std::uint8_t {
  modulo,      ///< the remainder of a division: nearly all keys move when the number of shards changes
  numbered,    ///< jump hashing: even shares, only the keys of the new shard move, only the last shard can go
  consistent,  ///< a ring: any shard can come, go and have a weight, and only its keys move
};

/// Spreads keys over shards by their hash. The shard of a key is the same on every machine and in every run.
///
///     auto router = banyan::hash_router<std::string>::consistent({0, 1, 2});
///     router.route("user:42");                             // 1, say
///     auto grown = router.add(3);                          // about a quarter of all keys move, all of them to shard 3
///
/// | | moves when n shards become n + 1 | fullest shard | memory |
/// | `modulo` | n / (n + 1) of all keys | as even as chance | 4 bytes a shard |
/// | `numbered` | 1 / (n + 1) | as even as chance | 4 bytes a shard |
/// | `consistent` | about 1 / (n + 1) | some 5 to 30 % above the mean | 2 KB a shard |
///
/// Neighbours in key order are on any shards: a range query asks them all. Many rows of one key are on one shard
/// however good the hash; see `shard_key_advisor` and `directory_router`.
///
/// Keys are what `Hash` takes; see `stable_hash`, also for keys chosen by an enemy. Immutable: what changes it gives a
/// new value. Thread safety: const use by many threads.
template <class Key, class Hash = stable_hash>
class hash_router {
 public:
  using key_type = Key;

  /// Shards 0 to `shards` - 1 by the remainder of the hash. Throws `std::invalid_argument` for 0 and no_shard shards.
  [[nodiscard]] static hash_router modulo(std::uint32_t shards, Hash hash = {}) {
    return {hash_routing::modulo, first(shards), ring_options{}, std::move(hash)};
  }

  /// Shards 0 to `shards` - 1 by `jump_back_hash`. Throws `std::invalid_argument` for 0 and no_shard shards.
  [[nodiscard]] static hash_router numbered(std::uint32_t shards, Hash hash = {}) {
    return {hash_routing::numbered, first(shards), ring_options{}, std::move(hash)};
  }

  /// These shards, with weights if given, on a ring. Throws `std::invalid_argument` for an empty list, a shard that is
  /// there twice, `no_shard`, a weight that is not above 0 and finite, and for bad options.
  [[nodiscard]] static hash_router consistent(const node_list<shard_id>& shards, ring_options how = {},
                                              Hash hash = {}) {
    return {hash_routing::consistent, shards.nodes(), how, std::move(hash)};
  }

  /// The shard of a key, never `no_shard`. Wait-free but for the hash, O(1), expected where consistent; throws what
  /// the hash throws.
  template <class K = Key>
  requires detail::makes_node<const K&, Key>  // so that a number is not taken for a name
  [[nodiscard]] shard_id route(const K& key) const noexcept(noexcept(std::declval<const Hash&>()(key))) {
    return route_hash(hash_(key));
  }

  /// The shard of the hash of a key, for who has it already.
  [[nodiscard]] shard_id route_hash(std::uint64_t hash) const noexcept {
    switch (how_) {
      case hash_routing::modulo:
        return order_[hash % order_.size()];
      case hash_routing::numbered:
        return order_[jump_back_hash(hash, static_cast<std::uint32_t>(order_.size()))];
      case hash_routing::consistent:
        break;
    }
    return order_[ring_.find(hash)];
  }

  /// With one shard more: behind the others, or with `weight` on the ring. Throws `std::invalid_argument` for a shard
  /// that is there, `no_shard`, a bad weight, and a weight other than 1 where there are none. O(size of the router).
  [[nodiscard]] hash_router add(shard_id shard, double weight = 1) const {
    std::vector<weighted_node<shard_id>> nodes = shards_with_weights();
    nodes.push_back({shard, weight});
    return changed(nodes);
  }

  /// With one shard less; its keys go to the others. Throws `std::invalid_argument` for a shard that is not there, the
  /// only one, and, where they are numbered, all but the last. O(size of the router).
  [[nodiscard]] hash_router remove(shard_id shard) const {
    std::vector<weighted_node<shard_id>> nodes = shards_with_weights();
    const auto at = std::find(order_.begin(), order_.end(), shard);
    if (at == order_.end()) invalid_option("hash_router.shard", shard, "must be one of the shards");
    if (how_ == hash_routing::numbered && at + 1 != order_.end()) {
      invalid_option("hash_router.shard", shard, "must be the last one where shards are numbered");
    }
    nodes.erase(nodes.begin() + (at - order_.begin()));
    return changed(nodes);
  }

  /// The same routes under another version.
  [[nodiscard]] hash_router with_version(std::uint64_t version) const {
    hash_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] hash_routing routing() const noexcept { return how_; }
  [[nodiscard]] const Hash& hash_function() const noexcept { return hash_; }

  /// Shards and their weights in the order given. O(shards).
  [[nodiscard]] std::vector<weighted_node<shard_id>> shards_with_weights() const {
    std::vector<weighted_node<shard_id>> nodes;
    nodes.reserve(order_.size() + 1);
    for (std::size_t i = 0; i < order_.size(); ++i) nodes.push_back({order_[i], weights_.empty() ? 1.0 : weights_[i]});
    return nodes;
  }

 private:
  hash_router(hash_routing how, const std::vector<weighted_node<shard_id>>& nodes, ring_options options, Hash hash)
      : how_{how}, options_{options}, hash_{std::move(hash)} {
    if (nodes.empty()) invalid_option("hash_router.shards", 0, "must be at least 1");
    std::vector<weighted_hash> hashes;
    order_.reserve(nodes.size());
    for (const auto& [shard, weight] : nodes) {
      detail::check_shard("hash_router.shards", shard);
      if (how != hash_routing::consistent && weight != 1) {
        invalid_option("hash_router.weight", weight, "must be 1 but on a ring");
      }
      order_.push_back(shard);
    }
    shards_ = detail::distinct_shards(order_);
    if (shards_.size() != order_.size()) {
      const auto twice = std::find_if(shards_.begin(), shards_.end(),
                                      [&](shard_id id) { return std::count(order_.begin(), order_.end(), id) > 1; });
      invalid_option("hash_router.shards", *twice, "must not be there twice");
    }
    if (how != hash_routing::consistent) return;
    for (const auto& [shard, weight] : nodes) {
      weights_.push_back(weight);
      // By the stable hash of its number, not by `hash`: where a shard's points are does not depend on the keys' type.
      hashes.push_back({hash_of(shard), weight});
    }
    ring_ = ring_placement{hashes, options};
  }

  [[nodiscard]] static std::vector<weighted_node<shard_id>> first(std::uint32_t shards) {
    if (shards == no_shard) invalid_option("hash_router.shards", shards, "must be fewer than 2^32 - 1");
    std::vector<weighted_node<shard_id>> nodes;
    nodes.reserve(shards);
    for (shard_id id = 0; id < shards; ++id) nodes.push_back({id, 1});
    return nodes;
  }

  [[nodiscard]] hash_router changed(const std::vector<weighted_node<shard_id>>& nodes) const {
    hash_router fresh{how_, nodes, options_, hash_};
    fresh.version_ = version_ + 1;
    return fresh;
  }

  hash_routing how_;
  ring_options options_;
  std::uint64_t version_ = 1;
  std::vector<shard_id> order_;   // where modulo and jump hashing count them
  std::vector<double> weights_;   // empty but on a ring
  std::vector<shard_id> shards_;  // ascending
  ring_placement ring_;           // empty but on a ring
  [[no_unique_address]] Hash hash_;
};

}  // namespace banyan
