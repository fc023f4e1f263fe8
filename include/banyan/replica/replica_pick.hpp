#pragma once

#include <cstdint>
#include <utility>

#include <banyan/cluster/pick_token.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>
#include <banyan/replica/read_outcome.hpp>

namespace banyan {

namespace detail {

/// Of which set and epoch a pick is.
struct replica_origin {
  std::uint64_t kept = replica_epoch::unknown;  // of earlier epochs' positions
  std::uint32_t epoch = 0;
  std::uint16_t set = 0;
  bool local_epoch = true;
};

}  // namespace detail

/// One use of a member of a replica set: a `pick_token`, with where it goes or why nowhere, and what brings a session's
/// token up to date. As thread-safe as that is.
template <class T, class Clock = steady_clock>
class replica_pick : public pick_token<T, Clock> {
 public:
  using time_point = typename Clock::time_point;

  replica_pick() = default;
  replica_pick(read_outcome how, pick_token<T, Clock> use, const detail::replica_origin& origin) noexcept
      : pick_token<T, Clock>{std::move(use)}, origin_{origin}, how_{how} {}

  /// Where it goes, or why nowhere.
  [[nodiscard]] read_outcome outcome() const noexcept { return how_; }

  /// The epoch in which it was picked.
  [[nodiscard]] std::uint32_t epoch() const noexcept { return origin_.epoch; }

  /// The session has written here, and the write ends at `position`. Wait-free. False, and nothing changed, when the
  /// token is of another set.
  bool wrote(consistency_token& session, std::uint64_t position, time_point now = Clock::now()) const noexcept {
    if (!join(session)) return false;
    detail::consistency_token_access::add(session, position, origin_.epoch, origin_.local_epoch);
    session.wrote(0, now);
    return true;
  }

  /// The session has read here. `position`: what the member had applied when the read had ended, or later; not what was
  /// known of it before, since it may have shown more than that. Wait-free. False as `wrote`.
  bool observed(consistency_token& session, std::uint64_t position) const noexcept {
    if (!join(session)) return false;
    detail::consistency_token_access::add(session, position, origin_.epoch, origin_.local_epoch);
    return true;
  }

  /// The session has read here, and nobody knows at what position; the read has ended before `now`. Its next reads go
  /// to members that have all that was committed until then. Wait-free. False as `wrote`.
  bool observed(consistency_token& session, time_point now = Clock::now()) const noexcept {
    if (!join(session)) return false;
    session.read_at(now);
    return true;
  }

 private:
  bool join(consistency_token& session) const noexcept {
    using access = detail::consistency_token_access;
    if (session.set() != 0 && origin_.set != 0 && session.set() != origin_.set) return false;
    if (origin_.set != 0) access::bind(session, origin_.set);
    // What this epoch began without is lost, and must not stand above what is written now.
    if (session.epoch() != 0 && session.epoch() < origin_.epoch)
      (void)access::rebase(session, origin_.kept, origin_.epoch, origin_.local_epoch);
    return true;
  }

  detail::replica_origin origin_{};
  read_outcome how_ = read_outcome::no_primary;
};

}  // namespace banyan
