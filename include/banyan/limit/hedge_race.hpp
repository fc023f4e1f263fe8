#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <banyan/core/cancellation.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/limit/detail/race_state.hpp>

namespace banyan {

/// Why a race brought no value.
enum class hedge_end {
  failed,     ///< every attempt has failed
  timed_out,  ///< the caller waited no longer
  cancelled,  ///< the caller gave up
};

/// A race that brought no value, and what its attempts threw before it was over.
struct hedge_failure {
  static constexpr std::size_t most_attempts = detail::race_state<>::most;

  hedge_end why = hedge_end::failed;
  std::size_t attempts = 0;
  /// By attempt; null for one that gave no reason, or was still running.
  std::array<std::exception_ptr, most_attempts> errors{};

  /// The error of the first attempt that has one; null if there is none. `std::rethrow_exception` throws it.
  [[nodiscard]] std::exception_ptr first_error() const noexcept {
    for (const std::exception_ptr& each : errors) {
      if (each != nullptr) return each;
    }
    return nullptr;
  }
};

/// Attempts at the same thing, of which the first success wins: it is handed to `done`, the others are told by their
/// cancellation. Failures count only when all attempts that were started have failed. For event loops and callbacks;
/// `hedged_call` waits.
///
///     auto race = banyan::hedge_race<reply>::start([](auto result, std::size_t attempt) { ... });
///     auto first = race.enter();                          // hand it to whoever brings the answer
///     first.succeeded(answer);  first.failed(error);      // on any thread; its end without either counts as failed
///     // when *delay has passed:
///     if (!race.over() && policy.try_send())
///       if (auto second = race.enter()) ...               // false: it was decided meanwhile
///
/// `done(expected<Value, hedge_failure>, std::size_t attempt)` is called exactly once, on the thread that ends the
/// race, under no lock, after the others have been told; `attempt` is the number of the winner, or of attempts started.
/// It is kept until the last attempt and handle are gone. What it throws goes to whoever reported; it is lost where an
/// attempt dies without a report.
///
/// A handle: copies name the same race. Thread-safe; lock-free, O(1), apart from the callbacks and `cancellation`.
/// Starting allocates.
template <class Value>
class hedge_race {
 public:
  using result = expected<Value, hedge_failure>;
  static constexpr std::size_t most_attempts = hedge_failure::most_attempts;

 private:
  struct shared {
    shared() = default;
    shared(const shared&) = delete;
    shared& operator=(const shared&) = delete;
    virtual ~shared() = default;
    virtual void finish(result&& outcome, std::size_t attempt) = 0;

    void tell_others(std::size_t but) noexcept {
      for (std::size_t i = 0; i < cancelled.size(); ++i) {
        if (i != but) cancelled[i].request();
      }
    }

    [[nodiscard]] hedge_failure failure(hedge_end why) const {
      hedge_failure all{.why = why, .attempts = state.started()};
      // Of those counted as failed, and only of those, the error is written for good.
      for (std::uint32_t i = 0; i < errors.size(); ++i) {
        if (state.has_failed(i)) all.errors[i] = errors[i];
      }
      return all;
    }

    void end(hedge_end why) {
      tell_others(most_attempts);
      hedge_failure all = failure(why);
      const std::size_t attempts = all.attempts;
      finish(result{unexpected{std::move(all)}}, attempts);
    }

    detail::race_state<> state;
    std::array<cancellation, most_attempts> cancelled{};
    std::array<std::exception_ptr, most_attempts> errors{};
  };

  template <class Done>
  struct shared_with final : shared {
    explicit shared_with(Done&& given) : done(std::move(given)) {}
    void finish(result&& outcome, std::size_t attempt) override { done(std::move(outcome), attempt); }
    Done done;
  };

 public:
  /// One attempt: its first report counts. Move-only; one thread at a time, apart from `cancelled` and `flag`, which
  /// are for those that `enter` gave.
  class attempt {
   public:
    /// None.
    attempt() = default;
    attempt(attempt&& other) noexcept = default;
    attempt& operator=(attempt&& other) noexcept {
      if (this != &other) {
        drop();
        race_ = std::move(other.race_);
        number_ = other.number_;
        reported_ = other.reported_;
      }
      return *this;
    }
    /// Without a report it has failed.
    ~attempt() { drop(); }

    /// Whether it is there to be reported on.
    [[nodiscard]] explicit operator bool() const noexcept { return race_ != nullptr && !reported_; }
    /// From 0.
    [[nodiscard]] std::size_t number() const noexcept { return number_; }
    /// Whether the race is over, so that nobody wants the result. Wait-free.
    [[nodiscard]] bool cancelled() const noexcept { return flag().requested(); }
    /// The same as a flag, for `on_cancel`; lives as long as this.
    [[nodiscard]] cancellation& flag() const noexcept { return race_->cancelled[number_]; }

    /// True if this has won; else the value is gone. If moving the value throws, nothing is reported yet.
    bool succeeded(Value value) {
      if (!*this) return false;
      result outcome{std::in_place, std::move(value)};  // while it may throw and still fail
      const std::shared_ptr<shared> race = report();
      const std::size_t number = number_;
      if (!race->state.win()) return false;
      race->tell_others(number);
      race->finish(std::move(outcome), number);
      return true;
    }

    /// True if that was the last.
    bool failed(const std::exception_ptr& error = nullptr) {
      if (!*this) return false;
      const std::shared_ptr<shared> race = report();
      race->errors[number_] = error;
      if (!race->state.fail(number_)) return false;
      race->end(hedge_end::failed);
      return true;
    }

   private:
    friend hedge_race;
    attempt(std::shared_ptr<shared> race, std::uint32_t number) noexcept : race_{std::move(race)}, number_{number} {}

    // Its own hold of the race stays, for `flag`; a callback may destroy this attempt.
    [[nodiscard]] std::shared_ptr<shared> report() noexcept {
      reported_ = true;
      return race_;
    }

    void drop() noexcept {
      static_cast<void>(detail::caught([this] { failed(); }));
    }

    std::shared_ptr<shared> race_{};
    std::uint32_t number_ = 0;
    bool reported_ = false;
  };

  template <class Done>
  [[nodiscard]] static hedge_race start(Done done) {
    return hedge_race{std::make_shared<shared_with<Done>>(std::move(done))};
  }

  /// Another attempt; none (false) when the race is over, or there were `most_attempts`.
  [[nodiscard]] attempt enter() const noexcept {
    const std::optional<std::uint32_t> number = race_->state.enter();
    return number.has_value() ? attempt{race_, *number} : attempt{};
  }

  /// Ends the race without a value; false if it was over.
  bool abandon(hedge_end why) const {
    if (!race_->state.win()) return false;
    race_->end(why);
    return true;
  }

  /// Wait-free.
  [[nodiscard]] bool over() const noexcept { return race_->state.over(); }
  /// How many attempts failed before the end. Wait-free.
  [[nodiscard]] std::size_t failures() const noexcept { return race_->state.failures(); }

 private:
  explicit hedge_race(std::shared_ptr<shared> race) noexcept : race_{std::move(race)} {}
  std::shared_ptr<shared> race_;
};

}  // namespace banyan
