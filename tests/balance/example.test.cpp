#include <banyan/balance.hpp>

#include <chrono>
#include <string>
#include <string_view>

#include "support/catch.hpp"

/// The example of the documentation, as it is written there.

namespace {

struct backend {
  std::string address;
};

struct answer {
  bool ok;
  std::chrono::milliseconds latency;
};

answer call(const std::string& address) { return {address == "10.0.0.1:80", std::chrono::milliseconds{3}}; }

}  // namespace

TEST_CASE("a balanced caller") {
  banyan::cluster<backend> web;
  auto a = web.add({"10.0.0.1:80"}, {.weight = 5, .zone = "eu-1", .priority = 0});
  auto b = web.add({"10.0.0.2:80"});

  banyan::balancer<backend, banyan::peak_ewma> lb{web};
  if (auto pick = lb.pick()) {
    auto reply = call(pick->address);
    reply.ok ? pick.succeeded(reply.latency) : pick.failed();
  }
  CHECK(web.stats(a)->succeeded + web.stats(b)->failed == 1);

  auto again = lb.pick({.avoid = a});
  CHECK(again.id() == b);
  CHECK(web.in_flight(b) == 1);
  std::string_view client_ip = "192.0.2.7";
  auto sticky = lb.pick({.key = banyan::hash_of(client_ip)});
  CHECK(sticky);
  CHECK(web.in_flight(a) + web.in_flight(b) == 2);
  CHECK(web.size() == 2);
  web.set_weight(b, 2);
  web.set_health(b, banyan::health::unhealthy);
  web.drain(a);
  CHECK(web.drained(a) == (web.in_flight(a) == 0));
  CHECK(web.remove(a));
}
