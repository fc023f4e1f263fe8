#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/shard/detail/gather_run.hpp>
#include <banyan/shard/gather_error.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// How one shard fared.
template <class E>
struct shard_outcome {
  shard_id shard = no_shard;
  std::size_t keys = 0;                    ///< how many it was asked for
  std::optional<gather_error<E>> error{};  ///< nothing: it has answered
};

/// What `scatter_gather` brings back.
template <class T, class E>
struct gathered {
  std::vector<expected<T, gather_error<E>>> values{};  ///< one for each key, in the order asked
  std::vector<shard_outcome<E>> shards{};              ///< those that were asked, by number

  /// Whether every key has its answer. O(keys).
  [[nodiscard]] bool complete() const noexcept {
    return std::all_of(values.begin(), values.end(), [](const auto& each) { return each.has_value(); });
  }
};

namespace detail {

template <class R>
inline constexpr bool is_expected_vector = false;
template <class T, class E>
inline constexpr bool is_expected_vector<expected<std::vector<T>, E>> = true;

template <class R>
inline constexpr bool is_expected = false;
template <class T, class E>
inline constexpr bool is_expected<expected<T, E>> = true;

template <class E, class F>
unexpected<gather_error<E>> gather_failure(F&& cause) {
  return unexpected<gather_error<E>>{gather_error<E>{gather_fault::failed, std::forward<F>(cause), nullptr}};
}

}  // namespace detail

/// Asks several shards at once: calls `call(shard)` for each on the executor, and returns what they said, in the order
/// given. `call` returns `expected<T, E>`; each answer is then `expected<T, gather_error<E>>`.
///
///     auto tops = banyan::scatter_to(router.shards(), pool, [=](banyan::shard_id s) { return top_ten(s); }, until);
///
/// Blocks until all have answered, or until `until`, and then returns what there is. A call under way at that
/// moment goes on; its answer is dropped. So `call`, of which the tasks share one copy, must own what it uses; it may
/// be called by several threads at once, and die on any of them. A task that has not begun by then does nothing. An
/// executor that runs tasks in `execute` runs them one after the other, and none is begun after that.
///
/// Throws `std::bad_alloc`; what `call` and the executor throw becomes an error.
template <executor Executor, class Call>
requires std::invocable<Call&, shard_id> && detail::is_expected<std::invoke_result_t<Call&, shard_id>>
[[nodiscard]] auto scatter_to(std::span<const shard_id> shards, Executor&& where, Call call,
                              steady_clock::time_point until = steady_clock::time_point::max()) {
  using result = std::invoke_result_t<Call&, shard_id>;
  using value = typename result::value_type;
  using error = typename result::error_type;
  using answer = expected<value, gather_error<error>>;
  auto one = [call = std::move(call),
              ids = std::vector<shard_id>(shards.begin(), shards.end())](std::size_t index) mutable -> answer {
    result got = call(ids[index]);
    if (!got) return detail::gather_failure<error>(std::move(got).error());
    return answer{std::move(*got)};
  };
  return detail::gather<value, error>(shards.size(), where, std::move(one), until);
}

/// Looks keys up wherever they are: splits them by shard, calls `call(shard, keys)` for each shard on the executor, and
/// puts the answers in the order of the keys.
///
///     auto rows = banyan::scatter_gather(router, ids, pool,
///         [&](banyan::shard_id s, std::span<const std::uint64_t> keys) { return select(s, keys); }, now + 50ms);
///
/// `call` returns `expected<std::vector<T>, E>` with one T for each key, in their order. A key that comes twice is
/// asked for twice. Where a shard fails, its keys have its error and the others their values. For the rest see
/// `scatter_to`; the keys are copied, so that late tasks have their own.
///
/// O(keys log shards), besides the calls.
template <class Router, std::ranges::input_range Keys, executor Executor, class Call>
requires router_for<Router, std::ranges::range_value_t<Keys>> &&
    detail::is_expected_vector<std::invoke_result_t<Call&, shard_id, std::span<const std::ranges::range_value_t<Keys>>>>
[[nodiscard]] auto scatter_gather(const Router& router, const Keys& keys, Executor&& where, Call call,
                                  steady_clock::time_point until = steady_clock::time_point::max()) {
  using key = std::ranges::range_value_t<Keys>;
  using result = std::invoke_result_t<Call&, shard_id, std::span<const key>>;
  using value = typename result::value_type::value_type;
  using error = typename result::error_type;
  using failure = unexpected<gather_error<error>>;
  struct part {
    shard_id shard;
    std::vector<key> keys{};
  };
  struct place {  // where a key's answer will be
    std::size_t part = 0;
    std::size_t index = 0;
    bool known = false;
  };

  std::vector<part> by_shard;
  for (const shard_id id : router.shards()) by_shard.push_back({id});
  std::vector<place> places;
  for (const key& each : keys) {
    const shard_id id = router.route(each);
    const auto at = std::ranges::lower_bound(by_shard, id, {}, &part::shard);
    if (at == by_shard.end() || at->shard != id) {
      places.push_back({});
      continue;
    }
    places.push_back({static_cast<std::size_t>(at - by_shard.begin()), at->keys.size(), true});
    at->keys.push_back(each);
  }
  std::vector<std::size_t> asked;  // the parts that have keys
  for (std::size_t i = 0; i < by_shard.size(); ++i) {
    if (!by_shard[i].keys.empty()) asked.push_back(i);
  }

  const auto parts = std::make_shared<const std::vector<part>>(std::move(by_shard));
  auto one = [call = std::move(call), parts,
              asked](std::size_t index) mutable -> expected<std::vector<value>, gather_error<error>> {
    const part& mine = (*parts)[asked[index]];
    result got = call(mine.shard, std::span<const key>{mine.keys});
    if (!got) return detail::gather_failure<error>(std::move(got).error());
    if (got->size() != mine.keys.size()) {
      return failure{gather_error<error>{gather_fault::wrong_size, std::nullopt, nullptr}};
    }
    return std::move(*got);
  };
  auto answers = detail::gather<std::vector<value>, error>(asked.size(), where, std::move(one), until);

  gathered<value, error> all;
  std::vector<std::size_t> answer_of(parts->size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    answer_of[asked[i]] = i;
    const part& mine = (*parts)[asked[i]];
    all.shards.push_back({mine.shard, mine.keys.size(), std::nullopt});
    if (!answers[i]) all.shards.back().error.emplace(answers[i].error());
  }
  all.values.reserve(places.size());
  for (const place& each : places) {
    if (!each.known) {
      all.values.emplace_back(failure{gather_error<error>{gather_fault::unrouted, std::nullopt, nullptr}});
    } else if (auto& answer = answers[answer_of[each.part]]; answer) {
      all.values.emplace_back(std::in_place, std::move((*answer)[each.index]));
    } else {
      all.values.emplace_back(failure{answer.error()});
    }
  }
  return all;
}

}  // namespace banyan
