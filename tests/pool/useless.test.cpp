#include <banyan/pool/connection_pool.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

using clock = banyan::basic_manual_clock<struct useless_connections>;
struct connection {
  int number = 0;
};
using pool_type = banyan::connection_pool<connection, clock>;
using options = banyan::pool_options<connection>;

options by_hand() {
  options o;
  o.min = 0;
  o.max = 4;
  o.maintenance = banyan::pool_maintenance::caller;
  o.acquire_timeout = 20ms;
  return o;
}

std::string what(const std::exception_ptr& cause) {
  if (cause == nullptr) return "nothing";
  try {
    std::rethrow_exception(cause);
  } catch (const std::exception& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("new connections that no hook accepts are not opened one after the other", "[pool]") {
  int opened = 0;
  options o = by_hand();
  o.on_borrow = [](connection&) { throw std::runtime_error{"no such role"}; };
  pool_type pool{[&] { return connection{++opened}; }, o};
  // The clock stands still, so the pause after each failure never ends: one try, whoever asks.
  for (int i = 0; i < 5; ++i) {
    const auto c = pool.acquire();
    REQUIRE_FALSE(c);
    CHECK(c.error() == banyan::pool_errc::timeout);
    CHECK(what(c.error().cause()) == "no such role");
  }
  CHECK(opened == 1);
  int before = opened;
  for (int i = 0; i < 10; ++i) {
    clock::advance(1min);  // longer than the longest pause
    (void)pool.acquire();
    CHECK(opened == before + 1);
    before = opened;
  }
}

TEST_CASE("once they are accepted, opening is as fast as before", "[pool]") {
  bool good = false;
  int opened = 0;
  options o = by_hand();
  o.on_borrow = [&](connection&) {
    if (!good) throw std::runtime_error{"not yet"};
  };
  pool_type pool{[&] { return connection{++opened}; }, o};
  for (int i = 0; i < 3; ++i) {
    clock::advance(1min);
    CHECK_FALSE(pool.acquire());
  }
  good = true;
  clock::advance(1min);
  const auto first = pool.acquire();
  const auto second = pool.acquire();
  const auto third = pool.acquire();
  CHECK((first && second && third));
}

TEST_CASE("an error that is over is not told any more", "[pool]") {
  int tries = 0;
  options o = by_hand();
  o.max = 1;
  pool_type pool{[&] {
                   if (++tries == 1) throw std::runtime_error{"refused"};
                   return connection{tries};
                 },
                 o};
  auto failed = pool.acquire();
  REQUIRE_FALSE(failed);
  CHECK(what(failed.error().cause()) == "refused");
  clock::advance(1min);
  const auto held = pool.acquire();
  REQUIRE(held);
  const auto none = pool.acquire();
  REQUIRE_FALSE(none);
  CHECK(none.error() == banyan::pool_errc::timeout);
  CHECK(none.error().cause() == nullptr);
}

TEST_CASE("who waits does not validate longer than it would wait", "[pool]") {
  int validated = 0;
  options o = by_hand();
  o.max = 4;
  o.validate_after = 1ms;
  o.validate = [&](connection&) {
    ++validated;
    std::this_thread::sleep_for(5ms);
    return false;
  };
  pool_type pool{[] { return connection{}; }, o};
  {
    const auto a = pool.acquire();
    const auto b = pool.acquire();
    const auto c = pool.acquire();
    REQUIRE((a && b && c));
  }
  clock::advance(1min);
  CHECK_FALSE(pool.acquire({.timeout = 1ms}));
  CHECK(validated <= 2);  // the first before it is known that there is something to wait for
}
