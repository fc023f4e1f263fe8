#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace banyan::detail {

/// Bits of a node's `place`: the entry's slot, and what else is to be known before reading the entry.
inline constexpr std::uint32_t slot_mask = (std::uint32_t{1} << 28) - 1;
inline constexpr std::uint32_t timed_bit = std::uint32_t{1} << 31;      ///< it has a deadline: see its extras
inline constexpr std::uint32_t weighted_bit = std::uint32_t{1} << 30;   ///< it weighs other than 1: see its extras
inline constexpr std::uint32_t tentative_bit = std::uint32_t{1} << 29;  ///< a load has not committed it yet: no hit
inline constexpr std::uint32_t gone_bit = std::uint32_t{1} << 28;       ///< removed while tentative

/// The hash beside a key that is dear to compare or to hash again.
struct kept_hash {
  std::uint32_t value;
};
struct no_kept_hash {};

/// One entry: immutable but for its links. A new value means a new node in the same slot.
template <class Key, class Value>
struct cache_node {
  static constexpr bool keeps_hash = !(std::is_arithmetic_v<Key> || std::is_enum_v<Key> || std::is_pointer_v<Key>);
  using payload_type = std::pair<Key, Value>;

  std::atomic<std::uint32_t> next;
  std::atomic<std::uint32_t> place;
  [[no_unique_address]] std::conditional_t<keeps_hash, kept_hash, no_kept_hash> hash;
  alignas(Key) std::byte key_bytes[sizeof(Key)];
  alignas(Value) std::byte value_bytes[sizeof(Value)];

  [[nodiscard]] const Key& key() const noexcept { return *std::launder(reinterpret_cast<const Key*>(key_bytes)); }
  [[nodiscard]] const Value& value() const noexcept {
    return *std::launder(reinterpret_cast<const Value*>(value_bytes));
  }

  /// Fills an unlinked node. When a constructor throws, the node is as empty as before.
  template <class K, class V>
  void construct(std::uint32_t key_hash, K&& key, V&& value) {
    struct rollback {
      Key* key;
      ~rollback() {
        if (key != nullptr) std::destroy_at(key);
      }
    };
    rollback guard{::new (static_cast<void*>(key_bytes)) Key(converted<Key>(std::forward<K>(key)))};
    ::new (static_cast<void*>(value_bytes)) Value(converted<Value>(std::forward<V>(value)));
    guard.key = nullptr;
    if constexpr (keeps_hash) hash.value = key_hash;
  }

  // Between numbers the caller's conversion is meant, as in a standard container's emplace: no warning about it here.
  template <class T, class U>
  static constexpr decltype(auto) converted(U&& from) {
    if constexpr (std::is_arithmetic_v<T> && std::is_arithmetic_v<std::remove_cvref_t<U>>) {
      return static_cast<T>(from);
    } else {
      return std::forward<U>(from);
    }
  }

  void destroy() noexcept {
    std::destroy_at(std::launder(reinterpret_cast<Value*>(value_bytes)));
    std::destroy_at(std::launder(reinterpret_cast<Key*>(key_bytes)));
  }
};

/// What only some entries have, beside the node of the same number. Never touched, hence never committed, in a cache
/// without times and weights.
struct cache_node_extras {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  std::int64_t deadline;                    ///< clock ticks; set before the node is linked
  std::atomic<std::int64_t> idle_deadline;  ///< clock ticks; renewed by reads
  std::uint64_t weight;                     ///< set before the node is linked

  [[nodiscard]] std::int64_t earliest() const noexcept {
    // Relaxed: a renewal orders nothing; missing one by a moment is a race the caller could have lost anyway.
    const std::int64_t idle = idle_deadline.load(std::memory_order_relaxed);
    return idle < deadline ? idle : deadline;
  }
};

}  // namespace banyan::detail
