#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace banyan::detail {

/// Who has a share of a table of buckets.
struct bucket_owner {
  double weight;
  std::uint32_t count;  // of its buckets
  std::uint32_t id;     // the same as long as it is there, whatever its number
};

/// How full an owner is for its weight, and which.
using bucket_fill = std::pair<double, std::uint32_t>;

/// How many of all buckets an owner of this weight should have beside the others, one for each of them at least.
/// `which` is its number, or that of none where it is yet to come.
[[nodiscard]] inline std::uint32_t wanted_by(std::span<const bucket_owner> owners, std::uint32_t which, double weight,
                                             std::size_t buckets) noexcept {
  double total = weight;
  for (std::uint32_t i = 0; i < owners.size(); ++i) total += i == which ? 0 : owners[i].weight;
  const std::size_t others = owners.size() - (which < owners.size() ? 1 : 0);
  const double share = std::round(weight / total * static_cast<double>(buckets));
  return static_cast<std::uint32_t>(std::clamp(share, 1.0, static_cast<double>(buckets - others)));
}

/// How many of a number of buckets each owner has to give, all but one: the fullest gives, again and again, never its
/// last bucket. One entry more than there are owners, for one that may come.
[[nodiscard]] inline std::vector<std::uint32_t> taken_from(std::span<const bucket_owner> owners, std::uint32_t number,
                                                           std::uint32_t but) {
  std::vector<std::uint32_t> given(owners.size() + 1);
  std::vector<bucket_fill> fullest;
  fullest.reserve(owners.size());
  const auto offer = [&](std::uint32_t i) {
    const std::uint32_t left = owners[i].count - given[i];
    if (i == but || left < 2) return false;
    fullest.emplace_back(left / owners[i].weight, i);
    return true;
  };
  for (std::uint32_t i = 0; i < owners.size(); ++i) offer(i);
  std::make_heap(fullest.begin(), fullest.end());
  for (; number > 0 && !fullest.empty(); --number) {
    std::pop_heap(fullest.begin(), fullest.end());
    const std::uint32_t giver = fullest.back().second;
    fullest.pop_back();
    ++given[giver];
    if (offer(giver)) std::push_heap(fullest.begin(), fullest.end());
  }
  return given;
}

/// To whom a number of buckets go, one after the other, to all but one: each to the emptiest then.
[[nodiscard]] inline std::vector<std::uint32_t> given_to(std::span<const bucket_owner> owners, std::uint32_t number,
                                                         std::uint32_t but) {
  std::vector<std::uint32_t> heirs;
  std::vector<std::uint32_t> counts;
  std::vector<bucket_fill> emptiest;
  heirs.reserve(number);
  counts.reserve(owners.size());
  emptiest.reserve(owners.size());
  const auto with_one_more = [&](std::uint32_t i) { return bucket_fill{(counts[i] + 1.0) / owners[i].weight, i}; };
  for (std::uint32_t i = 0; i < owners.size(); ++i) {
    counts.push_back(owners[i].count);
    if (i != but) emptiest.push_back(with_one_more(i));
  }
  const auto fuller = [](const bucket_fill& a, const bucket_fill& b) { return a > b; };
  std::make_heap(emptiest.begin(), emptiest.end(), fuller);
  for (; number > 0; --number) {
    std::pop_heap(emptiest.begin(), emptiest.end(), fuller);
    const std::uint32_t heir = emptiest.back().second;
    heirs.push_back(heir);
    ++counts[heir];
    emptiest.back() = with_one_more(heir);
    std::push_heap(emptiest.begin(), emptiest.end(), fuller);
  }
  return heirs;
}

/// Counts for all owners by weight: whole parts first, then bucket by bucket.
inline void apportion(std::span<bucket_owner> owners, std::size_t buckets) {
  double total = 0;
  for (const bucket_owner& each : owners) total += each.weight;
  std::size_t given = 0;
  for (bucket_owner& each : owners) {
    const double share = std::floor(each.weight / total * static_cast<double>(buckets));
    each.count = static_cast<std::uint32_t>(std::max(share, 1.0));
    given += each.count;
  }
  const auto all = static_cast<std::uint32_t>(owners.size());
  if (given <= buckets) {
    for (const std::uint32_t which : given_to(owners, static_cast<std::uint32_t>(buckets - given), all))
      ++owners[which].count;
  } else {
    const std::vector<std::uint32_t> back = taken_from(owners, static_cast<std::uint32_t>(given - buckets), all);
    for (std::size_t i = 0; i < owners.size(); ++i) owners[i].count -= back[i];
  }
}

}  // namespace banyan::detail
