#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/traffic_plan.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/core/cache_line.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/core/published.hpp>
#include <banyan/replica/detail/read_requirement.hpp>
#include <banyan/replica/detail/replica_layout.hpp>
#include <banyan/replica/detail/replica_roles.hpp>
#include <banyan/replica/detail/replica_selection.hpp>
#include <banyan/replica/replica_set_options.hpp>

namespace banyan::detail {

/// Follows a cluster's members and the roles they have in a replica set, and lays both out for the picks.
template <balance_policy Policy>
class replica_router final : membership_observer {
 public:
  using layout = replica_layout<Policy>;

  replica_router(std::shared_ptr<roster> members, Policy policy, const replica_set_options& options,
                 const slow_start_options& slow_start)
      : fitness_{options},
        roster_{std::move(members)},
        terms_{roster_->terms()},
        slow_start_{slow_start},
        balance_{options.balance},
        roles_{.local_epochs = options.epoch == 0, .epochs = replica_epochs{options.epoch != 0 ? options.epoch : 1}},
        policy_{std::move(policy)},
        layout_{layout{}, *terms_->domain} {
    roster_->watch(*this);
  }

  replica_router(const replica_router&) = delete;
  replica_router& operator=(const replica_router&) = delete;
  ~replica_router() { roster_->unwatch(*this); }

  [[nodiscard]] auto read() const { return layout_.read(); }
  [[nodiscard]] auto try_read() const noexcept { return layout_.try_read(); }
  [[nodiscard]] const replica_fitness& fitness() const noexcept { return fitness_; }
  [[nodiscard]] Policy& policy() noexcept { return policy_; }

  /// Adds a member by `add()`, which calls the cluster, and makes it the primary in the same step.
  template <class Add>
  auto join_as_primary(Add add) {
    const own_change change{*this};
    return add();
  }

  /// Changes the roles by `edit(replica_roles&, const member_list&)`, which returns whether it did, and lays out anew.
  template <class Edit>
  bool change_roles(Edit edit) {
    std::optional<replica_roles> next;
    const own_change change{*this};
    return roster_->change([&](member_list& list) {
      wanted_ = &next.emplace(roles_);
      return edit(*next, static_cast<const member_list&>(list));
    });
  }

  /// The replica for one read, its use counted; null when none has what it needs. `now`: the caller's, so policies do
  /// not read a clock.
  BANYAN_ALWAYS_INLINE const candidate* select(const layout& at, hazard_domain::thread_record& thread,
                                               replica_reader& reader, const read_requirement& need,
                                               const pick_request& request, std::int64_t now) noexcept {
    pick_context context =
        pick_access::make_context(request, reader.sequence, terms_->stripe_of(thread), [] { return std::int64_t{0}; });
    pick_access::set_now(context, now);
    const pick_attempt<Policy> trying{policy_, *terms_, slow_start_, thread, context};
    replica_filter filter{need, fitness_, now, farthest()};
    return replica_selection<Policy>{trying, filter, reader, balance_.avoid_strictly}.pick(at);
  }

  // Reports.

  /// Whoever reports or lays out anew calls this; those who wait look again.
  void tell_waiters() noexcept {
    // seq_cst: either we see the one who waits, or it sees what was reported.
    if (waiting_.load(std::memory_order_seq_cst) != 0) arrivals_.raise();
  }

  /// A member's round trip has changed.
  void compare_round_trip(const layout& now, const replica_record& one) noexcept {
    if (fitness_.window == replica_fitness::none) return;
    const std::int64_t its = one.progress.round_trip();
    // Relaxed: a preference. Two that come at the same moment may leave the second best; the next report mends it.
    const std::int64_t nearest = nearest_.load(std::memory_order_relaxed);
    if (its <= nearest) {
      nearest_id_.store(one.id.value(), std::memory_order_relaxed);
      nearest_.store(its, std::memory_order_relaxed);
    } else if (nearest_id_.load(std::memory_order_relaxed) == one.id.value()) {
      find_nearest(now);
    }
  }

  /// Round trips above are of replicas outside the window.
  [[nodiscard]] std::int64_t farthest() const noexcept {
    const std::int64_t nearest = nearest_.load(std::memory_order_relaxed);
    return nearest > replica_fitness::none - fitness_.window ? replica_fitness::none : nearest + fitness_.window;
  }

  /// One read that waits for a report, at most until a deadline.
  class waiting {
   public:
    waiting(replica_router& router, std::chrono::nanoseconds longest) noexcept
        : router_{router}, deadline_{deadline::in(longest, start_).at()} {
      router_.waiting_.fetch_add(1, std::memory_order_seq_cst);  // as in tell_waiters
    }
    waiting(const waiting&) = delete;
    waiting& operator=(const waiting&) = delete;
    ~waiting() { router_.waiting_.fetch_sub(1, std::memory_order_seq_cst); }

    /// Then the caller looks for what it needs; what comes after this ends the next `wait`.
    void look() noexcept { seen_ = router_.arrivals_.seen(); }
    void wait() noexcept { router_.arrivals_.wait_until(seen_, deadline_); }
    [[nodiscard]] std::chrono::nanoseconds elapsed() const noexcept { return steady_clock::now() - start_; }
    [[nodiscard]] bool over() const noexcept { return steady_clock::now() >= deadline_; }

   private:
    replica_router& router_;
    steady_clock::time_point start_ = steady_clock::now();
    steady_clock::time_point deadline_;
    std::uint32_t seen_ = 0;
  };

 private:
  class next_layout final : public pending_change {
   public:
    next_layout(replica_router& router, replica_roles roles, layout next)
        : router_{router}, roles_{std::move(roles)}, next_{std::move(next), *router.terms_->domain} {}
    void commit() noexcept override {
      router_.layout_.commit(next_);
      std::swap(router_.roles_, roles_);
      if (const auto now = router_.layout_.try_read()) router_.find_nearest(*now);
      router_.tell_waiters();
    }

   private:
    replica_router& router_;
    replica_roles roles_;
    typename published<layout>::staged next_;
  };

  // While it lives, the change that this thread makes to the cluster is ours.
  class own_change {
   public:
    explicit own_change(replica_router& router) : router_{router}, one_at_a_time_{router.changing_} {
      router_.wanted_ = nullptr;
      router_.changer_.store(std::this_thread::get_id(), std::memory_order_seq_cst);
    }
    own_change(const own_change&) = delete;
    own_change& operator=(const own_change&) = delete;
    ~own_change() { router_.changer_.store(std::thread::id{}, std::memory_order_seq_cst); }

   private:
    replica_router& router_;
    std::lock_guard<std::mutex> one_at_a_time_;
  };

  std::unique_ptr<pending_change> prepare(const std::shared_ptr<const member_list>& members) override {
    replica_roles roles = roles_;
    const auto before = layout_.read();
    if (changer_.load(std::memory_order_seq_cst) == std::this_thread::get_id()) {
      if (wanted_ != nullptr) {
        roles = *wanted_;
      } else {
        appoint_newest(roles, *members);
      }
    }
    layout next = lay_out(roles, members, *before);
    return std::make_unique<next_layout>(*this, std::move(roles), std::move(next));
  }

  static void appoint_newest(replica_roles& roles, const member_list& members) {
    if (roles.has_primary(members))
      invalid_option("replica_set.primary", roles.primary.value(), "is there already: promote another, or remove it");
    if (!roles.appoint(members.members.back().id()))
      invalid_option("replica_set.epoch", roles.epochs.present(), "must be below 2^32 - 1");
  }

  // How far they are is forgotten in a new epoch, unless it is known that nobody has anything that is lost.
  [[nodiscard]] static std::vector<std::shared_ptr<replica_record>> records_of(const replica_roles& roles,
                                                                               const member_list& members,
                                                                               const layout& before) {
    const bool same_epoch = before.epochs.present() == roles.epochs.present();
    const std::uint64_t most = roles.epochs.current().begin.load(std::memory_order_relaxed);
    std::vector<std::shared_ptr<replica_record>> records;
    records.reserve(members.members.size());
    for (const member& each : members.members) {
      const auto* const known = before.find(each.id());
      if (known != nullptr && same_epoch) {
        records.push_back(*known);
        continue;
      }
      records.push_back(std::make_shared<replica_record>(each.id()));
      if (known != nullptr) records.back()->progress.begin_after((*known)->progress, roles.planned, most);
    }
    return records;
  }

  [[nodiscard]] layout lay_out(const replica_roles& roles, const std::shared_ptr<const member_list>& members,
                               const layout& before) {
    layout next;
    next.members = members;
    next.epochs = roles.epochs;
    next.local_epochs = roles.local_epochs;
    next.records = records_of(roles, *members, before);
    for (const auto& each : next.records) {
      next.epochs.current().replica_at(each->progress.position());
      next.epochs.current().replica_fresh_as_of(each->progress.fresh_as_of());
    }
    const bool same_epoch = before.epochs.present() == roles.epochs.present();
    if (same_epoch && before.primary_id && before.primary_id != roles.primary)
      next.epochs.current().primary_was_demoted();
    member_list replicas;
    replicas.zones = members->zones;
    const bool may_warm_up = slow_start_.window.count() > 0;
    for (const member& each : members->members) {
      if (each.id() != roles.primary) {
        replicas.members.push_back(each);
        continue;
      }
      next.primary_id = each.id();
      next.primary_record = next.find(each.id())->get();
      next.primary_is_fit = each.state() == health::healthy || each.state() == health::degraded;
      if (!each.draining) next.primary = pick_access::make_candidate(*each.record, each.weight, false);
    }
    next.has_replicas = !replicas.members.empty();
    traffic_plan plan = plan_traffic(replicas, balance_, may_warm_up);
    const auto records_for = [&](const std::vector<candidate>& candidates) {
      std::vector<const replica_record*> records;
      records.reserve(candidates.size());
      for (const candidate& each : candidates) records.push_back(next.find(each.id())->get());
      return records;
    };
    for (traffic_share& share : plan.shares) {
      auto records = records_for(share.candidates);
      auto table = policy_.build(std::span<const candidate>{share.candidates});
      next.groups.push_back({{std::move(share.candidates), std::move(table), share.up_to}, std::move(records)});
    }
    next.spare_records = records_for(plan.spare);
    next.spare = std::move(plan.spare);
    return next;
  }

  void find_nearest(const layout& now) noexcept {
    std::int64_t nearest = replica_fitness::none;
    std::uint64_t id = 0;
    for (const auto& each : now.records) {
      const std::int64_t its = each->progress.round_trip();
      if (its == 0 || its >= nearest || each->id == now.primary_id) continue;
      nearest = its;
      id = each->id.value();
    }
    nearest_id_.store(id, std::memory_order_relaxed);
    nearest_.store(nearest, std::memory_order_relaxed);
  }

  replica_fitness fitness_;
  std::shared_ptr<roster> roster_;
  std::shared_ptr<cluster_terms> terms_;
  slow_start_options slow_start_;
  balancer_options balance_;
  replica_roles roles_;  // under the roster's lock
  std::mutex changing_;
  std::atomic<std::thread::id> changer_{};  // who holds `changing_`
  const replica_roles* wanted_ = nullptr;   // that thread's only; null: it adds the primary
  Policy policy_;
  alignas(cache_line_size) published<layout> layout_;
  alignas(cache_line_size) std::atomic<std::int64_t> nearest_{replica_fitness::none};
  std::atomic<std::uint64_t> nearest_id_{0};
  alignas(cache_line_size) std::atomic<std::uint32_t> waiting_{0};
  signal arrivals_;
};

}  // namespace banyan::detail
