#include <banyan/core/detail/index_stack.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::detail::index_stack;

struct link_array {
  explicit link_array(std::size_t count) : words(count) {}
  auto links() {
    return [this](std::uint32_t i) -> std::atomic<std::uint32_t>& { return words[i]; };
  }
  std::vector<std::atomic<std::uint32_t>> words;
};

}  // namespace

TEST_CASE("index_stack: last in, first out, and chains at once") {
  link_array array{8};
  index_stack stack;
  CHECK(stack.empty());
  CHECK(stack.pop(array.links()) == index_stack::none);
  for (std::uint32_t i = 0; i < 4; ++i) stack.push(i, array.links());
  array.words[7].store(6 + 1);  // the chain 7 -> 6 -> 5
  array.words[6].store(5 + 1);
  stack.push(7, 5, array.links());
  CHECK_FALSE(stack.empty());
  for (const std::uint32_t expected : {7U, 6U, 5U, 3U, 2U, 1U, 0U}) CHECK(stack.pop(array.links()) == expected);
  CHECK(stack.pop(array.links()) == index_stack::none);
  CHECK(stack.empty());
}

TEST_CASE("index_stack: the owner's bit of a link stays") {
  link_array array{4};
  index_stack stack;
  constexpr std::uint32_t bit = std::uint32_t{1} << 31;
  stack.push(2, array.links(), bit);
  stack.push(1, array.links(), bit);
  CHECK(array.words[2].load() == bit);
  CHECK(array.words[1].load() == (bit | 3));
  CHECK(stack.pop(array.links()) == 1);
  CHECK(stack.pop(array.links()) == 2);
  CHECK(stack.pop(array.links()) == index_stack::none);
}

TEST_CASE("index_stack: each number has one owner at a time, whoever is stopped") {
  constexpr std::size_t workers = 4;
  constexpr std::uint32_t count = 6;  // few, so that the top comes back soon
  link_array array{count};
  index_stack stack;
  std::array<std::atomic<int>, count> owners{};
  std::atomic<std::uint64_t> shared{0};
  for (std::uint32_t i = 0; i < count; ++i) stack.push(i, array.links());
  const auto result =
      banyan::testing::stop_a_thread({.workers = workers,
                                      .mode = banyan::testing::stop_mode::several,
                                      .rounds = 200,
                                      .at_most = std::chrono::milliseconds{500},
                                      .operations = 100},
                                     [&](std::size_t) {
                                       const std::uint32_t first = stack.pop(array.links());
                                       const std::uint32_t second = stack.pop(array.links());
                                       for (const std::uint32_t mine : {first, second}) {
                                         if (mine != index_stack::none && owners[mine].fetch_add(1) != 0)
                                           shared.fetch_add(1);
                                       }
                                       for (const std::uint32_t mine : {first, second}) {
                                         if (mine == index_stack::none) continue;
                                         owners[mine].fetch_sub(1);
                                         stack.push(mine, array.links());
                                       }
                                     });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(shared.load() == 0);
  std::array<bool, count> there{};
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t popped = stack.pop(array.links());
    REQUIRE(popped < count);
    CHECK_FALSE(there[popped]);
    there[popped] = true;
  }
  CHECK(stack.pop(array.links()) == index_stack::none);
}
