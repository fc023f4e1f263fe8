#pragma once

#include <compare>
#include <cstdint>
#include <utility>

#include <banyan/replica/hybrid_time.hpp>

namespace banyan {

/// A value of which each of several primaries has a copy that it may write; where copies differ, the latest write wins
/// and the others are lost. For values where that is right, such as a profile's picture; not for counters and lists.
///
///     row.assign(text, clock.now(), this_node);      // a write here
///     row.merge(other_copy);                         // the copy of another primary
///
/// "Latest" is by the writer's `hybrid_time`, and of equal ones by the node's number. As long as no node uses a time
/// twice, merging is commutative, associative and idempotent: all copies end equal, in whatever order they meet. A
/// deletion is a write too: of an empty `std::optional`, to be kept for as long as older copies may come back.
///
/// Not thread-safe. O(1).
///
/// Source: the LWW register of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data
/// types", INRIA RR-7506, 2011.
template <class T>
class last_writer_wins {
 public:
  /// Who wrote it, and when.
  struct stamp {
    hybrid_time time{};
    std::uint64_t node = 0;
    friend constexpr auto operator<=>(const stamp&, const stamp&) noexcept = default;
  };

  /// Older than every write.
  last_writer_wins() = default;
  last_writer_wins(T value, hybrid_time time, std::uint64_t node) : value_(std::move(value)), written_{time, node} {}

  [[nodiscard]] const T& value() const noexcept { return value_; }
  [[nodiscard]] const stamp& written() const noexcept { return written_; }

  /// False, and no change, when what is here is as late or later. When the assignment of the value throws, the stamp
  /// stays the old one, and the same write can come again.
  bool assign(T value, hybrid_time time, std::uint64_t node) {
    const stamp given{time, node};
    if (given <= written_) return false;
    value_ = std::move(value);
    written_ = given;
    return true;
  }

  /// Whether the other's was taken.
  bool merge(const last_writer_wins& other) {
    if (other.written_ <= written_) return false;
    return assign(other.value_, other.written_.time, other.written_.node);
  }

 private:
  T value_{};
  stamp written_{};
};

}  // namespace banyan
