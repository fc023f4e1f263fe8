#include <banyan/pool/connection_pool.hpp>
#include <banyan/pool/pool_size_for.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

#include "pool/stub.hpp"
#include "support/catch.hpp"

namespace {

using banyan::pool_options;
using banyan::testing::bench;
using banyan::testing::by_hand;
using banyan::testing::stub;
using namespace std::chrono_literals;

struct options_clock;
using room = bench<options_clock>;

// What the pool says of these options; empty when it takes them.
std::string refusal(pool_options<stub> o) {
  try {
    const room r{std::move(o)};
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

bool names(const std::string& text, const std::string& field, const std::string& value) {
  return text.find(field) != std::string::npos && text.find(value) != std::string::npos;
}

}  // namespace

TEST_CASE("pool options: defaults", "[pool]") {
  const pool_options<stub> o;
  CHECK(o.min == 5);
  CHECK(o.max == 20);
  CHECK(o.acquire_timeout == 30s);
  CHECK(o.idle_timeout == 10min);
  CHECK(o.max_lifetime == 30min);
  CHECK(o.validate_after == 500ms);
  CHECK(o.order == banyan::idle_order::lifo);
  CHECK(o.fairness == banyan::pool_fairness::fifo);
  CHECK(o.maintenance == banyan::pool_maintenance::housekeeper);
}

TEST_CASE("pool options: refused by name and value", "[pool]") {
  const auto with = [](auto change) {
    auto o = by_hand(1, 2);
    change(o);
    return refusal(o);
  };
  CHECK(with([](auto&) {}).empty());
  CHECK(names(with([](auto& o) { o.max = 0; }), "pool_options.max", "0"));
  CHECK(names(with([](auto& o) { o.max = 65'537; }), "pool_options.max", "65537"));
  CHECK(
      names(with([](auto& o) { o.max = std::numeric_limits<std::size_t>::max(); }), "pool_options.max", "1844674407"));
  CHECK(names(with([](auto& o) { o.min = 3; }), "pool_options.min", "3"));
  CHECK(with([](auto& o) { o.min = 5; }).empty());  // the default is cut down
  CHECK(names(with([](auto& o) { o.acquire_timeout = -1ns; }), "pool_options.acquire_timeout", "-1"));
  CHECK(names(with([](auto& o) { o.idle_timeout = -2ns; }), "pool_options.idle_timeout", "-2"));
  CHECK(names(with([](auto& o) { o.max_lifetime = -3ns; }), "pool_options.max_lifetime", "-3"));
  CHECK(names(with([](auto& o) { o.validate_after = -4ns; }), "pool_options.validate_after", "-4"));
  CHECK(names(with([](auto& o) { o.keepalive = -5ns; }), "pool_options.keepalive", "-5"));
  CHECK(names(with([](auto& o) { o.leak_threshold = -6ns; }), "pool_options.leak_threshold", "-6"));
  CHECK(names(with([](auto& o) { o.jitter = -0.5; }), "pool_options.jitter", "-0.5"));
  CHECK(names(with([](auto& o) { o.jitter = 1.5; }), "pool_options.jitter", "1.5"));
  CHECK(
      names(with([](auto& o) { o.jitter = std::numeric_limits<double>::quiet_NaN(); }), "pool_options.jitter", "nan"));
  CHECK(names(with([](auto& o) { o.jitter = std::numeric_limits<double>::infinity(); }), "pool_options.jitter", "inf"));
  CHECK(names(with([](auto& o) { o.max_opening = 0; }), "pool_options.max_opening", "0"));
  CHECK(names(with([](auto& o) { o.backoff_base = 0ns; }), "pool_options.backoff_base", "0"));
  CHECK(names(with([](auto& o) { o.backoff_cap = 7ns; }), "pool_options.backoff_cap", "7"));
  CHECK(names(with([](auto& o) { o.max_waiting = 0; }), "pool_options.max_waiting", "0"));
  CHECK(names(with([](auto& o) { o.max_waiting = 4'000'001; }), "pool_options.max_waiting", "4000001"));
  CHECK(names(with([](auto& o) { o.maintenance_interval = 0ns; }), "pool_options.maintenance_interval", "0"));
  CHECK(names(with([](auto& o) { o.maintenance = banyan::pool_maintenance::executor; }), "pool_options.executor",
              "none"));
  CHECK(names(with([](auto& o) { o.domain = nullptr; }), "pool_options.domain", "null"));
}

TEST_CASE("pool options: the ends of their ranges work", "[pool]") {
  constexpr auto ever = std::chrono::nanoseconds::max();
  auto o = by_hand(1, 1);
  o.acquire_timeout = o.idle_timeout = o.max_lifetime = o.validate_after = o.keepalive = ever;
  o.backoff_base = o.backoff_cap = o.leak_threshold = o.maintenance_interval = ever;
  o.max_opening = std::size_t{1} << 32;
  o.max_waiting = 1;
  o.jitter = 1;
  o.validate = [](stub&) { return true; };
  room r{o};
  using time = room::clock::time_point;
  for (const time now : {room::clock::now(), time::min(), time::max(), time{}}) {
    (void)r.pool->maintain(now);
    CHECK(r.pool->acquire({.timeout = ever}, now));
    CHECK(r.pool->try_acquire({}, now));
    (void)r.pool->acquire_async([](const room::result&) {}, {.timeout = ever}, now);
  }
  CHECK(r.people.most == 1);
  CHECK(r.pool->stats().waiting == 0);
}

TEST_CASE("pool options: a resize that is refused changes nothing", "[pool]") {
  room r{by_hand(1, 2)};
  CHECK_THROWS_AS(r.pool->resize(0, 0), std::invalid_argument);
  CHECK_THROWS_AS(r.pool->resize(3, 2), std::invalid_argument);
  CHECK_THROWS_AS(r.pool->resize(0, 1'025), std::invalid_argument);
  CHECK(r.borrow(5).size() == 2);
  r.pool->resize(0, 1'024);
  CHECK(r.borrow(5).size() == 5);
}

TEST_CASE("pool options: how many", "[pool]") {
  CHECK(banyan::pool_size_for(4) == 9);
  CHECK(banyan::pool_size_for(4, 0) == 8);
  CHECK(banyan::pool_size_for(1, 12) == 14);
  CHECK_THROWS_AS(banyan::pool_size_for(0, 1), std::invalid_argument);
}
