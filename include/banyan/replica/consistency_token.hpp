#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>

#include <banyan/core/clock.hpp>

namespace banyan {

namespace detail {
struct consistency_token_access;

template <class TimePoint>
concept point_in_time = requires(TimePoint time) {
  time.time_since_epoch().count();
};

/// Nanoseconds since the clock's epoch. Times beyond what fits count as the last that does.
template <point_in_time TimePoint>
[[nodiscard]] constexpr std::int64_t token_time(TimePoint time) noexcept {
  using limits = std::numeric_limits<std::int64_t>;
  const std::chrono::duration<double> seconds = time.time_since_epoch();
  if (seconds.count() >= 9.2e9) return limits::max();
  if (seconds.count() <= -9.2e9) return limits::min() + 1;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}
}  // namespace detail

/// What a session has written and seen, so that its later reads go to replicas that have it. Kept with the session: in
/// memory, or as text in a cookie or header (`to_text`, `replica_set::parse`).
///
///     banyan::consistency_token session;
///     auto w = users.write();
///     w->exec("insert ...");
///     w.wrote(session, position, now);              // session.wrote(position, now) knows of no epoch
///     auto r = users.read(session, {.consistency = banyan::read_your_writes}, now);
///
/// A position is a number that grows with every write of a set: an LSN, a count of GTIDs, a term and index in one. 0
/// means none. One number stands for all that was written and seen; a token never goes back. Where positions are not
/// known, the time of the write or read takes their place: then a replica qualifies that has, by its reported lag, all
/// that was committed until then.
///
/// A position belongs to an epoch: the reign of one primary. What a primary had acknowledged and its successor does not
/// have is lost to all; the set then asks no more than what the successor had (`replica_set::settle`). A position that
/// was told without an epoch is compared as it is: after a loss, reads go by it to the primary until the positions have
/// passed it. They do not wait for ever. And a process that has not heard of a new primary cannot know that it has not:
/// so tell positions through the picks (`replica_pick::wrote`, `observed`) where there is more than one process.
///
/// 24 bytes, a value: one thread at a time. All is wait-free and O(1).
class consistency_token {
 public:
  constexpr consistency_token() noexcept = default;

  /// The session has written, and the write ends at `position`. `now` is for `read_your_writes_within`.
  template <detail::point_in_time TimePoint = steady_clock::time_point>
  constexpr void wrote(std::uint64_t position, TimePoint now = steady_clock::now()) noexcept {
    add(position, 0, false);
    time_ = std::max(time_, detail::token_time(now));
  }

  /// The session has written; nobody knows the position. The write was acknowledged before `now`.
  template <detail::point_in_time TimePoint>
  constexpr void wrote(TimePoint now) noexcept {
    read_at(now);
  }

  /// The session has read what was there at `position`: taken with the read's reply, not before.
  constexpr void read_at(std::uint64_t position) noexcept { add(position, 0, false); }

  /// The session has read, from wherever; the read had ended before `now`.
  template <detail::point_in_time TimePoint>
  constexpr void read_at(TimePoint now) noexcept {
    time_ = std::max(time_, detail::token_time(now));
    flags_ |= time_counts;
  }

  /// Takes over what another session has written and seen. False, and nothing changed, when that was in another set.
  constexpr bool merge(const consistency_token& other) noexcept {
    if (set_ != 0 && other.set_ != 0 && set_ != other.set_) return false;
    if (set_ == 0) set_ = other.set_;
    add(other.position_, other.epoch_, other.epoch_is_local());
    time_ = std::max(time_, other.time_);
    flags_ |= other.flags_ & time_counts;
    return true;
  }

  /// 0: none.
  [[nodiscard]] constexpr std::uint64_t position() const noexcept { return position_; }
  /// The latest in which it has written or seen anything; 0: not known.
  [[nodiscard]] constexpr std::uint32_t epoch() const noexcept { return epoch_; }
  /// Of the set in which it was written or read, from its name; 0: not known.
  [[nodiscard]] constexpr std::uint32_t set() const noexcept { return set_; }
  /// Of the last write, or of a read without position, in nanoseconds of the clock that was used; the lowest number
  /// when there is none.
  [[nodiscard]] constexpr std::int64_t time() const noexcept { return time_; }
  /// Whether replicas must have what was committed until `time()`.
  [[nodiscard]] constexpr bool bound_by_time() const noexcept { return (flags_ & time_counts) != 0; }
  /// The epoch is a count of this process: it means nothing to others, and is not written to text.
  [[nodiscard]] constexpr bool epoch_is_local() const noexcept { return (flags_ & local_epoch) != 0; }
  [[nodiscard]] constexpr bool empty() const noexcept { return *this == consistency_token{}; }

  static constexpr std::int64_t no_time = std::numeric_limits<std::int64_t>::min();

  friend constexpr bool operator==(const consistency_token&, const consistency_token&) noexcept = default;

 private:
  friend detail::consistency_token_access;

  static constexpr std::uint8_t time_counts = 1;
  static constexpr std::uint8_t local_epoch = 2;

  // The larger position, in the later epoch: that is at least as much as either asks for. A position without an epoch
  // may be of any, so then the whole has none.
  constexpr void add(std::uint64_t position, std::uint32_t epoch, bool local) noexcept {
    if (position == 0 && epoch == 0) return;
    if (position_ == 0 && epoch_ == 0) {
      epoch_ = epoch;
    } else {
      epoch_ = epoch_ == 0 || epoch == 0 ? 0 : std::max(epoch_, epoch);
    }
    position_ = std::max(position_, position);
    if (local) flags_ |= local_epoch;
    if (epoch_ == 0) flags_ &= static_cast<std::uint8_t>(~local_epoch);
  }

  std::uint64_t position_ = 0;
  std::int64_t time_ = no_time;
  std::uint32_t epoch_ = 0;
  std::uint16_t set_ = 0;
  std::uint8_t flags_ = 0;
};

static_assert(sizeof(consistency_token) == 24);

namespace detail {

/// What a set and the text form may do with a token.
struct consistency_token_access {
  static constexpr void bind(consistency_token& token, std::uint16_t set) noexcept { token.set_ = set; }

  static constexpr void add(consistency_token& token, std::uint64_t position, std::uint32_t epoch,
                            bool local) noexcept {
    token.add(position, epoch, local);
  }

  /// All that was above `most` in an earlier epoch has been lost; the rest is part of `epoch`. True when that lowers
  /// the position.
  static constexpr bool rebase(consistency_token& token, std::uint64_t most, std::uint32_t epoch, bool local) noexcept {
    const bool lowered = token.position_ > most;
    token.position_ = std::min(token.position_, most);
    token.epoch_ = epoch;
    token.flags_ = static_cast<std::uint8_t>(local ? token.flags_ | consistency_token::local_epoch
                                                   : token.flags_ & ~consistency_token::local_epoch);
    return lowered;
  }

  struct parts {
    std::uint64_t position = 0;
    std::int64_t time = consistency_token::no_time;
    std::uint32_t epoch = 0;
    std::uint16_t set = 0;
    bool bound_by_time = false;
  };
  [[nodiscard]] static constexpr consistency_token make(const parts& from) noexcept {
    consistency_token token;
    token.position_ = from.position;
    token.time_ = from.time;
    token.epoch_ = from.epoch;
    token.set_ = from.set;
    token.flags_ = from.bound_by_time ? consistency_token::time_counts : std::uint8_t{0};
    return token;
  }
};

}  // namespace detail

}  // namespace banyan
