#include <banyan/shard/any_router.hpp>
#include <banyan/shard/directory_router.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/shard_map.hpp>

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"

namespace {

using banyan::testing::ids;
using banyan::testing::shards_of;
using any = banyan::any_router<std::string_view>;

static_assert(banyan::router_for<any, std::string_view>);

// A line of a configuration: "range g p", "modulo 3", "numbered 4".
any from_configuration(const std::string& line, std::uint64_t version) {
  std::istringstream words{line};
  std::string how;
  words >> how;
  if (how == "range") {
    std::vector<std::string> boundaries;
    for (std::string word; words >> word;) boundaries.push_back(word);
    return banyan::range_router<std::string>{boundaries}.with_version(version);
  }
  std::uint32_t shards = 0;
  words >> shards;
  using hashes = banyan::hash_router<std::string_view>;
  if (how == "modulo") return hashes::modulo(shards).with_version(version);
  if (how == "numbered") return hashes::numbered(shards).with_version(version);
  throw std::invalid_argument{"unknown router: " + how};
}

TEST_CASE("any router stands for any router", "[shard][any]") {
  const any range = from_configuration("range g p", 7);
  CHECK(range.route("hello") == 1);
  CHECK(shards_of(range) == ids{0, 1, 2});
  CHECK(range.version() == 7);
  CHECK(range.with_version(9).version() == 9);
  CHECK(range.with_version(9).route("hello") == 1);
  any changes = from_configuration("modulo 4", 2);
  CHECK(changes.route("hello") == banyan::hash_router<std::string_view>::modulo(4).route("hello"));
  changes = range;
  CHECK(changes.route("zebra") == 2);
}

TEST_CASE("the router of a map changes its kind when the configuration does", "[shard][any]") {
  banyan::shard_map<any, std::string> map{from_configuration("modulo 2", 1), {{0, "a"}, {1, "b"}, {2, "c"}}};
  CHECK(map.route_by(from_configuration("range g p", 2)));
  CHECK(*map.find(std::string_view{"hello"}) == "b");
  CHECK_FALSE(map.route_by(from_configuration("modulo 2", 1)));
  CHECK_THROWS_AS(map.route_by(from_configuration("modulo 4", 3)), std::invalid_argument);
  CHECK(*map.find(std::string_view{"zebra"}) == "c");
}

TEST_CASE("any router as part of another", "[shard][any]") {
  const banyan::directory_router<std::string, any> router{from_configuration("range g", 1), {{"zebra", 0}}};
  CHECK(router.route(std::string_view{"zebra"}) == 0);
  CHECK(router.route(std::string_view{"zoo"}) == 1);
}

}  // namespace
