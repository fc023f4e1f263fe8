#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/weights.hpp>
#include <banyan/cluster/detail/endpoint_record.hpp>
#include <banyan/cluster/detail/roster.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/core/published.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan::detail {

/// Follows a cluster's members and knows each key's home among them: all that have a weight, fit or not.
class home_router final : membership_observer {
 public:
  explicit home_router(std::shared_ptr<roster> members)
      : roster_{std::move(members)}, layout_{layout{}, *roster_->terms()->domain} {
    roster_->watch(*this);
  }
  home_router(const home_router&) = delete;
  home_router& operator=(const home_router&) = delete;
  ~home_router() { roster_->unwatch(*this); }

  struct found {
    endpoint_record* counted = nullptr;  // a use of it
    bool home = false;                   // it is the key's home
    bool members = true;                 // there are some
    bool memory = true;
  };

  /// None for no members.
  [[nodiscard]] endpoint_id home(std::uint64_t key) const {
    const auto now = layout_.read();
    const std::uint32_t at = now->homes.find(mix_bits(key));
    return at == rendezvous_placement::npos ? endpoint_id{} : now->all[at].id();
  }

  /// Counts a use of the first in the key's order that is not away: of its home, or with `anyone` of the others as
  /// well. One to `avoid` is away.
  [[nodiscard]] found find(std::uint64_t key, bool anyone, endpoint_id avoid) const noexcept {
    const auto now = layout_.try_read();
    if (!now) return {.memory = false};
    found result{.members = !now->all.empty()};
    bool first = true;
    (void)now->homes.find_if(mix_bits(key), [&](std::uint32_t at) noexcept {
      const bool is_home = std::exchange(first, false);
      const candidate& one = now->all[at];
      if (now->fit[at] != 0 && one.id() != avoid && try_begin_use(pick_access::record(one)))
        result = {.counted = &pick_access::record(one), .home = is_home};
      return result.counted != nullptr || !anyone;
    });
    return result;
  }

 private:
  struct layout {
    std::vector<candidate> all;
    std::vector<unsigned char> fit;  // of each of them
    rendezvous_placement homes;
    std::shared_ptr<const member_list> members{};  // keeps the records alive
  };

  class next_layout final : public pending_change {
   public:
    next_layout(published<layout>& target, layout next, hazard_domain& domain)
        : target_{target}, next_{std::move(next), domain} {}
    void commit() noexcept override { target_.commit(next_); }

   private:
    published<layout>& target_;
    published<layout>::staged next_;
  };

  std::unique_ptr<pending_change> prepare(const std::shared_ptr<const member_list>& members) override {
    layout next;
    next.members = members;
    for (const member& each : members->members) {
      if (each.weight <= 0) continue;
      next.all.push_back(pick_access::make_candidate(*each.record, each.weight, false));
      next.fit.push_back(each.state() == health::healthy || each.state() == health::degraded ? 1 : 0);
    }
    // As `rendezvous_affinity` does, so that it agrees with this.
    const std::vector<double> weights = weights_of(next.all);
    std::vector<weighted_hash> nodes;
    nodes.reserve(next.all.size());
    for (std::size_t i = 0; i < next.all.size(); ++i) nodes.push_back({next.all[i].name_hash(), weights[i]});
    next.homes = rendezvous_placement{std::span<const weighted_hash>{nodes}};
    return std::make_unique<next_layout>(layout_, std::move(next), *roster_->terms()->domain);
  }

  std::shared_ptr<roster> roster_;
  published<layout> layout_;
};

}  // namespace banyan::detail
