#include "cache_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "belady.hpp"
#include "policies.hpp"
#include "table.hpp"

namespace banyan::lab {
namespace {

// A hit ratio that differs by less than this is as good as the same.
constexpr double as_good = 0.001;
// Doubling a cache is worth while when it saves at least this share of the requests.
constexpr double worth_doubling = 0.02;

std::vector<studied_size> choose_sizes(const trace& trace, std::size_t policies,
                                       const std::vector<capacity_request>& capacities) {
  std::vector<studied_size> sizes;
  for (const capacity_request& asked : capacities) {
    // Beyond all keys a cache has nothing to decide; and a cache of billions need not be built to see that.
    const std::uint64_t entries = std::min<std::uint64_t>(asked.entries_for(trace.keys), trace.keys);
    const auto same = std::find_if(sizes.begin(), sizes.end(), [&](const auto& s) { return s.entries == entries; });
    if (same == sizes.end()) {
      sizes.push_back({entries, asked.text});
    } else if (same->asked_as != asked.text) {
      same->asked_as += ", " + asked.text;
    }
  }
  // The curve may cost this many requests in all: about half a minute.
  constexpr std::uint64_t curve_budget = 200'000'000;
  const std::uint64_t per_size = trace.requests.size() * std::max<std::size_t>(1, policies);
  const auto points = std::clamp<std::uint64_t>(curve_budget / per_size, 2, 9);
  const double smallest = std::max(1.0, static_cast<double>(trace.keys) / 1000);
  const double steps = std::log(static_cast<double>(trace.keys) / smallest);
  for (std::uint64_t i = 0; i < points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points - 1);
    const auto entries = static_cast<std::uint64_t>(std::lround(smallest * std::exp(steps * share)));
    // A curve point next to an asked size would cost time and show nothing.
    const bool near = std::any_of(sizes.begin(), sizes.end(), [&](const studied_size& s) {
      const double ratio = static_cast<double>(s.entries) / static_cast<double>(entries);
      return s.entries == entries || (i != 0 && i + 1 != points && ratio > 0.85 && ratio < 1.18);
    });
    if (!near) sizes.push_back({entries, {}});
  }
  std::sort(sizes.begin(), sizes.end(), [](const auto& a, const auto& b) { return a.entries < b.entries; });
  return sizes;
}

std::string percent(double ratio) { return fmt::format("{:.1f}%", ratio * 100); }

// The smallest asked size from which no larger one gains as much as `worth_doubling` for each doubling.
std::size_t recommended_size(const cache_result& result) {
  const std::vector<std::size_t> asked = result.asked();
  for (const std::size_t size : asked) {
    const bool enough = std::all_of(asked.begin(), asked.end(), [&](std::size_t larger) {
      const double doublings = std::log2(static_cast<double>(result.sizes[larger].entries) /
                                         static_cast<double>(result.sizes[size].entries));
      return doublings <= 0 || result.best_at(larger) - result.best_at(size) < worth_doubling * doublings;
    });
    if (enough) return size;
  }
  return asked.back();
}

// Of those that are as good as the best at a size, the one that is best at all asked sizes.
const policy_result& recommended_policy(const cache_result& result, std::size_t size) {
  const policy_result* chosen = nullptr;
  for (const policy_result& policy : result.policies) {
    if (policy.hit_ratios[size] < result.best_at(size) - as_good) continue;
    if (chosen == nullptr || result.mean_hit_ratio(policy) > result.mean_hit_ratio(*chosen) + as_good) chosen = &policy;
  }
  return *chosen;
}

std::string recommend(const cache_result& result, const trace& trace, progress& bar) {
  const std::size_t size = recommended_size(result);
  const policy_result& policy = recommended_policy(result, size);
  const double ratio = policy.hit_ratios[size];
  const studied_size& at = result.sizes[size];
  const double attainable = 1 - static_cast<double>(result.keys) / static_cast<double>(result.requests);
  if (ratio < 0.01) {
    return fmt::format(
        "No policy is of use at these sizes, the best hits {} of the requests; a cache that holds all {} keys would "
        "hit {}.",
        percent(ratio), with_commas(result.keys), percent(attainable));
  }
  const bool share = at.asked_as.find('%') != std::string::npos;
  std::string sentence =
      share ? fmt::format("Use {} at {} of the keys ({} entries)", policy.name, at.asked_as, with_commas(at.entries))
            : fmt::format("Use {} with {} entries", policy.name, with_commas(at.entries));
  sentence += fmt::format(": it hits {} of the requests", percent(ratio));
  const policy_result& first = result.policies.front();
  if (policy.name == "lru") {
    if (result.policies.size() > 1) sentence += ", and no other policy does better";
  } else if (first.name == "lru") {
    sentence += fmt::format(" against LRU's {}", percent(first.hit_ratios[size]));
  }
  sentence += fmt::format(" ({} is possible)", percent(result.optimum.hit_ratios[size]));
  if (at.entries < result.keys) {
    const std::uint64_t twice = std::min(at.entries * 2, result.keys);
    bar.begin(trace.name, trace.requests.size());
    bar.step("twice the recommended size");
    const replay_result doubled =
        replay(policy.name, static_cast<std::size_t>(twice), trace.requests, [&](std::uint64_t n) { bar.advance(n); });
    bar.end();
    const double gain = static_cast<double>(doubled.hits) / static_cast<double>(result.requests) - ratio;
    sentence += gain < 0.0005 ? fmt::format("; doubling it to {} entries would gain nothing", with_commas(twice))
                              : fmt::format("; doubling it to {} entries would add {:.1f} points", with_commas(twice),
                                            gain * 100);
  } else {
    sentence += "; all keys fit";
  }
  return sentence + ".";
}

}  // namespace

std::vector<std::size_t> cache_result::asked() const {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (!sizes[i].asked_as.empty()) result.push_back(i);
  }
  return result;
}

double cache_result::best_at(std::size_t size) const {
  double best = 0;
  for (const policy_result& policy : policies) best = std::max(best, policy.hit_ratios[size]);
  return best;
}

double cache_result::mean_hit_ratio(const policy_result& policy) const {
  const std::vector<std::size_t> indices = asked();
  double sum = 0;
  for (const std::size_t size : indices) sum += policy.hit_ratios[size];
  return sum / static_cast<double>(indices.size());
}

cache_result study_caches(const trace& trace, const std::vector<std::string>& policies,
                          const std::vector<capacity_request>& capacities, progress& bar) {
  cache_result result{.name = trace.name,
                      .description = trace.description,
                      .requests = trace.requests.size(),
                      .keys = trace.keys,
                      .skipped = trace.skipped,
                      .sizes = choose_sizes(trace, policies.size(), capacities),
                      .policies = {},
                      .optimum = {.name = "belady", .hit_ratios = {}},
                      .recommendation = {}};
  const auto requests = static_cast<double>(trace.requests.size());
  const auto advance = [&](std::uint64_t count) { bar.advance(count); };
  bar.begin(trace.name, trace.requests.size() * result.sizes.size() * (policies.size() + 1));
  for (const std::string& name : policies) {
    policy_result policy{.name = name, .hit_ratios = {}};
    double seconds = 0;
    double replayed = 0;
    for (const studied_size& size : result.sizes) {
      bar.step(fmt::format("{} with {} entries", name, with_commas(size.entries)));
      const replay_result run = replay(name, static_cast<std::size_t>(size.entries), trace.requests, advance);
      policy.hit_ratios.push_back(static_cast<double>(run.hits) / requests);
      if (size.asked_as.empty()) continue;
      seconds += run.seconds;
      replayed += requests;
    }
    policy.million_requests_per_second = seconds > 0 ? replayed / seconds / 1e6 : 0;
    result.policies.push_back(std::move(policy));
  }
  const belady optimum(trace.requests, trace.keys);
  for (const studied_size& size : result.sizes) {
    bar.step(fmt::format("belady with {} entries", with_commas(size.entries)));
    const auto hits = optimum.hits(static_cast<std::size_t>(size.entries), advance);
    result.optimum.hit_ratios.push_back(static_cast<double>(hits) / requests);
  }
  bar.end();
  result.recommendation = recommend(result, trace, bar);
  return result;
}

std::string recommend_overall(const std::vector<cache_result>& results) {
  if (results.size() < 2) return {};
  std::string best;
  double best_mean = -1;
  std::optional<double> lru;
  const std::size_t policies = results.front().policies.size();
  for (std::size_t i = 0; i < policies; ++i) {
    double mean = 0;
    for (const cache_result& result : results) {
      mean += result.mean_hit_ratio(result.policies[i]) / static_cast<double>(results.size());
    }
    const std::string& name = results.front().policies[i].name;
    if (name == "lru") lru = mean;
    if (mean > best_mean + 1e-9) {
      best_mean = mean;
      best = name;
    }
  }
  std::string sentence = fmt::format("Over the {} traces {} hits most: {} of the requests on average", results.size(),
                                     best, percent(best_mean));
  if (lru && best != "lru") sentence += fmt::format(" against LRU's {}", percent(*lru));
  return sentence + ".";
}

}  // namespace banyan::lab
