#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/balancer.hpp>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/detail/home_router.hpp>
#include <banyan/replica/primary_group_options.hpp>
#include <banyan/replica/primary_outcome.hpp>
#include <banyan/replica/primary_pick.hpp>

namespace banyan {

/// Several primaries that all take writes and send them to each other: picks the nearest, or the one at which a key is
/// at home.
///
///     banyan::cluster<database> databases;                       // the primaries, each with its name and zone
///     banyan::primary_group<database> users{databases, {.zone = "eu-1"}};
///     if (auto w = users.write({.key = banyan::hash_of(name)})) w->exec("update ...");   // no conflict
///     auto r = users.read();                                     // the nearest: what it happens to have
///
/// **Without a key**: the nearest that is fit. Of the first priority in which one is healthy (when none is in any, the
/// first in which one is degraded) those of the caller's own zone, and only if none of them is that fit, the others;
/// among these by the policy, so with `peak_ewma` by the round trips that the picks report. Two who write the same
/// thing at two primaries are in conflict: see `last_writer_wins` and `versioned_value`.
///
/// **With a key**: its home, by rendezvous hashing over the names and weights of all members that have a weight, fit or
/// not. So a home does not move because it is away (unhealthy, ejected, draining, to be avoided); a member that comes,
/// goes or changes its weight moves the keys that it gains or loses, and no others. While its home is away, a write to
/// a key goes nowhere, or as the options say to the next in the key's order; a read goes to the next. The pick's
/// `outcome` tells.
///
/// **What a key promises**: with `home_fallback::refuse`, all writes to it by callers that know the same members meet
/// at one primary, and a read whose outcome is `home` sees all of them. With the session's own number as the key, that
/// is each session's own writes. Not promised, since there is one position for each primary and no order among them: to
/// see elsewhere what was written at one (it takes as long as the replication does), and monotonic or causal reads
/// across keys. While callers hear of a change of the members one after the other, and until the new home has received
/// what the old one took, both may take writes to the same key.
///
/// The members are the cluster's; every one of them is a primary. Give them names that are the same everywhere: homes
/// go by these.
///
/// Thread-safe. Picks are lock-free and allocate only with a thread's first use of the hazard domain. Without a key
/// they take what `balancer` takes, with one O(members), like `rendezvous_affinity`. May outlive the cluster, which
/// then stays as it was; picks may outlive both.
template <class T, balance_policy Policy = peak_ewma, class Clock = steady_clock>
class primary_group {
 public:
  using time_point = typename Clock::time_point;
  using pick = primary_pick<T, Clock>;

  /// Throws what the policy throws, and `std::bad_alloc`.
  explicit primary_group(cluster<T, Clock>& members, const primary_group_options& options = {},
                         Policy policy = Policy{})
      : when_away_{options.when_away},
        nearest_{members, std::move(policy), nearest_first(options)},
        homes_{detail::cluster_access::roster(members)} {}
  primary_group(const primary_group&) = delete;
  primary_group& operator=(const primary_group&) = delete;

  /// A primary for a write: the home of the key that is asked for, or the nearest. Empty when there is none. What the
  /// policy heeds of the request (`avoid`, `cookie`) counts without a key; with one, `avoid` does.
  [[nodiscard]] pick write(const pick_request& request = {}) noexcept {
    return request.key ? at_home(request, when_away_ == home_fallback::next) : made_of(nearest_.pick(request));
  }
  /// As above with the caller's time.
  [[nodiscard]] pick write(const pick_request& request, time_point now) noexcept {
    return request.key ? at_home(request, when_away_ == home_fallback::next) : made_of(nearest_.pick(request, now));
  }

  /// A primary for a read: as `write`, but when the key's home is away, the next in the key's order, which may lack
  /// what was written last.
  [[nodiscard]] pick read(const pick_request& request = {}) noexcept {
    return request.key ? at_home(request, true) : made_of(nearest_.pick(request));
  }
  /// As above with the caller's time.
  [[nodiscard]] pick read(const pick_request& request, time_point now) noexcept {
    return request.key ? at_home(request, true) : made_of(nearest_.pick(request, now));
  }

  /// The key's home, away or not; none when no member has a weight. O(members), lock-free. Throws `std::bad_alloc`, for
  /// a thread's first use of the hazard domain.
  [[nodiscard]] endpoint_id home(std::uint64_t key) const { return homes_.home(key); }

 private:
  static balancer_options nearest_first(const primary_group_options& options) {
    balancer_options how;
    how.priorities.panic_threshold = 0;  // a write is not tried on those who are known to be away
    how.zone.zone = options.zone;
    how.zone.min_endpoints = 1;
    // One healthy primary suffices, and the own zone, whatever it weighs.
    how.priorities.overprovisioning = std::numeric_limits<double>::max();
    how.zone.callers_share = std::numeric_limits<double>::min();
    how.seed = options.seed;
    return how;
  }

  [[nodiscard]] static pick made_of(pick_token<T, Clock> use) noexcept {
    const auto how = use ? primary_outcome::nearest : primary_outcome::no_primary;
    return pick{how, std::move(use)};
  }

  [[nodiscard]] pick at_home(const pick_request& request, bool anyone) const noexcept {
    const detail::home_router::found found = homes_.find(*request.key, anyone, request.avoid);
    if (!found.memory) return pick{primary_outcome::out_of_memory, {}};
    if (found.counted == nullptr)
      return pick{found.members ? primary_outcome::home_is_away : primary_outcome::no_primary, {}};
    return pick{found.home ? primary_outcome::home : primary_outcome::elsewhere,
                detail::token_access::make<T, Clock>(*found.counted)};
  }

  home_fallback when_away_;
  balancer<T, Policy, Clock> nearest_;
  detail::home_router homes_;
};

}  // namespace banyan
