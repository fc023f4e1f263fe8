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
#include <banyan/balance/detail/pick_attempt.hpp>
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

  using attempt = detail::pick_attempt<Policy>;

  struct layout {
    std::vector<detail::pick_group<Policy>> groups;
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
    if (!now || now->groups.empty()) [[unlikely]] {
      return {};
    }
    hazard_domain::thread_record& thread = now.thread();
    const std::uint32_t index = thread.index();
    pick_context context = access::make_context(request, sequences_[index < own_sequences ? index : own_sequences],
                                                terms_->stripe_of(thread), &read_clock);
    set_time(context);
    const attempt trying{policy_, *terms_, slow_start_, thread, context};
    const std::size_t first = trying.group_for(now->groups);
    if (const candidate* const one = trying.ask(now->groups[first], [](std::uint32_t) { return true; })) [[likely]] {
      return detail::token_access::make<T, Clock>(access::record(*one));
    }
    return anybody(*now, first, trying);
  }

  // Nobody whom the policy named would do: whoever there is, first of this group, then of the others, then of those who
  // are not needed; the one to avoid last.
  BANYAN_COLD token anybody(const layout& now, std::size_t first, const attempt& trying) noexcept {
    const bool settle_for_avoided = trying.context().request().avoid && !options_.avoid_strictly;
    for (const bool avoided : {false, true}) {
      if (avoided && !settle_for_avoided) break;
      for (std::size_t i = 0; i <= now.groups.size(); ++i) {
        const bool spare = i == now.groups.size();
        const auto& all = spare ? now.spare : now.groups[(first + i) % now.groups.size()].candidates;
        const std::uint32_t place =
            trying.search(all, [&](std::size_t each) { return trying.avoided(all[each]) == avoided; });
        if (place != pick_context::none)
          return detail::token_access::make<T, Clock>(access::record(*trying.settled(all[place])));
      }
    }
    return {};
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
