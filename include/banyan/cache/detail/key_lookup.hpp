#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>

#include <banyan/core/hash.hpp>

namespace banyan::detail {

/// How a cache hashes and compares keys, its own and those of other types that a caller looks up by.
template <class Key, class Hash, class Equal>
class key_lookup {
 public:
  explicit key_lookup(std::uint64_t seed) : seed_{seed}, hash_{make_hash(seed)} {}

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  /// The caller's key as it is if lookups by its type are possible, else as a Key.
  template <class K>
  static decltype(auto) as_key(const K& key) {
    if constexpr (comparable<K> || std::same_as<K, Key>) {
      return (key);
    } else {
      return Key(key);
    }
  }

  /// 32 good bits. A weak hash (the identity, say) gets our seed and a finish, so that it neither clusters nor can be
  /// aimed at.
  template <class K>
  [[nodiscard]] std::uint32_t hash(const K& key) const {
    const std::uint64_t hash = hash_(key);
    if constexpr (requires { typename Hash::is_avalanching; }) {
      return static_cast<std::uint32_t>(hash >> 32);
    } else {
      std::uint64_t x = (hash ^ seed_) * 0xD6E8FEB86659FD93U;
      x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93U;
      return static_cast<std::uint32_t>(x >> 32);
    }
  }

  /// Whether a node is the key's.
  template <class Node, class K>
  [[nodiscard]] auto matching(const K& key, std::uint32_t hash) const {
    return [this, &key, hash](const Node& entry) {
      (void)hash;
      if constexpr (Node::keeps_hash) {
        if (entry.hash.value != hash) return false;
      }
      return static_cast<bool>(equal_(entry.key(), key));
    };
  }

 private:
  // Whether a K may be looked up as it is. A transparent hash of the caller's vouches for all types it takes; the
  // default one takes any type, so there only those that stand for the same characters are sure to hash alike.
  template <class K>
  static constexpr bool comparable = [] {
    if constexpr (!(requires {
                    typename Hash::is_transparent;
                    typename Equal::is_transparent;
                  })) {
      return false;
    } else if constexpr (std::same_as<Hash, seeded_hash>) {
      return std::is_convertible_v<const K&, std::string_view> && std::is_convertible_v<const Key&, std::string_view>;
    } else {
      return true;
    }
  }();

  static Hash make_hash(std::uint64_t seed) {
    if constexpr (std::constructible_from<Hash, std::uint64_t>) {
      return Hash(seed);
    } else {
      return Hash{};
    }
  }

  std::uint64_t seed_;
  Hash hash_;
  [[no_unique_address]] Equal equal_{};
};

}  // namespace banyan::detail
