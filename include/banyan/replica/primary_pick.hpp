#pragma once

#include <utility>

#include <banyan/cluster/pick_token.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/primary_outcome.hpp>

namespace banyan {

/// One use of a member of a `primary_group`: a `pick_token`, with where it goes or why nowhere. As thread-safe as that
/// is.
template <class T, class Clock = steady_clock>
class primary_pick : public pick_token<T, Clock> {
 public:
  primary_pick() = default;
  primary_pick(primary_outcome how, pick_token<T, Clock> use) noexcept
      : pick_token<T, Clock>{std::move(use)}, how_{how} {}

  /// Where it goes, or why nowhere.
  [[nodiscard]] primary_outcome outcome() const noexcept { return how_; }

 private:
  primary_outcome how_ = primary_outcome::no_primary;
};

}  // namespace banyan
