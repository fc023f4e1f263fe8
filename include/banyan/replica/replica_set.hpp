#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/process_seed.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/consistency_token_text.hpp>
#include <banyan/replica/detail/fallback_budget.hpp>
#include <banyan/replica/detail/quorum_members.hpp>
#include <banyan/replica/detail/replica_router.hpp>
#include <banyan/replica/detail/replica_selection.hpp>
#include <banyan/replica/read_options.hpp>
#include <banyan/replica/read_outcome.hpp>
#include <banyan/replica/replica_pick.hpp>
#include <banyan/replica/replica_promotion.hpp>
#include <banyan/replica/replica_report.hpp>
#include <banyan/replica/replica_set_options.hpp>
#include <banyan/replica/replica_status.hpp>

namespace banyan {

/// A primary that takes the writes, and replicas that follow it some time later and take the reads: each read goes to a
/// replica that has what it asks for, by a balancing policy among those.
///
///     banyan::replica_set<database, banyan::peak_ewma> users{{.max_lag = 1s}};
///     auto p = users.add_primary(db0);
///     auto r1 = users.add_replica(db1, {.zone = "eu-1"});
///     users.report(r1, {.position = 4711, .lag = 80ms}, now);     // from a monitor, or from every reply
///     if (auto r = users.read(session, {.consistency = banyan::read_your_writes}, now)) query(*r);
///
/// The members are a `cluster`: health, draining, ejection and slow start are as there. What a read asks of a replica
/// (`consistency_level`) is compared with what the replica has reported. A replica of which nothing has been heard has
/// nothing.
///
/// Thread-safe. `read` without `wait`, `write` and `report` are lock-free and do not allocate but for a thread's first
/// use of the hazard domain; they repeat only while the membership changes under them (`report` is wait-free when it
/// does not). A read takes what the policy takes, and O(1) while a few draws find a replica that has it; else it may go
/// through all replicas. Changes of members and roles block against each other, take O(n), and change nothing when they
/// throw. Picks may outlive the set.
template <class T, balance_policy Policy, class Clock = steady_clock>
class replica_set {
 public:
  using time_point = typename Clock::time_point;
  using pick = replica_pick<T, Clock>;

  /// Throws `std::invalid_argument` when an option is out of its range, what the policy throws, and `std::bad_alloc`.
  explicit replica_set(const replica_set_options& options = {}, Policy policy = Policy{})
      : options_{(check(options), options)},
        set_{number_of(options.name)},
        members_{options.cluster},
        router_{detail::cluster_access::roster(members_), std::move(policy), options_, members_.slow_start()},
        budget_{options.primary_share, options.primary_burst},
        readers_{options.balance.seed != 0 ? options.balance.seed
                                           : process_seed() ^ reinterpret_cast<std::uintptr_t>(this)} {}

  replica_set(const replica_set&) = delete;
  replica_set& operator=(const replica_set&) = delete;

  /// Adds the primary. Throws as `cluster::add`, and `std::invalid_argument` when there is one.
  endpoint_id add_primary(T value, endpoint_options options = {}, time_point now = Clock::now()) {
    return router_.join_as_primary([&] { return members_.add(std::move(value), std::move(options), now); });
  }

  /// Adds a replica; it has nothing until it reports. Throws as `cluster::add`.
  endpoint_id add_replica(T value, endpoint_options options = {}, time_point now = Clock::now()) {
    return members_.add(std::move(value), std::move(options), now);
  }

  /// Takes a member out. Without its primary a set takes no writes. False when there is none of that id.
  bool remove(endpoint_id id) { return members_.remove(id); }

  /// Makes a replica the primary, after it has been made so at the servers, and begins a new epoch; the primary until
  /// now becomes a replica. What members had reported is forgotten, unless it was `planned`: until they report anew,
  /// reads that ask for anything go to the primary. False, and nothing changed, when there is none of that id, or for
  /// an epoch that is not above the present one: somebody else was later. True, and nothing changed, when it is the
  /// primary already.
  bool promote(endpoint_id id, const replica_promotion& how = {}) {
    bool is_already = false;
    const bool changed = router_.change_roles([&](detail::replica_roles& roles, const detail::member_list& list) {
      if (!id || list.find(id) == nullptr) return false;
      if (roles.primary == id && (how.epoch == 0 || how.epoch == roles.epochs.present())) {
        is_already = true;
        return false;
      }
      return roles.appoint(id, how);
    });
    return changed || is_already;
  }

  /// There is no primary any more, and so no write, until one is promoted: the first step of a failover. Picks that are
  /// out may go on. False when there was none.
  bool demote() {
    return router_.change_roles([](detail::replica_roles& roles, const detail::member_list& list) {
      const bool was = roles.has_primary(list);
      roles.primary = endpoint_id{};
      return was;
    });
  }

  /// Takes what is told of a member. Of several reports the one with the latest `now` holds, also when it says less
  /// than one before: a node may have been restored from a backup. False, and nothing changed, when there is none of
  /// that id, a later report has come before, or the epoch is not the present one. O(log n).
  bool report(endpoint_id id, const replica_report& news, time_point now = Clock::now()) noexcept {
    const auto at = router_.try_read();
    if (!at) return false;
    const auto* const one = at->find(id);
    if (one == nullptr || (news.epoch != 0 && news.epoch < at->epochs.present())) return false;
    if (news.epoch > at->epochs.present()) {
      (*one)->progress.leave_epoch(detail::nanoseconds_of(now));
      return false;
    }
    const bool primary = id == at->primary_id;
    const detail::progress_report mine = detail::progress_of(news, primary);
    // First, so that no read sees it there and is told that nobody has it.
    if (!primary) at->epochs.current().replica_reports(mine, detail::nanoseconds_of(now));
    if (!(*one)->progress.report(mine, detail::nanoseconds_of(now), router_.fitness().lag)) return false;
    if (primary && news.epoch != 0 && news.position) at->epochs.current().primary_at(*news.position);
    if (!primary && mine.round_trip != detail::progress_report::nothing) {
      router_.compare_round_trip(*at, **one);
    }
    router_.tell_waiters();
    return true;
  }

  /// The primary, for a write. Empty (`no_primary`) when there is none or it drains; its health is not asked for, since
  /// nobody else can take it.
  [[nodiscard]] pick write() noexcept {
    auto at = router_.try_read();
    if (!at) return none(read_outcome::out_of_memory);
    return from_primary(*at, read_outcome::primary);
  }

  /// A member that has what `options` ask for, for a session that has written and seen what its token says. While no
  /// replica has it and `wait` is above 0, blocks until one reports it, at most so long; then it goes to the primary or
  /// nowhere, as the options say: see `outcome()` of the pick.
  [[nodiscard]] pick read(const consistency_token& session, const read_options& options = {},
                          time_point now = Clock::now()) noexcept {
    auto at = router_.try_read();
    if (!at) return none(read_outcome::out_of_memory);
    const std::uint32_t thread = at.thread().index();
    if (readers_.count(thread)) budget_.bring();
    detail::read_requirement need;
    const read_outcome asked =
        detail::requirement_of(options.consistency, session, set_, at->epochs, detail::nanoseconds_of(now), need);
    if (asked == read_outcome::replica && need.replicas) [[likely]] {
      if (const candidate* const one = select(at, need, options.request, now)) [[likely]] {
        return made_of(*at, *one, read_outcome::replica);
      }
      const std::chrono::nanoseconds wait = options.wait.value_or(options_.wait);
      if (wait.count() > 0) return waited(session, options, now, wait);
    }
    return otherwise(*at, asked, options);
  }

  /// The same for a reader without a session.
  [[nodiscard]] pick read(const read_options& options = {}, time_point now = Clock::now()) noexcept {
    return read(consistency_token{}, options, now);
  }

  /// Picks `members.size()` different members, to ask them all: by the policy as far as it names others, the primary
  /// only when fit replicas are too few. None or all: false when there are not so many, or none are asked for. What was
  /// in `members` is given back. How far replicas are, or in which epoch, is not asked: what they answer tells. See
  /// `read_quorum_size`, `has_quorum`. O(size * (size + n)), lock-free.
  [[nodiscard]] bool read_quorum(std::span<pick> members, time_point now = Clock::now()) noexcept {
    detail::different_picks<pick> all{members};
    auto at = router_.try_read();
    if (!at) return all.give_up(read_outcome::out_of_memory);
    const auto made = [&](const candidate& one) noexcept { return made_of(*at, one, read_outcome::replica); };
    for (std::size_t tries = 2 * members.size(); tries > 0 && !all.full(); --tries) {
      const endpoint_id last = all.last();
      const candidate* const one = select(at, {}, {.avoid = last}, now);
      if (one == nullptr) break;
      const bool is_all_there_is = one->id() == last;
      all.take(made(*one));
      if (is_all_there_is) break;
    }
    detail::take_in_turn(*at, readers_.of(at.thread().index()).sequence.random(), all, [&](const candidate& one) {
      return detail::try_begin_use(detail::pick_access::record(one)) ? made(one) : pick{};
    });
    if (!all.full() && at->primary_is_fit) all.take(from_primary(*at, read_outcome::primary));
    return all.full() ? !members.empty() : all.give_up(read_outcome::no_quorum);
  }

  /// Whether so many members, the primary among them, are known to have what was seen or written there: they have
  /// reported that position, or more, in that epoch. Waits for their reports, at most so long. False once the epoch is
  /// over (0: the present one); then it is not known. Nothing seen, no position, is what all have. O(n), lock-free
  /// without `wait`.
  [[nodiscard]] bool has_quorum(const replica_report& seen, std::size_t acknowledgements,
                                std::chrono::nanoseconds wait = {}) noexcept {
    std::uint32_t epoch = seen.epoch;
    for (typename router::waiting one{router_, wait};; one.wait()) {
      one.look();
      const auto at = router_.try_read();
      const quorum_state state = detail::reported_by(at, seen.position.value_or(0), epoch, acknowledgements);
      if (state != quorum_state::pending || one.over()) return state == quorum_state::reached;
    }
  }

  /// Brings a token of an earlier epoch up to the present one. True when part of what it stands for is lost: the
  /// primary of that epoch had it, its successor began without it. `read` does as much by itself, but does not tell.
  bool settle(consistency_token& session) const noexcept {
    const auto at = router_.try_read();
    if (!at || session.epoch() == 0 || session.epoch() >= at->epochs.present()) return false;
    if (session.set() != 0 && set_ != 0 && session.set() != set_) return false;
    return detail::consistency_token_access::rebase(session, at->epochs.kept_of(session.epoch()), at->epochs.present(),
                                                    at->local_epochs);
  }

  /// The token that `to_text` made, here or elsewhere; refused when it is none or of another set. See
  /// `parse_consistency_token` for what forgers can do. O(1), wait-free.
  [[nodiscard]] expected<consistency_token, token_error> parse(std::string_view text,
                                                               time_point now = Clock::now()) const noexcept {
    auto token = parse_consistency_token(text, now);
    if (token && token->set() != 0 && set_ != 0 && token->set() != set_) return unexpected{token_error::other_set};
    return token;
  }

  /// Of the present primary; counted from 1, or as given. Lock-free.
  [[nodiscard]] std::uint32_t epoch() const { return router_.read()->epochs.present(); }

  /// None when there is no primary. Lock-free.
  [[nodiscard]] endpoint_id primary() const { return router_.read()->primary_id; }

  /// What is known of a member; nothing when there is none of that id. O(log n), lock-free.
  [[nodiscard]] std::optional<replica_status> status(endpoint_id id, time_point now = Clock::now()) const {
    const auto at = router_.read();
    const auto* const one = at->find(id);
    if (one == nullptr) return std::nullopt;
    return detail::status_of(**one, id == at->primary_id, detail::nanoseconds_of(now));
  }

  /// Of all members, in order of joining. O(n), lock-free apart from the memory it allocates.
  [[nodiscard]] std::vector<replica_status> all_status(time_point now = Clock::now()) const {
    const auto at = router_.read();
    std::vector<replica_status> all;
    all.reserve(at->records.size());
    for (const auto& each : at->records)
      all.push_back(detail::status_of(*each, each->id == at->primary_id, detail::nanoseconds_of(now)));
    return all;
  }

  /// The members as a cluster: to drain, to eject, to check their health. What is added there is a replica.
  [[nodiscard]] cluster<T, Clock>& members() noexcept { return members_; }
  [[nodiscard]] const cluster<T, Clock>& members() const noexcept { return members_; }
  [[nodiscard]] Policy& policy() noexcept { return router_.policy(); }
  [[nodiscard]] const replica_set_options& options() const noexcept { return options_; }
  /// The number of the set in tokens, from its name; 0 when it has none.
  [[nodiscard]] std::uint16_t set() const noexcept { return set_; }

 private:
  using router = detail::replica_router<Policy>;
  using layout = typename router::layout;

  static std::uint16_t number_of(std::string_view name) noexcept {
    return name.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(1 + hash_of(name) % 0xffffU);
  }

  pick none(read_outcome why) const noexcept { return pick{why, {}, {.set = set_}}; }

  pick made_of(const layout& at, const candidate& one, read_outcome how) const noexcept {
    const detail::replica_origin origin{.kept = at.epochs.current().begin.load(std::memory_order_relaxed),
                                        .epoch = at.epochs.present(),
                                        .set = set_,
                                        .local_epoch = at.local_epochs};
    return pick{how, detail::token_access::make<T, Clock>(detail::pick_access::record(one)), origin};
  }

  template <class Pin>
  BANYAN_ALWAYS_INLINE const candidate* select(Pin& at, const detail::read_requirement& need,
                                               const pick_request& request, time_point now) noexcept {
    return router_.select(*at, at.thread(), readers_.of(at.thread().index()), need, request,
                          detail::nanoseconds_of(now));
  }

  pick from_primary(const layout& at, read_outcome how) noexcept {
    if (at.primary && at.primary_record->progress.left_epoch()) return none(read_outcome::newer_epoch);
    if (!at.primary || !detail::try_begin_use(detail::pick_access::record(*at.primary)))
      return none(read_outcome::no_primary);
    return made_of(at, *at.primary, how);
  }

  BANYAN_COLD pick otherwise(const layout& at, read_outcome asked, const read_options& options) noexcept {
    if (asked == read_outcome::primary) return from_primary(at, read_outcome::primary);
    if (asked != read_outcome::replica) return none(asked);
    if (options.fallback.value_or(options_.fallback) == read_fallback::refuse) return none(read_outcome::none_fresh);
    if (!at.primary || !at.primary_is_fit) return none(read_outcome::no_primary);
    if (at.has_replicas && options_.primary_share < 1 && !budget_.try_take()) return none(read_outcome::share_spent);
    return from_primary(at, read_outcome::fallback);
  }

  BANYAN_COLD pick waited(const consistency_token& session, const read_options& options, time_point began,
                          std::chrono::nanoseconds wait) noexcept {
    typename router::waiting one{router_, wait};
    for (;;) {
      one.look();
      {
        auto at = router_.try_read();
        if (!at) return none(read_outcome::out_of_memory);
        const auto elapsed = std::chrono::duration_cast<typename time_point::duration>(one.elapsed());
        const time_point now = began < time_point::max() - elapsed ? began + elapsed : time_point::max();
        detail::read_requirement need;
        const read_outcome asked =
            detail::requirement_of(options.consistency, session, set_, at->epochs, detail::nanoseconds_of(now), need);
        if (asked != read_outcome::replica) return otherwise(*at, asked, options);
        if (const candidate* const found = select(at, need, options.request, now))
          return made_of(*at, *found, read_outcome::replica);
        if (one.over()) return otherwise(*at, asked, options);
      }
      one.wait();
    }
  }

  replica_set_options options_;
  std::uint16_t set_;
  cluster<T, Clock> members_;
  router router_;
  detail::fallback_budget<> budget_;
  detail::replica_readers readers_;
};

}  // namespace banyan
