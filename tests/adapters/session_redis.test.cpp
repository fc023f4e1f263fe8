#include "support/catch.hpp"

#if !defined(BANYAN_TEST_HIREDIS)

TEST_CASE("redis_session_backend: skipped, this build has no hiredis") { SUCCEED(); }

#else

#include <banyan/adapters/redis_session_backend.hpp>
#include <banyan/session/session_store.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "adapters/redis_server.hpp"
#include "session/backend_contract.hpp"
#include "session/model.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

using backend = banyan::redis_session_backend;
using banyan::redis_connection;
using banyan::session_errc;
using banyan::unexpected;
using banyan::testing::connected;
using banyan::testing::machine_connections;
using banyan::testing::server;
using store = banyan::session_store<std::string, backend>;

struct machine {
  backend::pool pool{connected, machine_connections()};
  backend kept{pool, {.prefix = "test:", .timeout = 60s}};
};

}  // namespace

TEST_CASE("redis_session_backend: does what a backend does") {
  if (server() == nullptr) return;
  machine m;
  banyan::testing::check_backend_contract(m.kept);
  // The server knows the script by the name that is in the header.
  redis_connection c = connected();
  c.command("SCRIPT", "FLUSH");
  banyan::testing::check_backend_contract(m.kept);
  CHECK(c.command("SCRIPT", "LOAD", banyan::detail::redis_session_script::script).text() ==
        banyan::detail::redis_session_script::sha1);
}

TEST_CASE("redis_session_backend: a store over it does what a map does") {
  if (server() == nullptr) return;
  machine m;
  for (std::uint64_t run = 0; run < 3; ++run) {
    const std::uint64_t seed = banyan::testing::derived_seed("Redis sessions beside a map", run);
    CAPTURE(seed);
    banyan::testing::compare_with_model(m.kept, seed, 400);
  }
}

TEST_CASE("redis_session_backend: the server forgets a session a minute after its time") {
  if (server() == nullptr) return;
  machine m;
  const banyan::session_id id = banyan::session_id::make();
  const auto now = banyan::testing::at_ms(1'000'000'000'000);
  const std::string key = "test:" + std::string{id.text()};
  redis_connection c = connected();
  const auto left = [&] { return c.command("PTTL", key).integer().value_or(-3); };
  REQUIRE(m.kept.put(id, {.data = "x", .version = 1, .created = now, .expires = now + 1h}, 0, now));
  CHECK((left() > 60'000 && left() <= 3'660'000));
  REQUIRE(m.kept.touch(id, 1, now + 10h, now));
  CHECK((left() > 3'660'000 && left() <= 36'060'000));
  REQUIRE(
      m.kept.put(id, {.version = 2, .created = now, .expires = now, .state = banyan::session_state::moved}, 1, now));
  CHECK((left() > 0 && left() <= 60'000));
}

TEST_CASE("redis_session_backend: of what threads of several machines add nothing is lost") {
  if (server() == nullptr) return;
  machine one;
  machine other;
  const std::string cookie{store{one.kept}.create("")->id.text()};
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 25;
  std::atomic<std::size_t> added{0};
  {
    std::vector<banyan::testing::joining_thread> workers;
    for (std::size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        store sessions{t % 2 == 0 ? one.kept : other.kept, {.update_attempts = 1000, .breaker = std::nullopt}};
        for (std::size_t i = 0; i < each; ++i) {
          if (sessions.update(cookie, [](std::string& v) { v += 'x'; })) ++added;
        }
      });
    }
  }
  CHECK(added == threads * each);
  CHECK(store{one.kept}.load(cookie)->value.size() == added);
}

TEST_CASE("redis_session_backend: what the server refuses, and what is no session") {
  if (server() == nullptr) return;
  machine m;
  store sessions{m.kept, {.breaker = std::nullopt}};
  auto s = sessions.create("x");
  REQUIRE(s);
  const std::string cookie{s->id.text()};
  const std::string key = "test:" + cookie;
  redis_connection c = connected();
  c.command("HSET", key, "e", "tomorrow");
  CHECK(sessions.load(cookie) == unexpected{session_errc::corrupt});
  const auto other = sessions.create("x");
  c.command("HSET", "test:" + std::string{other->id.text()}, "s", "256");  // a byte of it would be 0, live
  CHECK(sessions.load(other->id.text()) == unexpected{session_errc::corrupt});
  c.command("DEL", key);
  CHECK(sessions.load(cookie) == unexpected{session_errc::not_found});
  c.command("SET", key, "not a hash");
  CHECK(sessions.load(cookie) == unexpected{session_errc::corrupt});
  CHECK(sessions.save(*s) == unexpected{session_errc::corrupt});
  CHECK(sessions.stats().unavailable == 0);  // the server is well, whoever's cookie names such a key
  c.command("DEL", key);

  s = sessions.create("x");
  c.command("CONFIG", "SET", "maxmemory", "1");
  CHECK(sessions.create("y") == unexpected{session_errc::full});
  CHECK(sessions.save(*s) == unexpected{session_errc::full});
  CHECK(sessions.load(s->id.text())->value == "x");
  CHECK(sessions.destroy(s->id.text()));
  c.command("CONFIG", "SET", "maxmemory", "0");
  CHECK(sessions.create("y"));
}

TEST_CASE("redis_session_backend: a server that is killed or hangs is unavailable, and is found again") {
  if (server() == nullptr) return;
  machine m;
  backend hasty{m.pool, {.prefix = "test:", .timeout = 30ms}};
  int told = 0;
  int why = 0;
  store sessions{hasty,
                 {.stale_for = 1h, .breaker = std::nullopt, .on_failure = [&](const banyan::session_failure& failure) {
                    ++told;
                    try {
                      if (failure.thrown != nullptr) std::rethrow_exception(failure.thrown);
                    } catch (const banyan::redis_error&) {
                      ++why;
                    }
                  }}};
  const auto again = [](auto ask) {
    auto answer = ask();
    while (!answer && answer.error() == session_errc::unavailable) answer = ask();
    return answer;
  };
  auto s = again([&] { return sessions.create("x"); });
  REQUIRE(s);
  const std::string cookie{s->id.text()};
  server()->pause();
  CHECK(sessions.load(cookie)->stale);
  CHECK(sessions.save(*s) == unexpected{session_errc::unavailable});
  server()->resume();
  bool back = false;
  while (!back) {
    const auto loaded = sessions.load(cookie);
    REQUIRE(loaded);
    back = !loaded->stale;
  }
  server()->kill();
  CHECK(sessions.load(cookie)->stale);
  CHECK(sessions.destroy(cookie) == unexpected{session_errc::unavailable});
  CHECK(sessions.load(cookie) == unexpected{session_errc::not_found});
  server()->start();
  CHECK(again([&] { return sessions.create("y"); }));
  CHECK(told >= 3);
  CHECK(why == told);  // too late, cut off, or not to be reached: it says which
}

TEST_CASE("redis_session_backend: options out of their range are refused by name") {
  backend::pool none{[]() -> redis_connection { throw std::runtime_error{"none"}; }, {.min = 0}};
  const auto refused = [&](banyan::redis_session_backend_options options) {
    return banyan::testing::refused_field([&] {
      const backend kept{none, options};
      return 0;
    });
  };
  CHECK(refused({.timeout = 0ms}) == "redis_session_backend_options.timeout");
  CHECK(refused({.timeout = std::chrono::milliseconds::max()}) == "redis_session_backend_options.timeout");
  CHECK(refused({}).empty());
}

#endif
