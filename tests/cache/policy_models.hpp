#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

/// The policies as their definitions put them, with standard containers and no regard for speed. Each has `get(key)`
/// (a hit counts as a use), `put(key)` for a key that is not there, which returns the keys that left, and `erase(key)`.
namespace banyan::testing {

using model_key = std::uint64_t;
using model_keys = std::vector<model_key>;

/// A list whose front leaves first; a hit moves a key to the back, unless hits count for nothing.
template <bool HitsMove>
class list_model {
 public:
  explicit list_model(std::size_t capacity) : capacity_{capacity} {}

  bool get(model_key key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return false;
    if (HitsMove) keys_.splice(keys_.end(), keys_, found->second);
    return true;
  }

  model_keys put(model_key key) {
    model_keys left;
    while (places_.size() >= capacity_) {
      left.push_back(keys_.front());
      erase(left.back());
    }
    places_[key] = keys_.insert(keys_.end(), key);
    return left;
  }

  void erase(model_key key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return;
    keys_.erase(found->second);
    places_.erase(found);
  }

 private:
  std::size_t capacity_;
  std::list<model_key> keys_;
  std::unordered_map<model_key, std::list<model_key>::iterator> places_;
};

using lru_model = list_model<true>;
using fifo_model = list_model<false>;

/// The least count leaves first, among equals the one used least recently.
class lfu_model {
 public:
  explicit lfu_model(std::size_t capacity) : capacity_{capacity} {}

  bool get(model_key key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    auto [count, time, same] = found->second;
    order_.erase(found->second);
    found->second = {count + 1, ++time_, key};
    order_.insert(found->second);
    return true;
  }

  model_keys put(model_key key) {
    model_keys left;
    while (entries_.size() >= capacity_) {
      left.push_back(std::get<2>(*order_.begin()));
      erase(left.back());
    }
    entries_[key] = {1, ++time_, key};
    order_.insert(entries_[key]);
    return left;
  }

  void erase(model_key key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    order_.erase(found->second);
    entries_.erase(found);
  }

 private:
  using entry = std::tuple<std::uint64_t, std::uint64_t, model_key>;  // count, time of the last use

  std::size_t capacity_;
  std::uint64_t time_ = 0;
  std::unordered_map<model_key, entry> entries_;
  std::set<entry> order_;
};

/// Algorithm 1 of the SIEVE paper: the hand walks from the oldest to the newest and starts over.
class sieve_model {
 public:
  explicit sieve_model(std::size_t capacity) : capacity_{capacity} {}

  bool get(model_key key) {
    for (entry& e : queue_) {
      if (e.key == key) return e.visited = true;
    }
    return false;
  }

  model_keys put(model_key key) {
    model_keys left;
    while (queue_.size() >= capacity_) {
      auto at = hand_ == queue_.end() ? queue_.begin() : hand_;
      while (at->visited) {
        at->visited = false;
        if (++at == queue_.end()) at = queue_.begin();
      }
      left.push_back(at->key);
      hand_ = queue_.erase(at);
    }
    const bool at_end = hand_ == queue_.end();
    queue_.push_back({key, false});
    if (at_end) hand_ = queue_.end();
    return left;
  }

 private:
  struct entry {
    model_key key;
    bool visited;
  };

  std::size_t capacity_;
  std::list<entry> queue_;  // oldest first
  std::list<entry>::iterator hand_ = queue_.end();
};

/// The S3-FIFO paper's Algorithm 1, with a small queue of a tenth and a ghost queue of nine tenths of the capacity.
class s3fifo_model {
 public:
  explicit s3fifo_model(std::size_t capacity)
      : capacity_{capacity}, main_capacity_{capacity - capacity / 10}, ghost_capacity_{capacity * 9 / 10} {}

  bool get(model_key key) {
    const auto found = counts_.find(key);
    if (found == counts_.end()) return false;
    found->second = std::min(found->second + 1, 3);
    return true;
  }

  model_keys put(model_key key) {
    const auto ghost = std::find(ghosts_.begin(), ghosts_.end(), key);
    const bool known = ghost != ghosts_.end();
    if (known) ghosts_.erase(ghost);
    model_keys left;
    while (counts_.size() >= capacity_) left.push_back(evict());
    (known ? main_ : small_).push_back(key);
    counts_[key] = 0;
    return left;
  }

 private:
  model_key evict() {
    for (;;) {
      const bool from_main = small_.empty() || main_.size() > main_capacity_;
      std::deque<model_key>& from = from_main ? main_ : small_;
      const model_key key = from.front();
      from.pop_front();
      int& count = counts_[key];
      if (from_main && count > 0) {
        --count;
        main_.push_back(key);
      } else if (!from_main && count > 1) {
        count = 0;
        main_.push_back(key);
      } else {
        counts_.erase(key);
        if (!from_main) remember(key);
        return key;
      }
    }
  }

  // A key taken back leaves a gap in the queue, as time goes on in insertions: the age decides, not the length.
  void remember(model_key key) {
    ghosts_.push_back(key);
    ages_[key] = ++evicted_;
    while (!ghosts_.empty() && evicted_ - ages_[ghosts_.front()] >= ghost_capacity_) ghosts_.pop_front();
  }

  std::size_t capacity_;
  std::size_t main_capacity_;
  std::size_t ghost_capacity_;
  std::deque<model_key> small_;
  std::deque<model_key> main_;
  std::deque<model_key> ghosts_;
  std::map<model_key, std::size_t> ages_;
  std::size_t evicted_ = 0;
  std::unordered_map<model_key, int> counts_;
};

}  // namespace banyan::testing
