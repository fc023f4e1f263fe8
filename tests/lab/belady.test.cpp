#include "belady.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "support/catch.hpp"
#include "trace.hpp"
#include "workloads.hpp"

namespace {

using namespace banyan::lab;
using numbers = std::vector<std::uint32_t>;

// Tries every choice: after a miss the key is kept out or takes any place. The state is the set of cached keys.
std::uint64_t best_by_trying(const numbers& requests, std::size_t capacity) {
  std::unordered_map<std::uint32_t, std::uint64_t> states = {{0, 0}};  // bit set of keys -> most hits so far
  for (const std::uint32_t key : requests) {
    std::unordered_map<std::uint32_t, std::uint64_t> next;
    const auto reach = [&](std::uint32_t set, std::uint64_t hits) { next[set] = std::max(next[set], hits); };
    for (const auto& [set, hits] : states) {
      const std::uint32_t bit = std::uint32_t{1} << key;
      if ((set & bit) != 0) {
        reach(set, hits + 1);
        continue;
      }
      reach(set, hits);
      if (static_cast<std::size_t>(std::popcount(set)) < capacity) reach(set | bit, hits);
      for (std::uint32_t out = 1; out != 0 && out <= set; out <<= 1) {
        if ((set & out) != 0) reach((set & ~out) | bit, hits);
      }
    }
    states = std::move(next);
  }
  std::uint64_t best = 0;
  for (const auto& [set, hits] : states) best = std::max(best, hits);
  return best;
}

}  // namespace

TEST_CASE("belady is as good as the best of all choices") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 150; ++round) {
    const std::uint32_t keys = 2 + static_cast<std::uint32_t>(random() % 6);
    numbers requests;
    const std::size_t length = random() % 40;
    for (std::size_t i = 0; i < length; ++i) requests.push_back(static_cast<std::uint32_t>(random() % keys));
    const belady optimum(requests, keys);
    for (std::size_t capacity = 1; capacity <= keys; ++capacity) {
      CAPTURE(requests, capacity);
      REQUIRE(optimum.hits(capacity) == best_by_trying(requests, capacity));
    }
  }
}

TEST_CASE("belady at the ends") {
  CHECK(belady({}, 0).hits(1) == 0);
  const numbers requests = {0, 0, 0, 1, 0};
  CHECK(belady(requests, 2).hits(0) == 0);
  CHECK(belady(requests, 2).hits(1) == 3);
  CHECK(belady(requests, 2).hits(100) == 3);
}

TEST_CASE("a loop larger than the cache") {
  const trace loop = generate_workload("loop", 100'000, 1);
  std::uint64_t told = 0;
  const std::uint64_t hits = belady(loop.requests, loop.keys).hits(1'000, [&](std::uint64_t count) { told += count; });
  CHECK(hits == 9 * 1'000);  // nine rounds after the first, a thousand keys kept for good
  CHECK(told == 100'000);
}

#if defined(BANYAN_LAB_TRACES)
TEST_CASE("belady agrees with an independent simulator on real traces") {
  const char* named = std::getenv("BANYAN_TRACES");
  const std::filesystem::path directory = named != nullptr ? named : BANYAN_LAB_TRACES;
  std::ifstream reference(directory / "reference.tsv");
  if (!reference) {
    WARN("no real traces in " << directory << "; set BANYAN_TRACES to their directory");
    return;
  }
  std::string line;
  std::getline(reference, line);
  std::string loaded;
  trace t;
  int rows = 0;
  while (std::getline(reference, line)) {
    std::istringstream cells(line);
    std::string name;
    std::size_t capacity = 0;
    std::size_t count = 0;
    double percent = 0;
    cells >> name >> capacity >> count >> percent;
    if (!cells || count > 1'000'000) continue;  // the long ones take long under sanitizers
    if (name != loaded) {
      const std::string command = "xz -dc '" + (directory / (name + ".u32.xz")).string() + "'";
      std::FILE* pipe = popen(command.c_str(), "r");
      REQUIRE(pipe != nullptr);
      t = {};
      key_numbering<std::uint32_t> keys;
      unsigned char bytes[4];
      while (std::fread(bytes, 1, 4, pipe) == 4) {
        t.requests.push_back(
            keys.number(static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8 |
                        static_cast<std::uint32_t>(bytes[2]) << 16 | static_cast<std::uint32_t>(bytes[3]) << 24));
      }
      t.keys = keys.size();
      loaded = name;
      if (pclose(pipe) != 0 && t.requests.empty()) {
        WARN("cannot run xz; real traces left out");
        return;
      }
      REQUIRE(t.requests.size() == count);
    }
    const auto hits = static_cast<double>(belady(t.requests, t.keys).hits(capacity));
    CAPTURE(name, capacity);
    CHECK(std::abs(hits * 100 / static_cast<double>(count) - percent) < 0.0051);
    ++rows;
  }
  CHECK(rows > 0);
}
#endif
