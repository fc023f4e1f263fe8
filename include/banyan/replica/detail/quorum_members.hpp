#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/detail/replica_layout.hpp>
#include <banyan/replica/quorum.hpp>
#include <banyan/replica/read_outcome.hpp>

namespace banyan::detail {

/// Fills a place with picks, no two of them of the same member.
template <class Pick>
class different_picks {
 public:
  explicit different_picks(std::span<Pick> into) noexcept : into_{into} {
    for (Pick& each : into_) each = Pick{};
  }

  [[nodiscard]] bool full() const noexcept { return count_ == into_.size(); }
  [[nodiscard]] endpoint_id last() const noexcept { return count_ == 0 ? endpoint_id{} : into_[count_ - 1].id(); }

  /// One that is empty, or not different, is given back.
  void take(Pick one) noexcept {
    const auto taken = into_.first(count_);
    const auto is_this = [&one](const Pick& each) { return each.id() == one.id(); };
    if (!one || std::any_of(taken.begin(), taken.end(), is_this)) return;
    into_[count_++] = std::move(one);
  }

  /// Gives all back; false.
  bool give_up(read_outcome why) noexcept {
    for (Pick& each : into_) each = Pick{why, {}, {}};
    return false;
  }

 private:
  std::span<Pick> into_;
  std::size_t count_ = 0;
};

/// Fills what is left with replicas that are fit, from a random one on; `begin(candidate)`: a pick of it.
template <class Layout, class Pick, class Begin>
void take_in_turn(const Layout& at, std::uint64_t drawn, different_picks<Pick>& into, Begin begin) noexcept {
  const auto take = [&](const auto& all) noexcept {
    const std::size_t start = all.empty() ? 0 : drawn % all.size();
    for (std::size_t i = 0; i < all.size() && !into.full(); ++i)
      into.take(begin(all[start + i < all.size() ? start + i : start + i - all.size()]));
  };
  for (const auto& each : at.groups) take(each.candidates);
  take(at.spare);
}

/// Whether so many members have reported `position` in `epoch`; impossible once that is over. 0: the present epoch,
/// which is put there.
template <class Pin>
[[nodiscard]] quorum_state reported_by(const Pin& at, std::uint64_t position, std::uint32_t& epoch,
                                       std::size_t needed) noexcept {
  if (!at) return quorum_state::pending;
  const std::uint32_t present = at->epochs.present();
  if (epoch == 0) epoch = present;
  if (epoch != present) return epoch < present ? quorum_state::impossible : quorum_state::pending;
  const auto has_it = [position](const auto& each) {
    const bool has = each->progress.position() >= position;
    return has && !each->progress.left_epoch();  // in this order: the position is of this epoch
  };
  const auto count = std::count_if(at->records.begin(), at->records.end(), has_it);
  return static_cast<std::size_t>(count) >= needed ? quorum_state::reached : quorum_state::pending;
}

}  // namespace banyan::detail
