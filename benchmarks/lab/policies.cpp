#include "policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <banyan/cache.hpp>
#include <chrono>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

using advance_call = std::function<void(std::uint64_t)>;

template <class Cache>
replay_result replay_through(std::size_t capacity, std::span<const std::uint32_t> requests,
                             const advance_call& advance) {
  using clock = std::chrono::steady_clock;
  Cache cache{{.capacity = capacity}};
  replay_result result;
  clock::duration busy{};
  // In stretches, so that the progress bar's writing to a terminal is not counted as the cache's time.
  constexpr std::size_t stretch = std::size_t{1} << 16;
  while (!requests.empty()) {
    const auto part = requests.first(std::min(stretch, requests.size()));
    requests = requests.subspan(part.size());
    const auto start = clock::now();
    for (const std::uint64_t key : part) {
      if (cache.get(key)) {
        ++result.hits;
      } else {
        cache.put(key, key);
      }
    }
    busy += clock::now() - start;
    if (advance) advance(part.size());
  }
  result.seconds = std::chrono::duration<double>(busy).count();
  return result;
}

struct known_policy {
  std::string_view name;
  replay_result (*replay)(std::size_t, std::span<const std::uint32_t>, const advance_call&);
};

using number = std::uint64_t;

// The one place that knows which cache a name stands for.
constexpr std::array<known_policy, 7> known = {{
    {"lru", replay_through<lru_cache<number, number>>},
    {"lfu", replay_through<lfu_cache<number, number>>},
    {"fifo", replay_through<fifo_cache<number, number>>},
    {"sieve", replay_through<sieve_cache<number, number>>},
    {"s3fifo", replay_through<s3fifo_cache<number, number>>},
    {"tinylfu", replay_through<tinylfu_cache<number, number>>},
    {"adaptive", replay_through<adaptive_cache<number, number>>},
}};

constexpr auto names = [] {
  std::array<std::string_view, known.size()> result{};
  for (std::size_t i = 0; i < known.size(); ++i) result[i] = known[i].name;
  return result;
}();

}  // namespace

std::span<const std::string_view> policy_names() noexcept { return names; }

replay_result replay(std::string_view policy, std::size_t capacity, std::span<const std::uint32_t> requests,
                     const advance_call& advance) {
  const auto found = std::find_if(known.begin(), known.end(), [&](const known_policy& p) { return p.name == policy; });
  if (found == known.end()) throw bad_input(fmt::format("policy {}: unknown", policy));
  return found->replay(capacity, requests, advance);
}

}  // namespace banyan::lab
