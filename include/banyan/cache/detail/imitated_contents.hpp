#pragma once

#include <banyan/cache/detail/slot_index.hpp>
#include <banyan/cache/detail/slot_list.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <concepts>
#include <cstdint>
#include <utility>

namespace banyan::detail {

/// The entries of a small cache that imitates a shadow cache which sees every request: who is not in the shadow leaves
/// first. With the same shadow for long enough the contents are the same, whatever they were before.
///
/// Memory: about 25 bytes per slot. All operations O(1) expected but `follow`, O(entries). Sequential code.
class imitated_contents {
 public:
  imitated_contents() = default;

  imitated_contents(std::uint32_t slots, std::uint32_t entries)
      : index_{slots, entries}, links_{slots}, places_{slots} {}

  /// The entry's hash was just requested from the shadow, which holds it or not.
  void insert(slot_id slot, std::uint32_t hash, bool wanted) noexcept {
    // An entry of the same hash is one that the user has erased, or another key's: only one can be imitated.
    if (const slot_id older = index_.find(hash); older != no_slot) forget(older);
    index_.insert(slot, hash);
    join(slot, wanted ? place::wanted : place::unwanted);
  }

  void erase(slot_id slot) noexcept {
    if (places_[slot] != place::forgotten) index_.remove(slot);
    list(places_[slot]).remove(links_, slot);
  }

  /// The shadow has admitted this hash, or let it go.
  void want(std::uint32_t hash, bool wanted) noexcept {
    const slot_id slot = index_.find(hash);
    if (slot == no_slot) return;
    const place now = wanted ? place::wanted : place::unwanted;
    if (places_[slot] == now) return;
    list(places_[slot]).remove(links_, slot);
    join(slot, now);
  }

  /// Another shadow is to be imitated from now on, which holds what `holds(hash)` says.
  template <std::predicate<std::uint32_t> Holds>
  void follow(Holds&& holds) noexcept {
    slot_list former[] = {std::exchange(unwanted_, {}), std::exchange(wanted_, {})};
    for (slot_list& entries : former) {
      while (!entries.empty()) {
        const slot_id slot = entries.pop_oldest(links_);
        if (places_[slot] == place::forgotten) {
          join(slot, place::forgotten);
        } else {
          join(slot, holds(index_.hash(slot)) ? place::wanted : place::unwanted);
        }
      }
    }
  }

  /// Takes out and returns the oldest that the shadow does not hold; `no_slot` when there are no entries. When the
  /// shadow holds all, as where weights let fewer entries fit, the oldest for which `second_chance(slot)` says no.
  template <std::predicate<slot_id> SecondChance>
  [[nodiscard]] slot_id victim(SecondChance&& second_chance) noexcept {
    slot_id slot = unwanted_.oldest();
    if (slot == no_slot) {
      slot = wanted_.oldest();
      for (std::uint32_t step = 0; step < most_steps && slot != no_slot && second_chance(slot); ++step) {
        wanted_.remove(links_, slot);
        wanted_.push_newest(links_, slot);
        slot = wanted_.oldest();
      }
    }
    if (slot != no_slot) erase(slot);
    return slot;
  }

 private:
  enum class place : std::uint8_t { wanted, unwanted, forgotten };  // forgotten: unwanted, and not in the index

  static constexpr std::uint32_t most_steps = 64;

  [[nodiscard]] slot_list& list(place where) noexcept { return where == place::wanted ? wanted_ : unwanted_; }

  void join(slot_id slot, place where) noexcept {
    places_[slot] = where;
    list(where).push_newest(links_, slot);
  }

  void forget(slot_id slot) noexcept {
    erase(slot);
    places_[slot] = place::forgotten;
    unwanted_.push_oldest(links_, slot);
  }

  slot_index index_;
  slot_links links_;
  zeroed_array<place> places_;
  slot_list wanted_;
  slot_list unwanted_;
};

}  // namespace banyan::detail
