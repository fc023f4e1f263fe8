#pragma once

#include <cstdint>
#include <optional>

#include <banyan/cluster/endpoint_id.hpp>

namespace banyan {

/// What one pick asks for. All of it is optional.
struct pick_request {
  /// Not this one, if there is another that is fit: where the last attempt went.
  endpoint_id avoid{};
  /// Picks with the same key go to the same endpoint, with the policies that know affinity; see `hash_of`.
  std::optional<std::uint64_t> key{};
  /// What `pick_token::cookie` gave for an earlier pick: `sticky` goes there again if it can.
  std::optional<std::uint64_t> cookie{};
};

}  // namespace banyan
