#include <banyan/cache/fifo_policy.hpp>
#include <banyan/cache/lfu_policy.hpp>
#include <banyan/cache/lru_policy.hpp>
#include <banyan/cache/s3fifo_policy.hpp>
#include <banyan/cache/sieve_policy.hpp>
#include <banyan/cache/tinylfu_policy.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cache/sequential_cache.hpp"
#include "support/catch.hpp"

using namespace banyan;
using namespace banyan::testing;

// Real traces are no part of this repository. Where a directory with them is there (BANYAN_TRACES in the environment,
// else where the build was told to look), each policy must come within a point of the hit ratio that an independent
// simulator found, in reference.tsv, and W-TinyLFU must reach it.
namespace {

std::string trace_directory() {
  if (const char* named = std::getenv("BANYAN_TRACES"); named != nullptr && *named != '\0') return named;
#if defined(BANYAN_TEST_TRACES)
  return BANYAN_TEST_TRACES;
#else
  const std::string here = __FILE__;
  return here.substr(0, here.rfind("tests")) + "../shared/traces";
#endif
}

std::vector<std::uint32_t> read_trace(const std::string& path) {
  std::vector<std::uint32_t> keys;
  FILE* const pipe = ::popen(("xz -dc '" + path + "'").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<unsigned char, 4096> bytes{};
  for (std::size_t count = 0; (count = std::fread(bytes.data(), 1, bytes.size(), pipe)) > 0;) {
    for (std::size_t i = 0; i + 4 <= count; i += 4) {
      keys.push_back(std::uint32_t{bytes[i]} | std::uint32_t{bytes[i + 1]} << 8 | std::uint32_t{bytes[i + 2]} << 16 |
                     std::uint32_t{bytes[i + 3]} << 24);
    }
  }
  REQUIRE(::pclose(pipe) == 0);
  return keys;
}

using row = std::map<std::string, std::string>;

std::vector<row> read_reference(const std::string& path) {
  std::ifstream file{path};
  std::vector<std::string> names;
  std::vector<row> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields{line};
    row values;
    std::size_t column = 0;
    for (std::string field; std::getline(fields, field, '\t'); ++column) {
      if (rows.empty() && names.size() == column) {
        names.push_back(field);
      } else if (column < names.size()) {
        values[names[column]] = field;
      }
    }
    if (!values.empty()) rows.push_back(values);
  }
  return rows;
}

template <class Policy>
double hit_ratio(const std::vector<std::uint32_t>& trace, std::uint32_t capacity) {
  sequential_cache<Policy> cache{capacity, 1, 4'000};
  for (const std::uint32_t key : trace) cache.access(key);
  return cache.hit_ratio();
}

}  // namespace

TEST_CASE("policies reach the reference on real traces") {
  const std::string directory = trace_directory();
  const std::vector<row> rows = read_reference(directory + "/reference.tsv");
  if (rows.empty()) {
    WARN("no traces in " << directory << ": nothing to compare with");
    return;
  }
  std::map<std::string, std::vector<std::uint32_t>> traces;
  for (row values : rows) {
    const std::string name = values["trace"];
    // The numbers are for whole traces. Millions of requests are too many for a build that is slow on purpose.
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    if (std::stoul(values["requests"]) > 200'000) continue;
#endif
    std::vector<std::uint32_t>& trace = traces[name];
    if (trace.empty()) trace = read_trace(directory + "/" + name + ".u32.xz");
    REQUIRE(trace.size() == std::stoul(values["requests"]));
    const auto capacity = static_cast<std::uint32_t>(std::stoul(values["capacity"]));
    CAPTURE(name, capacity);
    const auto within_a_point = [&](const char* policy, double ratio) {
      CAPTURE(policy);
      CHECK(std::abs(ratio - std::stod(values[policy])) <= 1.0);
    };
    within_a_point("lru", hit_ratio<lru_policy>(trace, capacity));
    within_a_point("lfu", hit_ratio<lfu_policy>(trace, capacity));
    within_a_point("fifo", hit_ratio<fifo_policy>(trace, capacity));
    within_a_point("sieve", hit_ratio<sieve_policy>(trace, capacity));
    within_a_point("s3fifo", hit_ratio<s3fifo_policy>(trace, capacity));
    // The reference is rounded to hundredths.
    CHECK(hit_ratio<tinylfu_policy>(trace, capacity) >= std::stod(values["wtinylfu"]) - 0.005);
  }
}
