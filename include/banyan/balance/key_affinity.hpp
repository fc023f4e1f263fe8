#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/load_bound.hpp>
#include <banyan/balance/detail/not_refused.hpp>
#include <banyan/balance/detail/place_nodes.hpp>
#include <banyan/balance/detail/weighted_draw.hpp>
#include <banyan/balance/detail/weights.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan {

/// Requests with the same key (`pick_request::key`) go to the same endpoint, on every machine that knows the same
/// endpoints by the same names, and stay there as far as possible when others come and go: see `ring_affinity`,
/// `maglev_affinity`, `rendezvous_affinity`, which differ in the placement. Weights count. A request without a key goes
/// anywhere, as by `random_choice`.
///
/// An endpoint that cannot take the request (to be avoided, draining, in slow start) is passed over for the next in the
/// key's own order, so the keys of one endpoint spread over all others.
///
/// **Bounded load.** One key that half the world asks for makes its endpoint hot. With `bounded_load` an endpoint is
/// passed over while one more request would lift it above that factor times its share, by weight, of what is in flight
/// now. The less there is in flight, the more this disperses the keys: with fewer requests than endpoints each gets one
/// at a time. What is in flight altogether is looked at every 4 n picks of a thread among n endpoints, and after n / 4
/// refusals; where it has fallen meanwhile, the bound is the higher one of before. When everybody is at the bound as
/// threads see it (each other's picks they see up to 20 microseconds late), the key's first endpoint takes the request.
///
/// `choose` does not allocate and is lock-free: O(1), but for a look-up of O(n) in `rendezvous_affinity`. When the
/// first is passed over, it goes through the order as far as need be, but through no more than 31 endpoints of more
/// than 1,024 (of `rendezvous_affinity`: 1 of more than 64); thereafter through places of the key drawn anew, and at
/// last through all. Where only some have what the request needs, through 32 at most each time.
///
/// `Placement` is made of `weighted_hash`es and has `find` and `find_if`, as those in room `hashing`.
template <class Placement>
class key_affinity {
 public:
  struct options {
    /// Most requests in flight at an endpoint, relative to its share: at least 1; 1.25 is usual. 0: no limit.
    double bounded_load = 0;
    /// Where these do not go with the number or weights of the endpoints, they give way: a table becomes larger, a
    /// ring gets fewer points.
    typename Placement::options placement{};
  };

  /// What `build` makes.
  class table {
   public:
    [[nodiscard]] const Placement& placement() const noexcept { return placement_; }

   private:
    friend key_affinity;
    Placement placement_;
    detail::alias_table shares_;
    detail::load_bound bound_;
  };

  key_affinity() noexcept = default;

  /// Throws `std::invalid_argument`.
  explicit key_affinity(options wanted) : options_{wanted} {
    const double bound = options_.bounded_load;
    if (!(bound == 0 || (bound >= 1 && std::isfinite(bound))))
      invalid_option("key_affinity::options.bounded_load", bound, "must be 0 or at least 1, and finite");
    (void)Placement{std::span<const weighted_hash>{}, options_.placement};  // says what is wrong
  }

  /// As long as the placement takes. Throws `std::bad_alloc`.
  [[nodiscard]] table build(std::span<const candidate> candidates) const {
    const std::vector<double> weights = detail::weights_of(candidates);
    std::vector<weighted_hash> nodes;
    nodes.reserve(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) nodes.push_back({candidates[i].name_hash(), weights[i]});
    table made;
    made.placement_ = detail::place_nodes<Placement>(std::move(nodes), options_.placement);
    made.shares_ = detail::alias_table{weights};
    made.bound_ = detail::load_bound{options_.bounded_load, candidates};
    return made;
  }

  [[nodiscard]] std::uint32_t choose(const table& made, std::span<const candidate> candidates,
                                     pick_context& context) const noexcept {
    const std::optional<std::uint64_t>& wanted = context.request().key;
    if (!wanted) return detail::weighted_draw(made.shares_, context);
    const std::uint64_t key = mix_bits(*wanted);  // keys may be any numbers
    if (made.bound_) {
      made.bound_.tick(candidates, context);
    } else if (context.open()) [[likely]] {
      return made.placement_.find(key);
    }
    if (context.attempt() == 0) {
      const std::uint32_t first = made.placement_.find(key);
      if (!context.refused(first) && (!made.bound_ || made.bound_.allows_now(candidates[first], candidates, context)))
        return first;
    }
    return another(made, key, candidates, context);
  }

 private:
  BANYAN_COLD [[nodiscard]] static std::uint32_t another(const table& made, std::uint64_t key,
                                                         std::span<const candidate> candidates,
                                                         pick_context& context) noexcept {
    const auto size = static_cast<std::uint32_t>(candidates.size());
    const std::uint32_t most = context.selective() && size > detail::most_asked ? detail::most_asked : size;
    const auto fit = [&](std::uint32_t index) noexcept { return !context.refused(index); };
    if (made.bound_) {
      const auto below = [&](std::uint32_t index) noexcept {
        return fit(index) && made.bound_.allows(candidates[index], context);
      };
      std::uint32_t found = first_of(made.placement_, key, size, most, below);
      if (found != pick_context::none) return found;
      made.bound_.measure(candidates, context);
      found = first_of(made.placement_, key, size, most, below);
      if (found != pick_context::none) return found;
    }
    return first_of(made.placement_, key, size, most, fit);
  }

  // The first in the key's order that is accepted; none if there is none, or not after so many steps of each kind. Does
  // not allocate, so it does not throw.
  template <class Accept>
  [[nodiscard]] static std::uint32_t first_of(const Placement& placement, std::uint64_t key, std::uint32_t size,
                                              std::uint32_t steps, Accept accept) noexcept {
    const std::uint32_t most = std::min(detail::asks_without_allocation<Placement>(size), steps);
    std::uint32_t asked = 0;
    std::uint32_t found = pick_context::none;
    if (most == 1) {
      found = placement.find(key);
      if (accept(found)) return found;
    } else {
      found = placement.find_if(key, [&](std::uint32_t index) noexcept { return ++asked > most || accept(index); });
      if (asked <= most) return found;
    }
    for (std::uint64_t i = 1; i <= 16; ++i) {
      found = placement.find(mix_bits(key + i));
      if (accept(found)) return found;
    }
    for (std::uint32_t left = steps; left > 0; --left) {
      if (accept(found)) return found;
      found = found + 1 < size ? found + 1 : 0;
    }
    return pick_context::none;
  }

  options options_{};
};

}  // namespace banyan
