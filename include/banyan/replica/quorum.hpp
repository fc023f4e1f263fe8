#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/replica/detail/vote_count.hpp>

namespace banyan {

enum class quorum_state : std::uint8_t {
  pending,     ///< not decided yet
  reached,     ///< as many have acknowledged as are needed
  impossible,  ///< so many have refused that it cannot be reached any more
};

namespace detail {

struct quorum_votes {
  quorum_votes(std::uint32_t needed, std::uint32_t total, task decided)
      : count{needed, total}, on_decision{std::move(decided)} {}

  void cast(bool yes) {
    using decision = vote_count<>::decision;
    const decision made = count.cast(yes);
    if (made == decision::none) return;
    const auto state = made == decision::reached ? quorum_state::reached : quorum_state::impossible;
    outcome.value().store(static_cast<std::uint32_t>(state), std::memory_order_release);  // (1) pairs with (2)
    outcome.notify_all();
    if (task call = std::move(on_decision)) call();
  }

  [[nodiscard]] quorum_state state() const noexcept {
    return static_cast<quorum_state>(outcome.value().load(std::memory_order_acquire));  // (2) pairs with (1)
  }

  vote_count<> count;
  parking_word outcome{static_cast<std::uint32_t>(quorum_state::pending)};
  std::atomic<std::uint64_t> handed_out{0};
  task on_decision;  // of the one who decides
};

}  // namespace detail

/// One member's say in a `quorum`, used up by `acknowledge` or `refuse`. One that dies unused has refused: silence is
/// no acknowledgement. May outlive the quorum. One thread at a time.
class quorum_vote {
 public:
  /// Nobody's: saying something has no effect.
  quorum_vote() = default;
  quorum_vote(quorum_vote&& other) noexcept = default;
  quorum_vote& operator=(quorum_vote&& other) {
    if (this != &other) {
      refuse();
      votes_ = std::move(other.votes_);
    }
    return *this;
  }
  ~quorum_vote() {
#if defined(__cpp_exceptions)
    try {
      refuse();
    } catch (...) {  // the callback's: there is nobody to tell
    }
#else
    refuse();
#endif
  }

  [[nodiscard]] explicit operator bool() const noexcept { return votes_ != nullptr; }

  /// Wait-free, apart from what the deciding vote does: it wakes those who wait and runs the callback, whose exceptions
  /// it lets through.
  void acknowledge() { say(true); }
  /// As `acknowledge`.
  void refuse() { say(false); }

 private:
  friend class quorum;
  explicit quorum_vote(std::shared_ptr<detail::quorum_votes> votes) noexcept : votes_{std::move(votes)} {}

  void say(bool yes) {
    if (const auto votes = std::move(votes_)) votes->cast(yes);
  }

  std::shared_ptr<detail::quorum_votes> votes_;
};

/// Waits until k of n have acknowledged, as a synchronous write does:
///
///     banyan::quorum written{2, 3};
///     for (auto& replica : replicas) replica.append(entry, [v = written.vote()](bool ok) mutable {
///       ok ? v.acknowledge() : v.refuse();
///     });
///     if (written.wait_for(200ms) != banyan::quorum_state::reached) ...  // not known to be durable
///
/// Known as soon as it can be: with the k-th acknowledgement, or with the refusal that leaves too few. A vote that
/// comes later than the decision, or than the end of the quorum, is counted and changes nothing.
///
/// What is not reached in time has not failed: the write may have been done, and may still come to be on any number of
/// members. With n members, writes that k acknowledged and reads that ask r have one in common when k + r > n.
///
/// Thread-safe. Each member has its own vote, so no one's can count twice.
class quorum {
 public:
  /// `needed` from 1 to `total`. `on_decision`, if any, is run once, by the thread whose vote decides, also when the
  /// quorum is gone by then; never when it stays undecided. Throws `std::invalid_argument`, `std::bad_alloc`.
  quorum(std::uint32_t needed, std::uint32_t total, task on_decision = {}) {
    if (total == 0) invalid_option("quorum.total", total, "must be at least 1");
    if (needed == 0 || needed > total) invalid_option("quorum.needed", needed, "must be from 1 to quorum.total");
    votes_ = std::make_shared<detail::quorum_votes>(needed, total, std::move(on_decision));
  }
  quorum(const quorum&) = delete;
  quorum& operator=(const quorum&) = delete;
  ~quorum() = default;

  /// The next member's. After `total` of them, empty ones. Wait-free.
  [[nodiscard]] quorum_vote vote() noexcept {
    // relaxed: a number to count up to, and no more.
    if (votes_->handed_out.fetch_add(1, std::memory_order_relaxed) >= votes_->count.total()) return {};
    return quorum_vote{votes_};
  }

  /// Wait-free.
  [[nodiscard]] quorum_state state() const noexcept { return votes_->state(); }
  /// How many have said yes so far; can be above `needed`. Wait-free.
  [[nodiscard]] std::uint32_t acknowledged() const noexcept { return votes_->count.yes(); }
  /// How many have said no so far. Wait-free.
  [[nodiscard]] std::uint32_t refused() const noexcept { return votes_->count.no(); }

  /// Blocks until it is decided, or `until`. May be asked again, by any number of threads.
  quorum_state wait_until(steady_clock::time_point until) noexcept {
    (void)votes_->outcome.wait_until(static_cast<std::uint32_t>(quorum_state::pending), until);
    return state();
  }

  /// As `wait_until`, from now; without an end for times beyond the clock's.
  quorum_state wait_for(std::chrono::nanoseconds at_most) noexcept { return wait_until(deadline::in(at_most).at()); }

 private:
  std::shared_ptr<detail::quorum_votes> votes_;
};

}  // namespace banyan
