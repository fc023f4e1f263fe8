#include "workloads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

constexpr std::array<std::string_view, 5> names = {"zipf", "scan", "loop", "drift", "bursts"};

// The standard's engines give the same numbers everywhere, its distributions do not; so the latter are written out.
class dice {
 public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  std::uint64_t below(std::uint64_t bound) { return static_cast<std::uint64_t>(unit() * static_cast<double>(bound)); }

 private:
  std::mt19937_64 engine_;
};

// Ranks 0..keys-1 with probability proportional to 1 / (rank + 1)^exponent, by search in the cumulated weights.
class zipf_ranks {
 public:
  zipf_ranks(std::uint32_t keys, double exponent) {
    cumulated_.reserve(keys);
    double sum = 0;
    for (std::uint32_t rank = 1; rank <= keys; ++rank) {
      sum += std::pow(static_cast<double>(rank), -exponent);
      cumulated_.push_back(sum);
    }
  }
  std::uint64_t operator()(dice& random) const {
    const double at = random.unit() * cumulated_.back();
    const auto found = std::upper_bound(cumulated_.begin(), cumulated_.end(), at);
    return static_cast<std::uint64_t>(std::min(found, cumulated_.end() - 1) - cumulated_.begin());
  }

 private:
  std::vector<double> cumulated_;
};

using raw_keys = std::vector<std::uint64_t>;

raw_keys zipf(std::uint32_t requests, dice& random) {
  const zipf_ranks ranks(50'000, 0.99);
  raw_keys keys;
  while (keys.size() < requests) keys.push_back(ranks(random));
  return keys;
}

raw_keys scan(std::uint32_t requests, dice& random) {
  constexpr std::uint64_t hot = 20'000;
  constexpr std::uint64_t walked = 10'000;
  const zipf_ranks ranks(hot, 0.99);
  raw_keys keys;
  const std::size_t stretch = std::max<std::size_t>(1, requests / 10);
  while (keys.size() < requests) {
    for (std::size_t i = 0; i < stretch; ++i) keys.push_back(ranks(random));
    for (std::size_t i = 0; i < std::min<std::size_t>(stretch, walked); ++i) keys.push_back(hot + i);
  }
  return keys;
}

raw_keys loop(std::uint32_t requests, dice&) {
  raw_keys keys;
  while (keys.size() < requests) keys.push_back(keys.size() % 10'000);
  return keys;
}

raw_keys drift(std::uint32_t requests, dice& random) {
  raw_keys keys;
  while (keys.size() < requests) {
    const std::uint64_t window = keys.size() / 40;
    keys.push_back(random.below(10) != 0 ? window + random.below(1'000) : random.below(50'000));
  }
  return keys;
}

raw_keys bursts(std::uint32_t requests, dice& random) {
  constexpr std::uint64_t lasting = 20'000;
  const zipf_ranks ranks(lasting, 0.99);
  std::uint64_t next_new = lasting;
  raw_keys waiting;  // repeats that are still due
  raw_keys keys;
  while (keys.size() < requests) {
    if (random.below(2) == 0) {
      keys.push_back(ranks(random));
    } else if (waiting.size() > 200) {
      std::swap(waiting[random.below(waiting.size())], waiting.back());
      keys.push_back(waiting.back());
      waiting.pop_back();
    } else {
      keys.push_back(next_new);
      waiting.insert(waiting.end(), 2, next_new);
      ++next_new;
    }
  }
  return keys;
}

}  // namespace

std::span<const std::string_view> workload_names() noexcept { return names; }

trace generate_workload(std::string_view name, std::uint32_t requests, std::uint64_t seed) {
  struct kind {
    raw_keys (*generate)(std::uint32_t, dice&);
    std::string_view description;
  };
  static constexpr std::array<kind, names.size()> kinds = {{
      {zipf, "50,000 keys, popularity 1/rank^0.99"},
      {scan, "zipf over 20,000 keys, interrupted by long walks"},
      {loop, "10,000 keys in the same order over and over"},
      {drift, "1,000 hot keys that change slowly"},
      {bursts, "zipf, and new keys asked for three times and never again"},
  }};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw bad_input(fmt::format("workload {}: unknown", name));
  const kind& chosen = kinds[static_cast<std::size_t>(found - names.begin())];
  dice random(seed);
  raw_keys keys = chosen.generate(requests, random);
  keys.resize(requests);
  trace result{.name = std::string(name), .description = std::string(chosen.description), .requests = {}};
  result.requests.reserve(keys.size());
  key_numbering<std::uint64_t> numbers;
  for (const std::uint64_t key : keys) result.requests.push_back(numbers.number(key));
  result.keys = numbers.size();
  return result;
}

}  // namespace banyan::lab
