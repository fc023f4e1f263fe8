#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace banyan {

/// How many writes of each node a copy has seen, so that two copies can tell whether one knows all that the other does,
/// or both were written independently:
///
///     mine.increment(this_node);                                    // with every write here
///     if ((mine <=> theirs) == std::partial_ordering::unordered) ...  // a conflict: merge the values,
///     mine.merge(theirs);                                           // then the vectors
///
/// Of up to `Capacity` nodes, kept inline: those that write, not those that hold copies. What would need more is
/// refused and changes nothing; leaving a node out would make an old copy look new. Numbers of nodes that are gone can
/// be used again only under a new number.
///
/// A value: not thread-safe. Comparing and merging: O(nodes).
///
/// Source: D. S. Parker et al., "Detection of mutual inconsistency in distributed systems", IEEE TSE 9(3), 1983.
template <std::size_t Capacity = 16>
class version_vector {
  static_assert(Capacity > 0);

 public:
  struct entry {
    std::uint64_t node = 0;
    std::uint64_t writes = 0;
    friend constexpr bool operator==(const entry&, const entry&) noexcept = default;
  };

  /// Of no write.
  constexpr version_vector() noexcept = default;

  /// From `entries()` of another, in any order, as they came over the network. Nothing when there are too many, or a
  /// node comes twice. Those with 0 writes say nothing and are left out.
  [[nodiscard]] static constexpr std::optional<version_vector> from_entries(std::span<const entry> given) noexcept {
    version_vector made;
    for (const entry& each : given) {
      if (each.writes == 0) continue;
      const std::size_t at = made.place(each.node);
      if (made.is_at(at, each.node) || made.size_ == Capacity) return std::nullopt;
      made.insert(at, each);
    }
    return made;
  }

  /// Ordered by node, none with 0 writes. Valid until the next change.
  [[nodiscard]] constexpr std::span<const entry> entries() const noexcept {
    return std::span<const entry>{entries_}.first(size_);
  }
  /// How many writes of that node have been seen. O(log nodes).
  [[nodiscard]] constexpr std::uint64_t writes(std::uint64_t node) const noexcept {
    const std::size_t at = place(node);
    return is_at(at, node) ? entries_[at].writes : 0;
  }

  /// One more write of that node. False, and no change, when it is one node too many, or the number is at its end.
  constexpr bool increment(std::uint64_t node) noexcept {
    const std::size_t at = place(node);
    if (is_at(at, node)) {
      if (entries_[at].writes == std::numeric_limits<std::uint64_t>::max()) return false;
      ++entries_[at].writes;
      return true;
    }
    if (size_ == Capacity) return false;
    insert(at, {node, 1});
    return true;
  }

  /// All that either has seen. False, and no change, when these are too many nodes.
  constexpr bool merge(const version_vector& other) noexcept {
    version_vector all;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < size_ || j < other.size_) {
      if (all.size_ == Capacity) return false;
      entry& next = all.entries_[all.size_++];
      if (j == other.size_ || (i < size_ && entries_[i].node < other.entries_[j].node)) {
        next = entries_[i++];
      } else if (i == size_ || other.entries_[j].node < entries_[i].node) {
        next = other.entries_[j++];
      } else {
        next = {entries_[i].node, std::max(entries_[i].writes, other.entries_[j].writes)};
        ++i;
        ++j;
      }
    }
    *this = all;
    return true;
  }

  /// `less`: the other has seen all that this one has, and more. `unordered`: each has seen something that the other
  /// has not.
  friend constexpr std::partial_ordering operator<=>(const version_vector& a, const version_vector& b) noexcept {
    bool a_has_more = false;
    bool b_has_more = false;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size_ || j < b.size_) {
      if (j == b.size_ || (i < a.size_ && a.entries_[i].node < b.entries_[j].node)) {
        a_has_more = true;
        ++i;
      } else if (i == a.size_ || b.entries_[j].node < a.entries_[i].node) {
        b_has_more = true;
        ++j;
      } else {
        a_has_more = a_has_more || a.entries_[i].writes > b.entries_[j].writes;
        b_has_more = b_has_more || a.entries_[i].writes < b.entries_[j].writes;
        ++i;
        ++j;
      }
    }
    if (a_has_more && b_has_more) return std::partial_ordering::unordered;
    if (a_has_more) return std::partial_ordering::greater;
    return b_has_more ? std::partial_ordering::less : std::partial_ordering::equivalent;
  }
  friend constexpr bool operator==(const version_vector& a, const version_vector& b) noexcept {
    return std::ranges::equal(a.entries(), b.entries());
  }

 private:
  // Where the node is, or belongs.
  [[nodiscard]] constexpr std::size_t place(std::uint64_t node) const noexcept {
    const auto all = entries();
    return static_cast<std::size_t>(std::ranges::lower_bound(all, node, {}, &entry::node) - all.begin());
  }
  [[nodiscard]] constexpr bool is_at(std::size_t at, std::uint64_t node) const noexcept {
    return at < size_ && entries_[at].node == node;
  }
  constexpr void insert(std::size_t at, entry given) noexcept {
    for (std::size_t i = size_; i > at; --i) entries_[i] = entries_[i - 1];
    entries_[at] = given;
    ++size_;
  }

  std::array<entry, Capacity> entries_{};
  std::size_t size_ = 0;
};

}  // namespace banyan
