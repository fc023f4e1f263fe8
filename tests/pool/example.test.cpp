#include <banyan/pool/connection_pool.hpp>
#include <chrono>
#include "support/catch.hpp"
using namespace std::chrono_literals;
struct connection {
  int id;
  bool ping() { return true; }
  int query(const char*) { return id; }
};
TEST_CASE("connection_pool: the example", "[pool]") {
  int n = 0;
  banyan::connection_pool<connection> pool{
      [&] { return connection{++n}; },
      {.min = 5, .max = 20, .acquire_timeout = 30s, .idle_timeout = 10min, .max_lifetime = 30min, .max_opening = 1}};
  banyan::expected<banyan::lease<connection>, banyan::pool_error> c = pool.acquire();
  REQUIRE(c);
  CHECK((*c)->query("x") >= 1);
  (*c).discard();
  CHECK(pool.close(10s));
}
