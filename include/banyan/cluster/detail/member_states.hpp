#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <banyan/cluster/endpoint_id.hpp>

namespace banyan::detail {

/// Something kept for each member of a cluster, ordered by id. `State` has an `id`.
template <class State>
struct member_states {
  std::vector<State> all;

  [[nodiscard]] bool are_of(std::span<const endpoint_id> ids) const noexcept {
    return std::equal(all.begin(), all.end(), ids.begin(), ids.end(),
                      [](const State& one, endpoint_id id) { return one.id == id; });
  }

  /// Those of the members that are there now: who stayed has what it had, `joined(id)` is that of a new one. O(n).
  template <class Joined>
  [[nodiscard]] member_states followed(std::span<const endpoint_id> ids, Joined joined) const {
    member_states next;
    next.all.reserve(ids.size());
    auto at = all.begin();
    for (const endpoint_id id : ids) {
      while (at != all.end() && at->id < id) ++at;
      next.all.push_back(at != all.end() && at->id == id ? *at : joined(id));
    }
    return next;
  }

  /// Null when there is none of that id. O(log n).
  [[nodiscard]] const State* find(endpoint_id id) const noexcept {
    const auto at = std::lower_bound(all.begin(), all.end(), id,
                                     [](const State& one, endpoint_id wanted) { return one.id < wanted; });
    return at != all.end() && at->id == id ? &*at : nullptr;
  }
  [[nodiscard]] State* find(endpoint_id id) noexcept {
    return const_cast<State*>(static_cast<const member_states&>(*this).find(id));
  }
};

}  // namespace banyan::detail
