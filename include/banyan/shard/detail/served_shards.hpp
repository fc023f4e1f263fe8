#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan::detail {

/// Shards and what serves each, ordered by shard. A value; copies share what serves.
template <class T>
class served_shards {
 public:
  /// Wait-free; O(1) where shards are numbered from 0 on, else O(log n).
  [[nodiscard]] const std::shared_ptr<T>* find(shard_id id) const noexcept {
    if (id < ids_.size() && ids_[id] == id) return &served_[id];
    const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    return at == ids_.end() || *at != id ? nullptr : &served_[static_cast<std::size_t>(at - ids_.begin())];
  }

  /// False when the shard was there and got another server.
  bool set(shard_id id, std::shared_ptr<T> by) {
    check_shard("shard_map.shard", id);
    if (by == nullptr) invalid_option("shard_map.serving", "null", "must be something");
    const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    const auto index = at - ids_.begin();
    if (at != ids_.end() && *at == id) {
      served_[static_cast<std::size_t>(index)] = std::move(by);
      return false;
    }
    served_.reserve(served_.size() + 1);
    ids_.insert(at, id);
    served_.insert(served_.begin() + index, std::move(by));
    return true;
  }

  bool erase(shard_id id) noexcept {
    const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (at == ids_.end() || *at != id) return false;
    served_.erase(served_.begin() + (at - ids_.begin()));
    ids_.erase(at);
    return true;
  }

  [[nodiscard]] const std::vector<shard_id>& ids() const noexcept { return ids_; }

 private:
  std::vector<shard_id> ids_;
  std::vector<std::shared_ptr<T>> served_;
};

}  // namespace banyan::detail
