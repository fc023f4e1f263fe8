#include <banyan/pool.hpp>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "pool/stub.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

struct connection {
  int id = 0;
  int queries = 0;
  [[nodiscard]] bool ping() const { return id > 0; }
  int query(const char*) { return ++queries; }
};

std::atomic<int> opened{0};
connection connect(const char*) { return connection{++opened}; }

}  // namespace

TEST_CASE("pool: the example", "[pool]") {
  banyan::connection_pool<connection> pool{[] { return connect("host=..."); },
                                           {.min = 5,
                                            .max = 20,
                                            .acquire_timeout = 30s,
                                            .idle_timeout = 10min,
                                            .max_lifetime = 30min,
                                            .validate = [](connection& c) { return c.ping(); }}};

  banyan::expected<banyan::lease<connection>, banyan::pool_error> c = pool.acquire();
  REQUIRE(c);
  CHECK((*c)->query("select 1") == 1);
  auto now = pool.try_acquire();
  CHECK((now || now.error() == banyan::pool_errc::exhausted));
  std::atomic<int> called{0};
  pool.acquire_async([&](auto lease_or_error) {
    if (lease_or_error) ++called;
  });
  auto as_coroutine = [&]() -> banyan::testing::coroutine {
    auto later = co_await pool.acquire_awaitable();
    if (later) ++called;
  };
  const auto running = as_coroutine();
  CHECK(banyan::testing::comes_true([&] { return called == 2; }));
  (*c).discard();
  if (now) (*now).release();
  const bool all = pool.close(10s);
  CHECK(all);
  const banyan::pool_stats s = pool.stats();
  CHECK(s.idle + s.in_use + s.opening + s.waiting == 0);
  CHECK(s.created == s.closed_in_all());
  CHECK(s.closed_for(banyan::close_cause::discarded) == 1);
  CHECK(s.timeouts == 0);
  CHECK(s.acquire_times.count() == s.borrowed);
  CHECK(s.usage_times.count() > 0);
}
