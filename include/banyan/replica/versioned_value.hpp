#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <banyan/replica/version_vector.hpp>

namespace banyan {

/// A value of which each of several primaries has a copy that it may write, and of which no write is lost: what was
/// written at the same time is kept side by side, as siblings, until a write that has seen them takes their place. The
/// user's function makes one value of them.
///
///     cart.write(items, this_node);                        // a write here: it has seen all that is here
///     cart.merge(other_copy);                              // the copy of another primary
///     cart.value([](const items& a, const items& b) { return both(a, b); });   // what a reader sees
///
/// All copies that have met, in whatever order and however often, directly or by way of others, have the same siblings
/// in the same order, so they give the same value, whatever the function is. Why not merge the values at once, when
/// copies meet: because a value that a later write had replaced is then part of the mixture by the time that write
/// comes by, and cannot be taken out again; copies that met in another order differ, and never find out.
///
/// A write made of `value` replaces the siblings for good. Several primaries may do that at the same time, and their
/// results are siblings then. So that this ends, the function should be commutative, associative and idempotent: a
/// union or a maximum, not a sum, which would count twice what both have begun with.
///
/// A client that reads, thinks and writes has not seen what came here meanwhile: give it `version()` with the value,
/// and refuse its write when that is another one by then. A deletion is a write too: of an empty `std::optional`, to be
/// kept for as long as older copies may come back.
///
/// Each copy that is written has a node number of its own, and goes on from its last state after a restart: a copy that
/// begins anew needs a new number. No more than `Capacity` of them, and as many siblings: one for each node at most.
///
/// Not thread-safe. A function that throws changes nothing; assignments included. One that was moved from is not
/// written yet. Writing: O(nodes), merging: O(nodes log nodes).
///
/// Sources: G. DeCandia et al., "Dynamo", SOSP 2007 (siblings, as in Riak); N. Preguiça et al., "Dotted version
/// vectors", arXiv:1011.5808, 2010 (each sibling knows the write that made it).
template <class T, std::size_t Capacity = 16>
class versioned_value {
 public:
  using version_type = version_vector<Capacity>;

  /// A value, and which write of which node made it.
  struct sibling {
    T value;
    std::uint64_t node = 0;
    std::uint64_t write = 0;
  };

  /// Not written yet.
  versioned_value() = default;
  versioned_value(const versioned_value&) = default;
  versioned_value(versioned_value&& other) noexcept
      : version_{std::exchange(other.version_, {})}, siblings_{std::exchange(other.siblings_, {})} {}
  versioned_value& operator=(versioned_value other) noexcept {
    version_ = other.version_;
    siblings_.swap(other.siblings_);
    return *this;
  }
  ~versioned_value() = default;

  /// From `version()` and `siblings()` of another, as they came over the network, in any order. Nothing when they
  /// cannot be: a sibling is the last write of its node that has been seen, since each write takes the place of those
  /// before.
  [[nodiscard]] static std::optional<versioned_value> from_parts(const version_type& version,
                                                                 std::vector<sibling> siblings) {
    std::ranges::sort(siblings, {}, &sibling::node);
    if (std::ranges::adjacent_find(siblings, {}, &sibling::node) != siblings.end()) return std::nullopt;
    if (siblings.empty() != version.entries().empty()) return std::nullopt;
    for (const sibling& each : siblings) {
      if (each.write == 0 || each.write != version.writes(each.node)) return std::nullopt;
    }
    versioned_value made;
    made.version_ = version;
    made.siblings_ = std::move(siblings);
    return made;
  }

  /// All writes that this copy has seen.
  [[nodiscard]] const version_type& version() const noexcept { return version_; }
  /// What has not been replaced, ordered by node. Valid until the next change.
  [[nodiscard]] std::span<const sibling> siblings() const noexcept { return siblings_; }
  /// Not written yet.
  [[nodiscard]] bool empty() const noexcept { return siblings_.empty(); }
  /// Written at the same time by several.
  [[nodiscard]] bool conflicting() const noexcept { return siblings_.size() > 1; }

  /// The siblings made one: `join(join(first, second), third)`, in their order, which is the same on all copies. Of one
  /// sibling its value. Not of an empty one. Throws what `join` throws.
  template <class Join>
  [[nodiscard]] T value(Join join) const {
    T whole = siblings_.front().value;
    for (std::size_t i = 1; i < siblings_.size(); ++i) whole = join(std::as_const(whole), siblings_[i].value);
    return whole;
  }

  /// Takes the place of all that is here. False, and no change, when it is one node too many.
  bool write(T value, std::uint64_t node) {
    version_type next = version_;
    if (!next.increment(node)) return false;
    std::vector<sibling> alone;
    alone.push_back({std::move(value), node, next.writes(node)});
    siblings_.swap(alone);
    version_ = next;
    return true;
  }

  /// Takes over what the other has seen: of the siblings of both stay those that neither has seen replaced. False, and
  /// no change, when these are too many nodes.
  bool merge(const versioned_value& other) {
    version_type all = version_;
    if (!all.merge(other.version_)) return false;
    if (all == version_) return true;  // and what the other has seen replaced, so have we
    std::vector<sibling> stay;
    stay.reserve(siblings_.size() + other.siblings_.size());
    for (const sibling& each : siblings_) {
      if (!other.has_replaced(each)) stay.push_back(each);
    }
    for (const sibling& each : other.siblings_) {
      if (each.write > version_.writes(each.node)) stay.push_back(each);
    }
    std::ranges::sort(stay, {}, &sibling::node);
    siblings_.swap(stay);
    version_ = all;
    return true;
  }

 private:
  [[nodiscard]] bool has_replaced(const sibling& one) const noexcept {
    if (one.write > version_.writes(one.node)) return false;
    const auto at = std::ranges::lower_bound(siblings_, one.node, {}, &sibling::node);
    return at == siblings_.end() || at->node != one.node || at->write != one.write;
  }

  version_type version_{};
  std::vector<sibling> siblings_;  // by node: of each its last write that has been seen, or none
};

}  // namespace banyan
