#include <banyan/core/cache_line.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace {

using banyan::cache_line_size;
using banyan::padded;

struct alignas(4 * cache_line_size) wide {
  char c = 0;
};

static_assert(sizeof(padded<std::array<char, cache_line_size + 1>>) == 2 * cache_line_size);
static_assert(alignof(padded<wide>) == 4 * cache_line_size);

TEST_CASE("neighbours do not share a line", "[core][cache_line]") {
  std::array<padded<std::atomic<int>>, 3> counters{};
  for (std::size_t i = 1; i < counters.size(); ++i) {
    const auto distance =
        reinterpret_cast<std::uintptr_t>(&*counters[i]) - reinterpret_cast<std::uintptr_t>(&*counters[i - 1]);
    CHECK(distance >= cache_line_size);
    CHECK(reinterpret_cast<std::uintptr_t>(&*counters[i]) % cache_line_size == 0);
  }
}

TEST_CASE("it is built like what it holds", "[core][cache_line]") {
  padded<std::string> text{"abc"};
  CHECK(text->size() == 3);
  padded<std::string> repeated{std::in_place, 3U, 'x'};
  CHECK(*repeated == "xxx");
  padded<std::unique_ptr<int>> owner{std::make_unique<int>(4)};
  const padded<std::unique_ptr<int>> taken = std::move(owner);
  CHECK(**taken == 4);
}

}  // namespace
