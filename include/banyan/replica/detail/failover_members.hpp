#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

/// What a failover knows of a replica.
struct failover_member {
  endpoint_id id{};
  bool to_follow = false;  // is not yet known to be a replica of the primary
  std::int64_t follow_at = std::numeric_limits<std::int64_t>::min();
  std::optional<failover_position> position{};
  std::uint32_t failures = 0;  // promotions that did not come to be
};

/// The replicas of a failover, and which of them is to be promoted.
class failover_members {
 public:
  struct rules {
    std::uint32_t acknowledgements = 0;  // 0 as well when losing some has been accepted
    failover_position last_known{};      // of the primary
    std::uint64_t max_loss = 0;
    bool patient = false;  // would rather wait for all to answer
    bool any = false;      // whoever has answered will do
  };
  struct choice {
    endpoint_id best{};            // none: nobody yet
    failover_position position{};  // its own; without one, the most that is known
    bool worth_waiting = false;    // enough have answered, the rest may be better
  };

  [[nodiscard]] std::vector<failover_member>& all() noexcept { return members_; }
  [[nodiscard]] const std::vector<failover_member>& all() const noexcept { return members_; }
  [[nodiscard]] failover_member* find(endpoint_id id) noexcept {
    const auto at =
        std::find_if(members_.begin(), members_.end(), [id](const failover_member& each) { return each.id == id; });
    return at != members_.end() ? &*at : nullptr;
  }
  void add(endpoint_id id) { members_.push_back({.id = id}); }
  void remove(endpoint_id id) {
    std::erase_if(members_, [id](const failover_member& each) { return each.id == id; });
  }
  void forget_positions() noexcept {
    for (failover_member& each : members_) each.position.reset();
  }
  /// The member is the primary now; all others, the one before included, have to become its replicas.
  void replace(endpoint_id promoted, endpoint_id before) {
    remove(promoted);
    if (before && before != promoted && find(before) == nullptr) add(before);
    for (failover_member& each : members_) each = {.id = each.id, .to_follow = true};
  }
  [[nodiscard]] bool all_follow() const noexcept {
    return std::none_of(members_.begin(), members_.end(), [](const failover_member& each) { return each.to_follow; });
  }

  /// The first that has all of a log, of one history: another one may be longer and have other things in it. Null: none
  /// yet, or not the `only` one, if there is to be one.
  template <class Busy>
  [[nodiscard]] const failover_member* caught_up(const failover_position& goal, endpoint_id only, Busy busy) const {
    const auto at = std::find_if(members_.begin(), members_.end(), [&](const failover_member& each) {
      return (!only || each.id == only) && each.position && !each.to_follow && each.position->history == goal.history &&
             *each.position >= goal && !busy(each.id);
    });
    return at != members_.end() ? &*at : nullptr;
  }

  /// The most advanced one. Of n replicas of which k acknowledge each write, any n - k + 1 include one that has the
  /// last acknowledged write: so many have to answer, and only one that has as much as any may be it. Where nobody
  /// acknowledges, one that could not be promoted is passed over for one that is behind it.
  template <class Busy>
  [[nodiscard]] choice choose(const rules& by, Busy busy) const {
    std::size_t answers = 0;
    choice made;
    for (const failover_member& each : members_) {
      const failover_position* const at = comparable(each);
      if (at == nullptr) continue;
      ++answers;
      made.position = std::max(made.position, *at);
    }
    const failover_member* best = nullptr;
    failover_position best_position{};
    for (const failover_member& each : members_) {
      const failover_position* const at = comparable(each);
      if (at == nullptr || busy(each.id)) continue;
      if (by.acknowledgements > 0 && *at < made.position) continue;
      if (best == nullptr || each.failures < best->failures ||
          (each.failures == best->failures && *at > best_position)) {
        best = &each;
        best_position = *at;
      }
    }
    if (best == nullptr) return made;
    const std::size_t k = by.acknowledgements;
    const std::size_t needed = k == 0 || k > members_.size() ? 1 : members_.size() - k + 1;
    const bool too_far = loss(by.last_known, best_position) > by.max_loss;
    if (!by.any) {
      if (answers < needed || too_far) return made;
      if (answers < members_.size() && by.patient) {
        made.worth_waiting = true;
        return made;
      }
    }
    made.best = best->id;
    made.position = best_position;
    return made;
  }

 private:
  // Its position, or null: a log of which nobody knows whether it is part of the primary's cannot be compared with
  // those that are.
  [[nodiscard]] static const failover_position* comparable(const failover_member& each) noexcept {
    if (!each.position || (each.to_follow && each.position->history == 0)) return nullptr;
    return &*each.position;
  }
  // Across histories it can be anything.
  [[nodiscard]] static std::uint64_t loss(const failover_position& known, const failover_position& has) noexcept {
    if (has >= known) return 0;
    return has.history == known.history ? known.position - has.position : std::numeric_limits<std::uint64_t>::max();
  }

  std::vector<failover_member> members_;
};

}  // namespace banyan::detail
