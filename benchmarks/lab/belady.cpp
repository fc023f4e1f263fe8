#include "belady.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

namespace banyan::lab {
namespace {

constexpr std::uint32_t never = std::numeric_limits<std::uint32_t>::max();

}  // namespace

belady::belady(std::span<const std::uint32_t> requests, std::uint32_t keys)
    : requests_(requests), keys_(keys), next_use_(requests.size()) {
  std::vector<std::uint32_t> seen(keys, never);
  for (std::size_t i = requests.size(); i-- > 0;) {
    next_use_[i] = std::exchange(seen[requests[i]], static_cast<std::uint32_t>(i));
  }
}

std::uint64_t belady::hits(std::size_t capacity, const std::function<void(std::uint64_t)>& advance) const {
  if (capacity == 0) return 0;
  std::vector<bool> cached(keys_);
  std::size_t size = 0;
  // The next uses of what is cached; the furthest leaves first. A position names its key, so it is all there is to
  // keep. Positions that have passed stay in the heap: they are below all that are to come and never reach the top
  // while anything is cached.
  std::priority_queue<std::uint32_t> next_uses;
  std::uint64_t hits = 0;
  constexpr std::size_t stretch = std::size_t{1} << 16;
  for (std::size_t from = 0; from < requests_.size(); from += stretch) {
    const std::size_t to = std::min(requests_.size(), from + stretch);
    for (std::size_t i = from; i < to; ++i) {
      const std::uint32_t key = requests_[i];
      const std::uint32_t next = next_use_[i];
      if (cached[key]) {
        ++hits;
        if (next == never) {
          cached[key] = false;
          --size;
        } else {
          next_uses.push(next);
        }
        continue;
      }
      if (next == never) continue;
      if (size == capacity) {
        if (next_uses.top() < next) continue;
        cached[requests_[next_uses.top()]] = false;
        next_uses.pop();
        --size;
      }
      cached[key] = true;
      ++size;
      next_uses.push(next);
    }
    if (advance) advance(to - from);
  }
  return hits;
}

}  // namespace banyan::lab
