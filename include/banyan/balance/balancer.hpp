#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/balancer_options.hpp>
#include <banyan/balance/detail/traffic_plan.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/pick_token.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/process_seed.hpp>
#include <banyan/core/published.hpp>
#include <banyan/core/random.hpp>

namespace banyan {

/// Picks an endpoint of a cluster for each request, by a policy, without a lock.
///
///     banyan::balancer<backend, banyan::peak_ewma> lb{web};
///     if (auto pick = lb.pick()) {
///       auto reply = call(pick->address);
///       reply.ok ? pick.succeeded(reply.latency) : pick.failed();
///     }
///
/// What may be picked is laid out anew whenever the cluster changes: which priorities take which share, who is in the
/// caller's zone, and for each of these groups the policy's own table. A pick then draws a group, if there are several,
/// asks the policy, and counts the use. An endpoint in slow start refuses some of its picks, so that it gets its
/// fraction with every policy; those go elsewhere.
///
/// Thread-safe. `pick` is lock-free and does not allocate: wait-free, O(1) while nobody refuses, beyond what the policy
/// says of itself; otherwise it goes through the endpoints once. The thread's first use of the cluster's hazard domain
/// allocates; if that fails, nobody is picked. A thread that stops in the middle of a pick keeps one old layout alive.
///
/// May outlive the cluster, which then stays as it was.
template <class T, balance_policy Policy, class Clock = steady_clock>
class balancer final : detail::membership_observer {
 public:
  using policy_type = Policy;
  using time_point = typename Clock::time_point;
  using token = pick_token<T, Clock>;

  /// Throws `std::invalid_argument` when an option is out of its range, what the policy throws, and `std::bad_alloc`.
  explicit balancer(cluster<T, Clock>& members, Policy policy = Policy{}, const balancer_options& options = {})
      : policy_{std::move(policy)},
        options_{options},
        slow_start_{members.slow_start()},
        roster_{detail::cluster_access::roster(members)},
        terms_{roster_->terms()},
        layout_{layout{}, *terms_->domain} {
    detail::check(options);
    splitmix64 seeds{options.seed != 0 ? options.seed : process_seed() ^ reinterpret_cast<std::uintptr_t>(this)};
    for (std::size_t i = 0; i < sequences_.size(); ++i) sequences_[i].set_up(seeds(), i == own_sequences, started_);
    roster_->watch(*this);
  }

  balancer(const balancer&) = delete;
  balancer& operator=(const balancer&) = delete;
  ~balancer() { roster_->unwatch(*this); }

  /// An endpoint for a request; empty when nobody can take it. The clock is read only if the policy or slow start ask
  /// for the time.
  [[nodiscard]] token pick(const pick_request& request = {}) noexcept {
    return pick_by(request, [](pick_context&) {});
  }

  /// As above with the caller's time.
  [[nodiscard]] token pick(const pick_request& request, time_point now) noexcept {
    return pick_by(request, [now](pick_context& context) { access::set_now(context, detail::nanoseconds_of(now)); });
  }

  /// How many endpoints may be picked at present, or in a panic, might be. O(1), lock-free.
  [[nodiscard]] std::size_t candidates() const { return layout_.read()->candidates; }

  [[nodiscard]] Policy& policy() noexcept { return policy_; }
  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

 private:
  using access = detail::pick_access;

  static constexpr std::size_t own_sequences = 64;

  struct group {
    std::vector<candidate> candidates;
    typename Policy::table table;
    std::uint64_t up_to;  // sum of the shares up to and with this one, of 2^32
  };

  struct layout {
    std::vector<group> groups;
    std::vector<candidate> spare;
    std::size_t candidates = 0;
    std::shared_ptr<const detail::member_list> members;  // keeps the records alive
  };

  class next_layout final : public detail::pending_change {
   public:
    next_layout(published<layout>& target, layout next, hazard_domain& domain)
        : target_{target}, next_{std::move(next), domain} {}
    void commit() noexcept override { target_.commit(next_); }

   private:
    published<layout>& target_;
    typename published<layout>::staged next_;
  };

  std::unique_ptr<detail::pending_change> prepare(const std::shared_ptr<const detail::member_list>& members) override {
    layout next;
    next.members = members;
    detail::traffic_plan plan = detail::plan_traffic(*members, options_, slow_start_.window.count() > 0);
    next.spare = std::move(plan.spare);
    for (detail::traffic_share& share : plan.shares) {
      next.candidates += share.candidates.size();
      auto table = policy_.build(std::span<const candidate>{share.candidates});
      next.groups.push_back({std::move(share.candidates), std::move(table), share.up_to});
    }
    return std::make_unique<next_layout>(layout_, std::move(next), *terms_->domain);
  }

  static std::int64_t read_clock() { return detail::nanoseconds_of(Clock::now()); }

  template <class SetTime>
  BANYAN_ALWAYS_INLINE token pick_by(const pick_request& request, SetTime set_time) noexcept {
    auto now = layout_.try_read();
    if (!now) [[unlikely]] {
      return {};
    }
    const std::vector<group>& groups = now->groups;
    if (groups.empty()) [[unlikely]] {
      return {};
    }
    hazard_domain::thread_record& thread = now.thread();
    const std::uint32_t index = thread.index();
    pick_context context = access::make_context(request, sequences_[index < own_sequences ? index : own_sequences],
                                                terms_->stripe_of(thread), &read_clock);
    set_time(context);
    const std::size_t first = groups.size() == 1 ? 0 : group_for(groups, context);
    const group& from = groups[first];
    const std::uint32_t choice = policy_.choose(from.table, from.candidates, context);
    if (choice != pick_context::none) [[likely]] {
      const candidate& one = from.candidates[choice];
      if (welcome(one, context) && begin(one, thread, context)) [[likely]] {
        return token_for(one, context);
      }
    }
    return pick_another(*now, first, choice, thread, context);
  }

  // A session's endpoint may be in any group; else one is drawn.
  std::size_t group_for(const std::vector<group>& groups, pick_context& context) noexcept {
    if constexpr (requires { policy_.held(groups[0].table, std::span<const candidate>{}, context); }) {
      for (std::size_t i = 0; i < groups.size(); ++i) {
        if (policy_.held(groups[i].table, groups[i].candidates, context) != pick_context::none) return i;
      }
    }
    return draw(groups, context);
  }

  static std::size_t draw(const std::vector<group>& groups, pick_context& context) noexcept {
    const std::optional<std::uint64_t>& key = context.request().key;
    const std::uint64_t at = (key ? mix_bits(*key ^ 0x6a09e667f3bcc908U) : context()) >> 32;
    std::size_t i = 0;
    while (i + 1 < groups.size() && groups[i].up_to <= at) ++i;
    return i;
  }

  // The endpoint is not to be avoided, and lets the request in if it is in slow start.
  [[nodiscard]] bool welcome(const candidate& one, pick_context& context) const noexcept {
    const pick_request& request = context.request();
    if (request.avoid && one.id() == request.avoid) [[unlikely]] {
      return false;
    }
    return !access::may_warm_up(one) || warm_enough(one, context);
  }

  BANYAN_COLD bool warm_enough(const candidate& one, pick_context& context) const noexcept {
    const std::int64_t since = access::record(one).warming_since();
    if (since == detail::endpoint_record::not_warming) return true;
    const std::chrono::nanoseconds age{context.now() - since};
    if (age >= slow_start_.window) {
      access::record(one).end_warm_up(since);
      return true;
    }
    // By key, where there is one: the same keys stay away until the fraction reaches them.
    const std::optional<std::uint64_t>& key = context.request().key;
    const std::uint64_t drawn = key ? mix_bits(*key ^ one.name_hash()) : context();
    return static_cast<double>(drawn >> 11) * 0x1p-53 < slow_start_fraction(age, slow_start_);
  }

  BANYAN_ALWAYS_INLINE bool begin(const candidate& one, hazard_domain::thread_record& thread,
                                  pick_context& context) const noexcept {
    if (detail::endpoint_state::try_begin(access::cells(one), terms_->stripes, access::stripe(context),
                                          [&] { terms_->domain->meet(thread); })) [[likely]] {
      return true;
    }
    if (detail::endpoint_state::end(access::cells(one), terms_->stripes, access::stripe(context),
                                    [&] { terms_->domain->meet(thread); }))
      access::record(one).settle();
    return false;
  }

  BANYAN_ALWAYS_INLINE token token_for(const candidate& one, pick_context& context) noexcept {
    if constexpr (requires { policy_.settled(one, context); }) policy_.settled(one, context);
    return detail::token_access::make<T, Clock>(access::record(one));
  }

  // The first choice was refused: ask again, then take whoever there is, first of this group, then of the others, then
  // of those who are not needed; the one to avoid last.
  BANYAN_COLD token pick_another(const layout& now, std::size_t first, std::uint32_t choice,
                                 hazard_domain::thread_record& thread, pick_context& context) noexcept {
    const group& from = now.groups[first];
    while (choice != pick_context::none && access::refuse(context, choice)) {
      choice = policy_.choose(from.table, from.candidates, context);
      if (choice == pick_context::none) break;
      const candidate& one = from.candidates[choice];
      if (welcome(one, context) && begin(one, thread, context)) return token_for(one, context);
    }
    const bool settle_for_avoided = context.request().avoid && !options_.avoid_strictly;
    for (const bool avoided : {false, true}) {
      if (avoided && !settle_for_avoided) break;
      for (std::size_t i = 0; i <= now.groups.size(); ++i) {
        const bool spare = i == now.groups.size();
        const auto& all = spare ? now.spare : now.groups[(first + i) % now.groups.size()].candidates;
        if (const candidate* const one = any_of(all, avoided, thread, context)) return token_for(*one, context);
      }
    }
    return {};
  }

  // From a random place on, so that they share what nobody else takes.
  const candidate* any_of(const std::vector<candidate>& all, bool avoided, hazard_domain::thread_record& thread,
                          pick_context& context) const noexcept {
    const std::size_t start = random_below(context, all.size());
    for (std::size_t k = 0; k < all.size(); ++k) {
      const candidate& one = all[start + k < all.size() ? start + k : start + k - all.size()];
      if ((one.id() == context.request().avoid) == avoided && begin(one, thread, context)) return &one;
    }
    return nullptr;
  }

  Policy policy_;
  balancer_options options_;
  slow_start_options slow_start_;
  std::shared_ptr<detail::roster> roster_;
  std::shared_ptr<detail::cluster_terms> terms_;
  std::array<detail::thread_sequence, own_sequences + 1> sequences_;
  alignas(cache_line_size) published<layout> layout_;
  std::atomic<std::uint32_t> started_{0};
};

}  // namespace banyan
