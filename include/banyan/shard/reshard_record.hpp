#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

/// What a store holds for a key while keys move: a value or the mark of a deletion (a tombstone), and a version that
/// grows with every write of that key. Version 0 without a value: the key was never written.
template <class Value>
struct reshard_record {
  std::uint64_t version = 0;
  std::optional<Value> value{};
};

/// The upper 16 bits of a version are the generation of the reshard after which it was written, so that a version
/// given by the new place is above all those of the old one. The lower 48 count writes. Up to this generation, versions
/// fit a signed number of 64 bits, as databases have them.
inline constexpr std::uint32_t max_reshard_generation = 32'767;

/// Versions given by the target of a reshard are above this, those given by the source below; this one marks the last
/// record of a key at the source. O(1), wait-free.
[[nodiscard]] constexpr std::uint64_t generation_base(std::uint32_t generation) noexcept {
  return std::uint64_t{generation} << 48;
}

}  // namespace banyan
