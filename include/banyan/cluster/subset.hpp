#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <banyan/core/random.hpp>

namespace banyan {

/// Which part of a huge cluster this client uses.
struct subset_options {
  std::uint32_t size = 0;    ///< endpoints in the part; 0: all
  std::uint32_t client = 0;  ///< the number of this client; clients are numbered 0, 1, 2 and so on
};

namespace detail {

/// All backends, lined up round after round, each round a shuffle of its own; a client takes the next `size` of the
/// line, and no backend twice.
class backend_line {
 public:
  // At most half of the backends are taken: so the end of a round is never touched by what `mend` swaps.
  backend_line(std::uint32_t backends, std::uint32_t size) noexcept : backends_{backends}, size_{size} {}

  [[nodiscard]] std::vector<std::uint32_t> taken_by(std::uint32_t client) const {
    const std::uint64_t start = std::uint64_t{client} * size_;
    const std::uint64_t round = start / backends_;
    const auto first = static_cast<std::uint32_t>(start % backends_);
    std::vector<std::uint32_t> line = shuffled(round);
    if (first < size_ && round > 0) mend(line, shuffled(round - 1), round);
    if (first <= backends_ - size_) return {line.begin() + first, line.begin() + first + size_};

    std::vector<std::uint32_t> taken(line.begin() + first, line.end());
    std::vector<std::uint32_t> next = shuffled(round + 1);
    mend(next, line, round + 1);
    taken.insert(taken.end(), next.begin(), next.begin() + (size_ - static_cast<std::uint32_t>(taken.size())));
    return taken;
  }

 private:
  // The same everywhere: Fisher and Yates over SplitMix64.
  [[nodiscard]] std::vector<std::uint32_t> shuffled(std::uint64_t round) const {
    std::vector<std::uint32_t> line(backends_);
    std::iota(line.begin(), line.end(), 0U);
    splitmix64 random{round};
    for (std::uint32_t i = backends_ - 1; i > 0; --i)
      std::swap(line[i], line[static_cast<std::size_t>(random_below(random, std::uint64_t{i} + 1))]);
    return line;
  }

  // The client between two rounds takes the end of one and the start of the next: what it has from the one is put
  // behind its part of the other.
  void mend(std::vector<std::uint32_t>& line, const std::vector<std::uint32_t>& before, std::uint64_t round) const {
    // Of the line up to here, so many are left for the client between.
    const auto ends = static_cast<std::uint32_t>(round * backends_ % size_);
    if (ends == 0) return;
    std::vector<bool> has(backends_);
    for (std::uint32_t i = backends_ - ends; i < backends_; ++i) has[before[i]] = true;
    std::uint32_t behind = size_ - ends;
    for (std::uint32_t i = 0; i < size_ - ends; ++i) {
      if (!has[line[i]]) continue;
      while (has[line[behind]]) ++behind;
      std::swap(line[i], line[behind++]);
    }
  }

  std::uint32_t backends_;
  std::uint32_t size_;
};

}  // namespace detail

/// The backends that client number `client` uses: `subset_size` different indices below `backends`, in ascending order;
/// all of them when that is 0 or not less than `backends`. The same on every machine and in every process.
///
/// Balanced: of the clients 0 to k, for every k, each backend serves the same number, give or take one. Clients that
/// are numbered alike but leave gaps are balanced as a random choice is. When the number of backends changes, most
/// clients get another subset.
///
/// O(backends) time and memory. Thread-safe. Throws what allocation throws.
///
/// Source: deterministic subsetting of B. Beyer et al. (ed.), "Site Reliability Engineering", 2016, chapter 20; the
/// shuffles are joined end to end, so that none is left over where the sizes do not divide.
[[nodiscard]] inline std::vector<std::uint32_t> deterministic_subset(std::uint32_t backends, std::uint32_t subset_size,
                                                                     std::uint32_t client) {
  std::vector<std::uint32_t> chosen;
  if (subset_size == 0 || subset_size >= backends) {
    chosen.resize(backends);
    std::iota(chosen.begin(), chosen.end(), 0U);
  } else if (subset_size <= backends / 2) {
    chosen = detail::backend_line{backends, subset_size}.taken_by(client);
    std::sort(chosen.begin(), chosen.end());
  } else {
    // Who leaves out a balanced few takes a balanced many.
    std::vector<bool> left_out(backends);
    for (const std::uint32_t each : detail::backend_line{backends, backends - subset_size}.taken_by(client))
      left_out[each] = true;
    chosen.reserve(subset_size);
    for (std::uint32_t i = 0; i < backends; ++i) {
      if (!left_out[i]) chosen.push_back(i);
    }
  }
  return chosen;
}

/// As above.
[[nodiscard]] inline std::vector<std::uint32_t> deterministic_subset(std::uint32_t backends,
                                                                     const subset_options& options) {
  return deterministic_subset(backends, options.size, options.client);
}

}  // namespace banyan
