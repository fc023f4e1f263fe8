#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <ranges>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <banyan/core/hash.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/load_draws.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>
#include <banyan/shard/shard_key_report.hpp>

namespace banyan {

/// What a shard key is judged by.
struct shard_key_options {
  /// Shards to come, 1 to 65,536.
  std::uint32_t shards = 16;
  /// How many times the mean the fullest shard may have, at least 1.
  double most_load = 1.5;
  /// The share of the queries that may ask more than one shard, 0 to 1.
  double most_cross_shard = 0.2;
  /// How many of the most frequent values to name.
  std::size_t top = 10;
  /// The keys given are all there are, and not a sample of them.
  bool complete = false;
  /// Keys will be sharded by range, so that it matters whether they only grow.
  bool by_range = false;
};

/// Says whether a key is good to shard by, and why, from a sample of its values: one for each row, where data is to be
/// spread, or one for each request, where load is.
///
///     banyan::shard_key_advisor<std::string> countries{{.shards = 32}};
///     for (const row& r : sample) countries.add(r.country);
///     countries.add_query({"DE", "FR"});                         // the values that one query asks for
///     auto report = countries.report();                          // bad: hot_value, uneven, cross_shard
///
/// Keeps all different values and queries: memory grows with them. One thread at a time.
template <class Key>
class shard_key_advisor {
 public:
  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit shard_key_advisor(shard_key_options options = {}) : options_{options} {
    if (options.shards == 0 || options.shards > 65'536)
      invalid_option("shard_key_options.shards", options.shards, "must be 1 to 65,536");
    if (!(options.most_load >= 1 && std::isfinite(options.most_load)))
      invalid_option("shard_key_options.most_load", options.most_load, "must be at least 1 and finite");
    if (!(options.most_cross_shard >= 0 && options.most_cross_shard <= 1))
      invalid_option("shard_key_options.most_cross_shard", options.most_cross_shard, "must be 0 to 1");
  }

  /// With a sample. Also throws `std::bad_alloc` and what copying and hashing keys throws.
  template <std::ranges::input_range Sample>
  requires std::convertible_to<std::ranges::range_reference_t<Sample>, Key>
  explicit shard_key_advisor(Sample&& sample, shard_key_options options = {}) : shard_key_advisor{options} {
    for (auto&& key : sample) add(key);
  }

  shard_key_advisor(const shard_key_advisor&) = delete;
  shard_key_advisor& operator=(const shard_key_advisor&) = delete;

  /// One row or request. In the order in which they came, where growing keys are to be found out. O(1) expected.
  /// Nothing changes when it throws.
  void add(const Key& key) {
    bool rises = false;
    bool falls = false;
    if constexpr (ordered) {
      rises = last_ != nullptr && *last_ < key;
      falls = last_ != nullptr && key < *last_;
    }
    const auto at = counts_.try_emplace(key, 0).first;
    ++at->second;
    ++sampled_;
    rises_ += rises ? 1 : 0;
    falls_ += falls ? 1 : 0;
    last_ = &at->first;  // stays where it is while the table grows
  }

  /// A query and the values that it asks for. None: it does not name the key, and asks all shards.
  void add_query(std::vector<Key> values) {
    std::vector<Key> different;
    for (Key& value : values) {
      if (std::find(different.begin(), different.end(), value) == different.end())
        different.push_back(std::move(value));
    }
    queries_.push_back(std::move(different));
  }

  /// The judgement for keys that are spread by their hash. O(values + shards), times 40. Throws `std::invalid_argument`
  /// when no key was given, `std::bad_alloc`.
  [[nodiscard]] shard_key_report<Key> report() const {
    shard_key_report<Key> all = counted();
    all.shards = options_.shards;
    // Of values seen once little is known: together they stand for those and for the ones not seen.
    std::vector<double> heavy;
    std::uint64_t once = 0;
    for (const auto& [key, count] : counts_) {
      if (count == 1 && !options_.complete) {
        ++once;
      } else {
        heavy.push_back(share(count));
      }
    }
    std::sort(heavy.begin(), heavy.end(), std::greater<>{});  // the table's own order changes from run to run
    const double tail_values = all.expected_distinct - static_cast<double>(heavy.size());
    std::tie(all.load, all.load_if_unlucky) = detail::load_by_chance(heavy, share(once), tail_values, all.shards);
    const auto n = static_cast<double>(all.shards);
    for (const std::vector<Key>& query : queries_) {
      const auto values = static_cast<double>(query.size());
      all.shards_per_query += query.empty() ? n : n * (1 - std::pow(1 - 1 / n, values));
      if (all.shards > 1) all.cross_shard += query.empty() ? 1 : 1 - std::pow(n, 1 - values);
    }
    finish(all);
    return all;
  }

  /// The judgement for keys that go by this router; its shards count, not the option's. Keys for which nobody is
  /// responsible are left out of the loads. Throws as above, for a router without shards, and what the router throws.
  template <router_for<Key> Router>
  [[nodiscard]] shard_key_report<Key> report(const Router& router) const {
    shard_key_report<Key> all = counted();
    const std::vector<shard_id> ids(router.shards().begin(), router.shards().end());
    if (ids.empty()) invalid_option("shard_key_advisor.router", 0, "must have at least one shard");
    all.shards = static_cast<std::uint32_t>(ids.size());
    std::vector<std::uint64_t> loads(ids.size());
    std::uint64_t routed = 0;
    for (const auto& [key, count] : counts_) {
      const auto at = std::lower_bound(ids.begin(), ids.end(), router.route(key));
      if (at == ids.end()) continue;
      loads[static_cast<std::size_t>(at - ids.begin())] += count;
      routed += count;
    }
    const auto fullest = static_cast<double>(*std::max_element(loads.begin(), loads.end()));
    all.load = routed == 0 ? 1 : fullest * all.shards / static_cast<double>(routed);
    all.load_if_unlucky = all.load;
    for (const std::vector<Key>& query : queries_) {
      std::vector<shard_id> asked;
      for (const Key& value : query) asked.push_back(router.route(value));
      const std::size_t count = query.empty() ? ids.size() : detail::distinct_shards(std::move(asked)).size();
      all.shards_per_query += static_cast<double>(count);
      if (count > 1) all.cross_shard += 1;
    }
    finish(all);
    return all;
  }

 private:
  static constexpr bool ordered = requires(const Key& a, const Key& b) {
    { a < b } -> std::convertible_to<bool>;
  };

  [[nodiscard]] double share(std::uint64_t count) const noexcept {
    return static_cast<double>(count) / static_cast<double>(sampled_);
  }

  /// What does not depend on where values go.
  [[nodiscard]] shard_key_report<Key> counted() const {
    if (sampled_ == 0) invalid_option("shard_key_advisor.keys", 0, "must be at least one");
    shard_key_report<Key> all;
    all.sampled = sampled_;
    all.distinct = counts_.size();
    std::vector<std::pair<const Key*, std::uint64_t>> by_count;
    double once = 0;
    double twice = 0;
    for (const auto& [key, count] : counts_) {
      by_count.emplace_back(&key, count);
      once += count == 1 ? 1 : 0;
      twice += count == 2 ? 1 : 0;
    }
    all.expected_distinct = static_cast<double>(all.distinct);
    if (!options_.complete) {
      all.expected_distinct += once * (once - 1) / (2 * (twice + 1));
      all.unseen = once / static_cast<double>(sampled_);
    }
    const std::size_t named = std::min(options_.top, by_count.size());
    std::partial_sort(by_count.begin(), by_count.begin() + static_cast<std::ptrdiff_t>(named), by_count.end(),
                      [](const auto& a, const auto& b) {
                        if (a.second != b.second) return a.second > b.second;
                        if constexpr (ordered) return *a.first < *b.first;
                        return false;
                      });
    for (std::size_t i = 0; i < named; ++i) all.top.emplace_back(*by_count[i].first, share(by_count[i].second));
    if (rises_ + falls_ > 0) all.rising = static_cast<double>(rises_) / static_cast<double>(rises_ + falls_);
    return all;
  }

  /// From sums over queries to shares, and from figures to findings.
  void finish(shard_key_report<Key>& all) const {
    all.queries = queries_.size();
    if (all.queries > 0) {
      all.cross_shard /= static_cast<double>(all.queries);
      all.shards_per_query /= static_cast<double>(all.queries);
    }
    std::uint64_t most = 0;
    for (const auto& [key, count] : counts_) most = std::max(most, count);
    all.least_load = std::max(1.0, share(most) * all.shards);

    const auto say = [&](shard_key_problem problem, const char* form, auto... figures) {
      char text[200];
      std::snprintf(text, sizeof text, form, figures...);
      all.findings.push_back({problem, text});
    };
    if (all.expected_distinct < all.shards) {
      say(shard_key_problem::too_few_values, "about %.0f values for %u shards: some would have none for good",
          all.expected_distinct, all.shards);
    }
    if (all.least_load > options_.most_load) {
      say(shard_key_problem::hot_value,
          "one value has %.1f %% of the keys, %.1f times what a shard is to have: give it a shard of its own, or split "
          "it by a second column",
          100 * share(most), all.least_load);
    }
    if (all.load > options_.most_load) {
      say(shard_key_problem::uneven, "the fullest shard would have %.2f times the mean (%.2f if unlucky)", all.load,
          all.load_if_unlucky);
    }
    if (all.cross_shard > options_.most_cross_shard) {
      say(shard_key_problem::cross_shard, "%.1f %% of the queries ask more than one shard, %.1f on average",
          100 * all.cross_shard, all.shards_per_query);
    }
    if (options_.by_range && all.rising.value_or(0) > 0.9 && all.shards > 1) {
      say(shard_key_problem::rising, "%.1f %% of the keys are above the one before: new ones all go to the last range",
          100 * all.rising.value_or(0));
    }
  }

  shard_key_options options_;
  std::unordered_map<Key, std::uint64_t, seeded_hash, std::equal_to<>> counts_;
  std::vector<std::vector<Key>> queries_;
  std::uint64_t sampled_ = 0;
  std::uint64_t rises_ = 0;
  std::uint64_t falls_ = 0;
  const Key* last_ = nullptr;  // in the table
};

template <std::ranges::input_range Sample>
shard_key_advisor(Sample&&, shard_key_options = {}) -> shard_key_advisor<std::ranges::range_value_t<Sample>>;

}  // namespace banyan
