#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/limit/hedge.hpp>
#include <banyan/limit/hedged_call.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/hedged_read_failure.hpp>
#include <banyan/replica/read_options.hpp>
#include <banyan/replica/replica_set.hpp>

namespace banyan {

namespace detail {

/// A pick that is reported on when the attempt there ends.
template <class Pick>
class attempted_pick {
 public:
  attempted_pick(Pick where, const hedge_attempt& attempt, deadline until) noexcept
      : where_{std::move(where)}, attempt_{attempt}, until_{until} {}
  attempted_pick(const attempted_pick&) = delete;
  attempted_pick& operator=(const attempted_pick&) = delete;
  ~attempted_pick() {
    const std::chrono::nanoseconds elapsed = steady_clock::now() - began_;
    const bool cancelled = attempt_.cancelled();
    if (cancelled && until_.expired()) {
      where_.unanswered(elapsed);
    } else if (answered_) {
      where_.succeeded(elapsed);  // overtaken or not: a replica that always is must not look fast
    } else if (!cancelled) {
      where_.failed(elapsed);
    }
  }

  [[nodiscard]] const Pick& where() const noexcept { return where_; }
  void answered() noexcept { answered_ = true; }

 private:
  Pick where_;
  const hedge_attempt& attempt_;
  deadline until_;
  steady_clock::time_point began_ = steady_clock::now();
  bool answered_ = false;
};

/// The attempts at one read: where they go, and what each has seen.
template <class Pick, class F>
struct read_attempts {
  static constexpr std::size_t most = 2;
  using value = std::remove_cvref_t<std::invoke_result_t<F&, const Pick&, consistency_token&, const hedge_attempt&>>;
  static_assert(!std::is_void_v<value>, "the function returns what is read");
  struct answer {
    value got;
    consistency_token session;
  };

  answer operator()(const hedge_attempt& attempt) {
    attempted_pick<Pick> mine{std::move(picks[attempt.number]), attempt, until};
    consistency_token seen = session;
    value got = std::invoke(function, mine.where(), seen, attempt);
    mine.answered();
    return {std::move(got), seen};
  }

  F function;
  consistency_token session;
  deadline until;
  std::array<Pick, most> picks{};
};

}  // namespace detail

/// Reads from a member that has what `options` ask for, and from another replica that has it when that takes longer
/// than most reads do and `policy` lets it; returns the first value there is.
///
///     banyan::hedge reads{{.percentile = 0.95, .max_extra = 0.05}};
///     auto row = banyan::hedged_read(users, session, reads, threads,
///         [key](const auto& r, banyan::consistency_token& seen, const banyan::hedge_attempt& attempt) {
///           auto reply = r->query(key, attempt.flag);
///           r.observed(seen, reply.position);
///           return reply.row;
///         }, {.consistency = banyan::read_your_writes});
///
/// The second attempt never goes to the primary and never waits for a replica to catch up; where there is no other
/// replica that has what is asked for, there is none, and it costs no budget. Each attempt has a token of its own;
/// that of the one that won becomes `session`, which nobody touches before that. The picks are reported on: the latency
/// of an attempt that brought a value, overtaken or not, `failed` when `function` threw, `unanswered` when it went on
/// beyond `until`, and nothing when it threw after it had been overtaken.
///
/// As with `hedged_call`, `function` may be running on two threads at once, and after this has returned, so it must own
/// what it uses. The set and the session are not used after that. Blocking, up to `until`. Throws `std::bad_alloc`
/// before anything runs.
template <class T, balance_policy Policy, class Clock, executor Executor, class F>
[[nodiscard]] auto hedged_read(replica_set<T, Policy, Clock>& users, consistency_token& session, hedge& policy,
                               Executor& runs, F function, const read_options& options = {},
                               deadline until = current_deadline()) {
  using pick = typename replica_set<T, Policy, Clock>::pick;
  using attempts = detail::read_attempts<pick, F>;
  using result = expected<typename attempts::value, hedged_read_failure>;

  read_options how = options;
  how.wait = std::min(options.wait.value_or(users.options().wait), until.remaining());
  pick first = users.read(session, how);
  const read_outcome went = first.outcome();
  if (!first) return result{unexpected{hedged_read_failure{.outcome = went}}};
  how.wait = std::chrono::nanoseconds{0};
  how.fallback = read_fallback::refuse;
  how.request.avoid = first.id();

  const auto work = std::make_shared<detail::hedged_work<attempts, typename attempts::answer>>(
      attempts{std::move(function), session, until});
  auto& picks = work->function.picks;
  picks[0] = std::move(first);
  auto outcome =
      detail::run_hedged(policy, runs, work, {.until = until, .max_attempts = attempts::most}, [&](auto may_send) {
        pick another = users.read(session, how);
        if (another.outcome() != read_outcome::replica || another.id() == how.request.avoid || !may_send())
          return false;
        picks[1] = std::move(another);
        return true;
      });
  if (!outcome) return result{unexpected{hedged_read_failure{.outcome = went, .attempts = std::move(outcome.error())}}};
  session = outcome->session;
  return result{std::move(outcome->got)};
}

}  // namespace banyan
