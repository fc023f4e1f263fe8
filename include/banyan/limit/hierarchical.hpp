#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include <banyan/limit/rate_decision.hpp>

namespace banyan {

/// What may be a level of `hierarchical`: it can be asked without taking, and given back to.
template <class L>
concept rate_level = requires(L& level, std::uint64_t n, typename L::time_point now) {
  { level.look(n, now) } -> std::same_as<rate_decision>;
  { level.try_acquire(n, now) } -> std::same_as<rate_decision>;
  level.give_back(n, now, now);
};

/// Several limits at once, of user and tenant and everybody: admitted by all, or by none.
///
///     banyan::hierarchical limits{per_user.of(user), per_tenant.of(tenant), everybody};
///     if (limits.try_acquire()) ...
///
/// Limiters are referred to, and must outlive it; temporaries, such as what `keyed_limiter::of` gives, are kept. All
/// have one clock. It is cheap: made for each request.
///
/// All levels are asked first, so a refusal takes nothing anywhere. When a level refuses after all, because others took
/// its tokens in between, those that had admitted get their tokens back, less what would have flowed into a full bucket
/// meanwhile: no level ever admits more than it promises for it.
///
/// Lock-free, O(levels). Thread-safe as its levels are.
template <class... Levels>
requires(sizeof...(Levels) >= 1 && (rate_level<std::remove_reference_t<Levels>> && ...)) class hierarchical {
  using first_level = std::remove_reference_t<std::tuple_element_t<0, std::tuple<Levels...>>>;

 public:
  using clock = typename first_level::clock;
  using time_point = typename clock::time_point;
  static_assert((std::same_as<typename std::remove_reference_t<Levels>::clock, clock> && ...),
                "one clock for all levels");

  explicit hierarchical(Levels&&... levels) : levels_{std::forward<Levels>(levels)...} {}

  /// Takes `n` from every level, or from none. The decision: when refused, the longest of the levels' `retry_after`;
  /// when admitted, the least of what remains.
  rate_decision try_acquire(std::uint64_t n = 1, time_point now = clock::now()) {
    const rate_decision asked = ask(n, now, std::index_sequence_for<Levels...>{});
    return asked ? take<0>(n, now, asked.remaining()) : asked;
  }

 private:
  template <std::size_t... I>
  rate_decision ask(std::uint64_t n, time_point now, std::index_sequence<I...>) {
    rate_decision worst = rate_decision::admit(std::numeric_limits<std::uint64_t>::max());
    const auto weigh = [&worst](const rate_decision& each) {
      if (each.retry_after() > worst.retry_after() || (each && worst && each.remaining() < worst.remaining())) {
        worst = each;
      }
    };
    (weigh(std::get<I>(levels_).look(n, now)), ...);
    return worst;
  }

  template <std::size_t I>
  rate_decision take(std::uint64_t n, time_point now, std::uint64_t remaining) {
    if constexpr (I == sizeof...(Levels)) {
      return rate_decision::admit(remaining);
    } else {
      const rate_decision mine = std::get<I>(levels_).try_acquire(n, now);
      if (!mine) return mine;
      const rate_decision others = take<I + 1>(n, now, remaining);
      if (!others) std::get<I>(levels_).give_back(n, now, clock::now());
      return others;
    }
  }

  std::tuple<Levels...> levels_;
};

template <class... Levels>
hierarchical(Levels&&...) -> hierarchical<Levels...>;

}  // namespace banyan
