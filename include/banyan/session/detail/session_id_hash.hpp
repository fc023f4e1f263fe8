#pragma once

#include <cstddef>
#include <cstdint>

#include <banyan/core/hash.hpp>
#include <banyan/session/session_id.hpp>

namespace banyan::detail {

/// Seeded, though ids that this library made cannot collide on purpose: a client may send any that it likes.
struct session_id_hash {
  using is_avalanching = void;
  explicit session_id_hash(std::uint64_t seed = process_seed()) noexcept : letters{seed} {}
  [[nodiscard]] auto operator()(const session_id& id) const noexcept { return letters(id.text()); }
  seeded_hash letters;
};

}  // namespace banyan::detail
