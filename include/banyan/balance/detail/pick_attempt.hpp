#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/cluster/slow_start.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// Candidates that share a part of the picks.
template <class Policy>
struct pick_group {
  std::vector<candidate> candidates;
  typename Policy::table table;
  std::uint64_t up_to = 0;  // sum of the shares up to and with this one, of 2^32
};

/// One pick: draws a group, asks the policy for one of it, counts the use.
template <class Policy>
class pick_attempt {
 public:
  /// All of these outlive it.
  pick_attempt(Policy& policy, cluster_terms& common, const slow_start_options& slow_start,
               hazard_domain::thread_record& thread, pick_context& context) noexcept
      : policy_{policy}, common_{common}, slow_start_{slow_start}, thread_{thread}, context_{context} {}

  [[nodiscard]] pick_context& context() const noexcept { return context_; }

  /// A session's group is that of its endpoint; else one is drawn. There is at least one.
  template <class Groups>
  [[nodiscard]] BANYAN_ALWAYS_INLINE std::size_t group_for(const Groups& groups) const noexcept {
    return groups.size() == 1 ? 0 : one_of(groups);
  }

  /// The policy's choice, its use counted; null when it names nobody who will do. `may(place)`: that one would do.
  template <class Group, class May>
  [[nodiscard]] BANYAN_ALWAYS_INLINE const candidate* ask(const Group& from, May may) const noexcept {
    const std::uint32_t choice = policy_.choose(from.table, from.candidates, context_);
    if (choice == pick_context::none) [[unlikely]] {
      return nullptr;
    }
    if (may(choice) && takes(from.candidates[choice])) [[likely]] {
      return settled(from.candidates[choice]);
    }
    return ask_again(from, choice, may);
  }

  /// Goes through `all` from a random place on, so that they share what nobody else takes. The place of the first for
  /// which `may(place)` holds, its use counted, slow start or not; none when there is none.
  template <class May>
  [[nodiscard]] std::uint32_t search(std::span<const candidate> all, May may) const noexcept {
    const std::size_t start = random_below(context_, all.size());
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::size_t place = start + k < all.size() ? start + k : start + k - all.size();
      if (may(place) && begin(all[place])) return static_cast<std::uint32_t>(place);
    }
    return pick_context::none;
  }

  [[nodiscard]] bool avoided(const candidate& one) const noexcept {
    const endpoint_id avoid = context_.request().avoid;
    return avoid && one.id() == avoid;
  }

  /// Not to be avoided, and lets the request in if it is in slow start.
  [[nodiscard]] bool welcome(const candidate& one) const noexcept {
    if (avoided(one)) [[unlikely]] {
      return false;
    }
    return !pick_access::may_warm_up(one) || warm_enough(one);
  }

  /// Counts a use, unless it takes nothing new.
  [[nodiscard]] BANYAN_ALWAYS_INLINE bool begin(const candidate& one) const noexcept {
    if (endpoint_state::try_begin(pick_access::cells(one), common_.stripes, pick_access::stripe(context_),
                                  [&] { common_.domain->meet(thread_); })) [[likely]] {
      return true;
    }
    take_back(one);
    return false;
  }

  /// Tells the policy of one whose use has been counted; gives it back.
  const candidate* settled(const candidate& one) const noexcept {
    if constexpr (requires { policy_.settled(one, context_); }) policy_.settled(one, context_);
    return &one;
  }

 private:
  template <class Groups>
  [[nodiscard]] std::size_t one_of(const Groups& groups) const noexcept {
    if constexpr (requires { policy_.held(groups[0].table, std::span<const candidate>{}, context_); }) {
      for (std::size_t i = 0; i < groups.size(); ++i) {
        if (policy_.held(groups[i].table, groups[i].candidates, context_) != pick_context::none) return i;
      }
    }
    const std::optional<std::uint64_t>& key = context_.request().key;
    const std::uint64_t at = (key ? mix_bits(*key ^ 0x6a09e667f3bcc908U) : context_()) >> 32;
    std::size_t i = 0;
    while (i + 1 < groups.size() && groups[i].up_to <= at) ++i;
    return i;
  }

  [[nodiscard]] BANYAN_ALWAYS_INLINE bool takes(const candidate& one) const noexcept {
    return welcome(one) && begin(one);
  }

  template <class Group, class May>
  BANYAN_COLD const candidate* ask_again(const Group& from, std::uint32_t choice, May may) const noexcept {
    while (pick_access::refuse(context_, choice)) {
      choice = policy_.choose(from.table, from.candidates, context_);
      if (choice == pick_context::none) return nullptr;
      if (may(choice) && takes(from.candidates[choice])) return settled(from.candidates[choice]);
    }
    return nullptr;
  }

  BANYAN_COLD void take_back(const candidate& one) const noexcept {
    if (endpoint_state::end(pick_access::cells(one), common_.stripes, pick_access::stripe(context_),
                            [&] { common_.domain->meet(thread_); }))
      pick_access::record(one).settle();
  }

  BANYAN_COLD bool warm_enough(const candidate& one) const noexcept {
    endpoint_record& record = pick_access::record(one);
    const std::int64_t since = record.warming_since();
    if (since == endpoint_record::not_warming) return true;
    const std::chrono::nanoseconds age{add_sat(context_.now(), -since)};
    if (age >= slow_start_.window) {
      record.end_warm_up(since);
      return true;
    }
    // By key, where there is one: the same keys stay away until the fraction reaches them.
    const std::optional<std::uint64_t>& key = context_.request().key;
    const std::uint64_t drawn = key ? mix_bits(*key ^ one.name_hash()) : context_();
    return static_cast<double>(drawn >> 11) * 0x1p-53 < slow_start_fraction(age, slow_start_);
  }

  Policy& policy_;
  cluster_terms& common_;
  const slow_start_options& slow_start_;
  hazard_domain::thread_record& thread_;
  pick_context& context_;
};

}  // namespace banyan::detail
