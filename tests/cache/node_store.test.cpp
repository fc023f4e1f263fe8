#include <banyan/cache/detail/node_store.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

struct test_node {
  using payload_type = std::string;  // not trivially destructible: nodes are looked after in batches of 64
  std::atomic<std::uint32_t> next{0};
  std::atomic<std::uint32_t> place{0};
  int destroyed = 0;
  std::function<void()> on_destroy;
  void destroy() noexcept {
    ++destroyed;
    if (on_destroy) std::exchange(on_destroy, nullptr)();
  }
};

struct test_domain {
  void synchronize() noexcept { ++barriers; }
  template <class F>
  void for_each_hazard(F f) const {
    for (const void* hazard : hazards) f(hazard);
  }
  std::vector<const void*> hazards;
  int barriers = 0;
};

struct stripe_part {
  std::uint32_t free_nodes = 0;
  std::uint32_t free_count = 0;
  std::uint32_t retired_nodes = 0;
  std::uint32_t retired_count = 0;
  std::uint32_t scan_at = 0;
};

using store = banyan::detail::node_store<test_node, test_domain>;

struct fixture {
  std::vector<test_node> nodes = std::vector<test_node>(200);
  test_domain domain;
  store nodes_of{nodes.data(), 200, domain};
  stripe_part mine;
  stripe_part other;
};

}  // namespace

TEST_CASE_METHOD(fixture, "node_store: every node once, then none, then those given back") {
  std::set<std::uint32_t> all;
  for (int i = 0; i < 200; ++i) CHECK(all.insert(nodes_of.take(mine)).second);
  CHECK(*all.rbegin() == 199);
  for (int i = 0; i < 10; ++i) CHECK(nodes_of.take(mine) == store::none);
  CHECK(nodes_of.high_water() == 200);
  // More than one thread keeps to itself: the rest is for all.
  for (const std::uint32_t node : all) nodes_of.give_back(node, mine);
  std::set<std::uint32_t> again;
  for (std::uint32_t node = nodes_of.take(other); node != store::none; node = nodes_of.take(other)) {
    CHECK(again.insert(node).second);
  }
  CHECK(again.size() >= 200 - 2 * store::scan_threshold);
  for (std::uint32_t node = nodes_of.take(mine); node != store::none; node = nodes_of.take(mine)) {
    CHECK(again.insert(node).second);
  }
  CHECK(again.size() == 200);
}

TEST_CASE_METHOD(fixture, "node_store: retired nodes are destroyed once and come back, in batches") {
  std::vector<std::uint32_t> taken;
  for (int i = 0; i < 200; ++i) taken.push_back(nodes_of.take(mine));
  for (const std::uint32_t node : taken) nodes_of.retire(node, mine);
  CHECK(domain.barriers <= 200 / 64 + 1);
  std::set<std::uint32_t> again;
  for (std::uint32_t node = nodes_of.take(mine); node != store::none; node = nodes_of.take(mine)) again.insert(node);
  CHECK(again.size() == 200);
  for (const test_node& node : nodes) CHECK(node.destroyed == 1);
}

TEST_CASE_METHOD(fixture, "node_store: a protected node is neither destroyed nor handed out") {
  for (int i = 0; i < 200; ++i) nodes_of.take(mine);
  domain.hazards = {&nodes[17], &nodes[150], nullptr, this, nodes.data() + 200};
  for (std::uint32_t i = 0; i < 200; ++i) {
    nodes_of.retire(i, mine);
    CHECK((nodes[17].next.load() & store::removed_bit) == (i >= 17 ? store::removed_bit : 0));
  }
  std::set<std::uint32_t> again;
  for (std::uint32_t node = nodes_of.take(mine); node != store::none; node = nodes_of.take(mine)) again.insert(node);
  CHECK(again.size() == 198);
  CHECK(nodes[17].destroyed == 0);
  CHECK(nodes[150].destroyed == 0);
  CHECK_FALSE(again.contains(17));
  domain.hazards.clear();
  std::set<std::uint32_t> late{nodes_of.take(mine), nodes_of.take(mine)};
  CHECK(late == std::set<std::uint32_t>{17, 150});
  CHECK(nodes_of.take(mine) == store::none);
}

TEST_CASE_METHOD(fixture, "node_store: protected nodes do not make every retirement look for hazards") {
  for (int i = 0; i < 200; ++i) nodes_of.take(mine);
  for (std::uint32_t i = 0; i < 100; ++i) domain.hazards.push_back(&nodes[i]);
  for (std::uint32_t i = 0; i < 200; ++i) nodes_of.retire(i, mine);
  CHECK(domain.barriers <= 4);
}

TEST_CASE_METHOD(fixture, "node_store: a destructor may come back in through the same stripe") {
  for (int i = 0; i < 200; ++i) nodes_of.take(mine);
  std::vector<std::uint32_t> taken_within;
  for (std::uint32_t i = 0; i < 64; i += 2) {
    nodes[i].on_destroy = [&, i] {
      nodes_of.retire(100 + i, mine);
      nodes_of.scan(mine);
      if (const std::uint32_t node = nodes_of.take(mine); node != store::none) taken_within.push_back(node);
    };
  }
  for (std::uint32_t i = 0; i < 64; ++i) nodes_of.retire(i, mine);
  nodes_of.scan(mine);
  std::multiset<std::uint32_t> all(taken_within.begin(), taken_within.end());
  for (std::uint32_t node = nodes_of.take(mine); node != store::none; node = nodes_of.take(mine)) all.insert(node);
  CHECK(all.size() == 96);
  CHECK(std::set<std::uint32_t>(all.begin(), all.end()).size() == 96);
}
