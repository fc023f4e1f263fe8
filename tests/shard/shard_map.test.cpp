#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/shard_map.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::no_shard;
using banyan::shard_id;
using banyan::shard_lookup;
using banyan::shard_map;
using banyan::testing::ids;
using banyan::testing::refused_field;
using ranges = banyan::range_router<std::uint64_t>;
using map_type = shard_map<ranges, std::string>;

ranges two() { return ranges{{100}}; }

TEST_CASE("a map gives what serves a key", "[shard][map]") {
  map_type map{two(), {{0, "a"}, {1, "b"}, {7, "idle"}}};
  CHECK(map.version() == 1);
  const auto here = map.find(150U);
  REQUIRE(here);
  CHECK(*here == "b");
  CHECK(here->size() == 1);
  CHECK(here.shard() == 1);
  CHECK(here.version() == 1);
  CHECK(here.status() == shard_lookup::found);
  CHECK(*map.at(7) == "idle");
  CHECK_FALSE(map.at(3));
  CHECK(map.at(3).status() == shard_lookup::nobody);
  CHECK(map.at(3).share() == nullptr);
  const auto view = map.read();
  CHECK(*view.find(5U) == "a");
  CHECK(view.at(3) == nullptr);
  CHECK(view.served() == ids{0, 1, 7});
  CHECK(view.router().route(5) == 0);
  const shard_map<banyan::range_router<double>, std::string> reals{banyan::range_router<double>{{0.5}},
                                                                   {{0, "a"}, {1, "b"}}};
  CHECK(reals.find(banyan::testing::not_a_number).status() == shard_lookup::nobody);
}

TEST_CASE("changes raise the version, and what was found stays", "[shard][map]") {
  map_type map{two(), {{0, "a"}, {1, "b"}}};
  const auto before = map.find(150U);
  const std::shared_ptr<std::string> shared = before.share();
  CHECK(map.serve(2, "c"));
  CHECK_FALSE(map.serve(1, "b2"));
  CHECK(map.version() == 3);
  CHECK(*before == "b");
  CHECK(*map.find(150U) == "b2");
  CHECK(map.update([](const ranges& r) { return r.split(150, 2); }));
  CHECK(map.version() == 4);
  CHECK(*map.find(150U) == "c");
  CHECK(map.router().version() == 2);
  CHECK(map.remove(5) == false);
  CHECK(map.version() == 4);
  CHECK(map.update([](const ranges& r) { return r.merge(150); }));
  CHECK(map.remove(2));
  CHECK_FALSE(map.at(2));
  CHECK(*shared == "b");
}

TEST_CASE("a caller with a stale version is told so", "[shard][map]") {
  map_type map{two(), {{0, "a"}, {1, "b"}}};
  CHECK(map.find(5U, 1));
  map.serve(2, "c");
  const auto stale = map.find(5U, 1);
  CHECK_FALSE(stale);
  CHECK(stale.status() == shard_lookup::stale);
  CHECK(stale.shard() == 0);
  CHECK(stale.version() == 2);
  CHECK(stale.share() == nullptr);
  CHECK(map.find(5U, 2).status() == shard_lookup::found);
  CHECK(map.find(5U, 3).status() == shard_lookup::ahead);
  // Every kind of change.
  std::uint64_t last = map.version();
  const auto told = [&] {
    const bool is = map.find(5U, last).status() == shard_lookup::stale && map.version() > last;
    last = map.version();
    return is;
  };
  map.serve(2, "d");
  CHECK(told());
  map.remove(2);
  CHECK(told());
  map.route_by(two().with_version(2));
  CHECK(told());
  map.update([](const ranges& r) { return r.reassign(0, 1); });
  CHECK(told());
  map.assign(two(), {{0, "a"}, {1, "b"}});
  CHECK(told());
  CHECK(map.assign(two(), {{0, "a"}, {1, "b"}}, 100));
  CHECK(told());
  CHECK(map.version() == 100);
  CHECK_FALSE(map.assign(two(), {{0, "x"}, {1, "y"}}, 100));
  CHECK_FALSE(map.assign(two(), {{0, "x"}, {1, "y"}}, 3));
  CHECK(*map.find(5U) == "a");
  CHECK(map.version() == 100);
}

TEST_CASE("of two who change the same router one loses", "[shard][map]") {
  map_type map{two(), {{0, "a"}, {1, "b"}, {2, "c"}, {3, "d"}}};
  const ranges mine = map.router().split(50, 2);
  const ranges theirs = map.router().split(60, 3);
  CHECK(map.route_by(theirs));
  CHECK_FALSE(map.route_by(mine));
  CHECK(map.version() == 2);
  CHECK(map.find(55U).shard() == 0);
  CHECK_FALSE(map.update([](const ranges& r) { return r; }));
  CHECK(map.route_by(two().with_version(9)));  // back to the old one
  CHECK(map.find(60U).shard() == 0);
}

TEST_CASE("maps refuse what makes no sense, and nothing changes", "[shard][map]") {
  using entries = std::vector<map_type::entry>;
  const auto refused_map = [](entries serving) {
    return refused_field([&] {
      const map_type map{two(), serving};
      return map.version();
    });
  };
  CHECK(refused_map({}) == "shard_map.router");
  CHECK(refused_map({{0, "a"}}) == "shard_map.router");
  CHECK(refused_map({{0, "a"}, {1, "b"}, {0, "c"}}) == "shard_map.serving");
  CHECK(refused_map({{0, "a"}, {1, std::shared_ptr<std::string>{}}}) == "shard_map.serving");
  CHECK(refused_map({{0, "a"}, {1, "b"}, {no_shard, "c"}}) == "shard_map.shard");
  map_type map{two(), {{0, "a"}, {1, "b"}}};
  CHECK(refused_field([&] { return map.route_by(map.router().split(50, 2)); }) == "shard_map.router");
  CHECK(refused_field([&] { return map.update([](const ranges& r) { return r.split(50, 2); }); }) ==
        "shard_map.router");
  CHECK(refused_field([&] { return map.remove(1); }) == "shard_map.router");
  CHECK(refused_field([&] { return map.serve(2, std::shared_ptr<std::string>{}); }) == "shard_map.serving");
  CHECK(refused_field([&] { return map.serve(no_shard, "x"); }) == "shard_map.shard");
  CHECK(refused_field([&] { return map.assign(two(), {{0, "a"}}, 10); }) == "shard_map.router");
  CHECK_THROWS_AS(map.update([](const ranges&) -> ranges { throw std::runtime_error{"no"}; }), std::runtime_error);
  CHECK(map.version() == 1);
  CHECK(*map.find(5U) == "a");
}

struct service {
  service() = default;
  service(const service&) = delete;
  service& operator=(const service&) = delete;
  virtual ~service() = default;
  [[nodiscard]] virtual int port() const = 0;
};

// Looks at the map when it dies.
struct farewell final : service {
  using map_type = shard_map<ranges, service>;
  farewell(const map_type*& of, std::vector<std::uint64_t>& log) : map{of}, versions{log} {}
  farewell(const farewell&) = delete;
  farewell& operator=(const farewell&) = delete;
  ~farewell() override { versions.push_back(map == nullptr ? 0 : map->version()); }
  [[nodiscard]] int port() const override { return 80; }
  const map_type*& map;
  std::vector<std::uint64_t>& versions;
};

TEST_CASE("what serves may be an interface, and use the map while it dies", "[shard][map]") {
  const shard_map<ranges, service>* where = nullptr;
  std::vector<std::uint64_t> log;
  shard_map<ranges, service> map{ranges{}, {{0, std::make_shared<farewell>(where, log)}}};
  where = &map;
  CHECK(map.find(1U)->port() == 80);
  map.serve(0, std::make_shared<farewell>(where, log));
  CHECK(log == std::vector<std::uint64_t>{2});
  {
    const auto held = map.find(1U);
    map.serve(0, std::make_shared<farewell>(where, log));
    CHECK(log.size() == 1);
    CHECK(held->port() == 80);
  }
  map.serve(1, std::make_shared<farewell>(where, log));
  CHECK(log == std::vector<std::uint64_t>{2, 4});
  where = nullptr;
}

TEST_CASE("what serves may be move-only", "[shard][map]") {
  shard_map<ranges, std::unique_ptr<int>> map{ranges{}, {{0, std::make_unique<int>(4)}}};
  CHECK(**map.find(1U) == 4);
  map.serve(0, std::make_unique<int>(5));
  CHECK(**map.find(1U) == 5);
}

TEST_CASE("a failed allocation leaves the map as it was", "[shard][map]") {
  static_cast<void>(map_type{two(), {{0, "a"}, {1, "b"}}}.find(1U));  // the thread's record lasts
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    map_type map{two(), {{0, "a"}, {1, "b"}}};
    const std::uint64_t before = map.version();
    try {
      map.serve(2, "c");
      map.update([](const ranges& r) { return r.reassign(0, 2); });
      map.update([](const ranges& r) { return r.reassign(0, 0); });
      map.remove(2);
    } catch (...) {
      const auto now = map.read();
      bool whole = now.version() >= before;
      for (const shard_id id : now.router().shards()) whole = whole && now.at(id) != nullptr;
      if (!whole) throw std::logic_error{"half a change"};
      throw;
    }
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("readers see whole maps, in order, while two writers change them", "[shard][map]") {
  shard_map<ranges, std::uint64_t> map{ranges{{1000}}, {{0, 0U}, {1, 1U}}};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> backwards{0};
  const auto read = [&] {
    std::uint64_t last = 0;
    std::uint64_t key = 0;
    while (!stop) {
      key = (key + 7) % 2000;
      const auto found = map.find(key);
      if (!found || *found != found.shard()) ++wrong;  // the server says which shard it is for
      if (found.version() < last) ++backwards;
      last = found.version();
      const auto now = map.read();
      if (now.version() < last) ++backwards;
      last = now.version();
      for (const shard_id id : now.router().shards()) {
        if (now.at(id) == nullptr || *now.at(id) != id) ++wrong;
      }
    }
  };
  {
    const banyan::testing::joining_thread first{read};
    const banyan::testing::joining_thread second{read};
    {
      std::vector<banyan::testing::joining_thread> writers;
      for (shard_id w = 0; w < 2; ++w) {
        writers.emplace_back([&, w] {
          for (std::uint64_t i = 0; i < 500; ++i) {
            const std::uint64_t boundary = 1 + w * 1000 + i;
            const shard_id fresh = 2 + w + 2 * static_cast<shard_id>(i % 5);
            map.serve(fresh, std::uint64_t{fresh});
            if (!map.update([&](const ranges& r) { return r.split(boundary, fresh); })) ++wrong;
            if (!map.update([&](const ranges& r) { return r.merge(boundary); })) ++wrong;
            if (!map.remove(fresh)) ++wrong;
          }
        });
      }
    }
    stop = true;
  }
  CHECK(wrong == 0);
  CHECK(backwards == 0);
  CHECK(map.version() == 4001);
}

TEST_CASE("whoever stops, others go on looking up and changing the map", "[shard][map]") {
  using hashes = banyan::hash_router<std::uint64_t>;
  shard_map<hashes, std::uint64_t> map{hashes::modulo(1), {{0, 0U}}};
  std::atomic<int> wrong{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .rounds = 40, .operations = 20}, [&](std::size_t worker, std::uint64_t i) {
        const auto mine = static_cast<shard_id>(worker) + 1;
        if (i % 4 == 0 && !map.serve(mine, std::uint64_t{mine})) ++wrong;
        if (i % 4 == 1 && !map.update([&](const hashes& r) { return r.add(mine); })) ++wrong;
        if (i % 4 == 2 && !map.update([&](const hashes& r) { return r.remove(mine); })) ++wrong;
        if (i % 4 == 3 && !map.remove(mine)) ++wrong;
        const auto found = map.find(i);
        if (!found || *found != found.shard()) ++wrong;
      });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(wrong == 0);
}

}  // namespace
