#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace bench {

/// The cache that everybody writes first: one mutex, a list in order of use, a hash map into the list.
template <class Key, class Value>
class mutex_lru {
 public:
  explicit mutex_lru(std::size_t capacity) : capacity_{capacity} { index_.reserve(capacity + 1); }

  std::optional<Value> get(const Key& key) {
    const std::lock_guard lock{mutex_};
    const auto found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
  }

  void put(const Key& key, const Value& value) {
    const std::lock_guard lock{mutex_};
    const auto [place, added] = index_.try_emplace(key);
    if (!added) {
      place->second->second = value;
      order_.splice(order_.begin(), order_, place->second);
      return;
    }
    order_.emplace_front(key, value);
    place->second = order_.begin();
    if (order_.size() <= capacity_) return;
    index_.erase(order_.back().first);
    order_.pop_back();
  }

 private:
  std::size_t capacity_;
  std::mutex mutex_;
  std::list<std::pair<Key, Value>> order_;
  std::unordered_map<Key, typename std::list<std::pair<Key, Value>>::iterator> index_;
};

}  // namespace bench
