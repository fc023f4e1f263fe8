#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <banyan/core/random.hpp>
#include <banyan/hashing/xxhash64.hpp>

namespace banyan {

/// A hash for placement: 64 well-mixed bits that are the same on every machine, in every run and in every version of
/// this library, so that all who hold the same list of nodes send a key to the same one.
///
/// - Text (whatever converts to `std::string_view`) and bytes (`std::span<const std::byte>`): XXH64.
/// - Whole numbers and enumerations: SplitMix64's output for the value, extended to 64 bits; so 7 hashes alike in every
///   type, and -1 as 2^64 - 1.
/// - Pairs and tuples: element by element.
///
/// For any other type give the placement a hash of your own; it must be as stable, so `std::hash` will not do.
///
/// Whoever can choose keys can choose keys that all go to one node. Where that is to be feared, give all machines the
/// same secret seed, or `siphash`, which withstands somebody who watches where keys go.
///
/// Thread safety: const use by many threads. O(size of the key), wait-free.
struct stable_hash {
  using is_transparent = void;

  std::uint64_t seed = 0;

  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
  [[nodiscard]] constexpr std::uint64_t operator()(T value) const noexcept {
    static_assert(sizeof(T) <= sizeof(std::uint64_t), "wider numbers: give two halves as a pair");
    // Mixing leaves 0 as it is; the golden ratio is where SplitMix64 starts.
    return mix_bits(static_cast<std::uint64_t>(value) + 0x9e3779b97f4a7c15U + mix_bits(seed));
  }

  [[nodiscard]] std::uint64_t operator()(std::string_view text) const noexcept { return xxhash64(text, seed); }

  [[nodiscard]] std::uint64_t operator()(std::span<const std::byte> bytes) const noexcept {
    return (*this)(std::string_view{reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }

  template <class A, class B>
  [[nodiscard]] std::uint64_t operator()(const std::pair<A, B>& pair) const {
    return joined((*this)(pair.first), (*this)(pair.second));
  }

  template <class... Ts>
  [[nodiscard]] std::uint64_t operator()(const std::tuple<Ts...>& elements) const {
    return std::apply([this](const Ts&... each) { return joined((*this)(each)...); }, elements);
  }

 private:
  template <class... Hashes>
  [[nodiscard]] std::uint64_t joined(Hashes... hashes) const noexcept {
    std::uint64_t all = seed;
    ((all = mix_bits(all * detail::xxhash_prime_1 + hashes)), ...);
    return all;
  }
};

/// The stable hash of a key: `stable_hash` with seed 0, which the placements of this room take by default.
template <class Key>
requires std::invocable<const stable_hash&, const Key&>
[[nodiscard]] constexpr std::uint64_t hash_of(const Key& key) noexcept(noexcept(stable_hash{}(key))) {
  return stable_hash{}(key);
}

}  // namespace banyan
