#include "support/catch.hpp"

#include <banyan/core/clock.hpp>
#include <banyan/session/memory_session_backend.hpp>
#include <banyan/session/session_store.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "session/failing_backend.hpp"
#include "support/failing_allocator.hpp"

using namespace std::chrono_literals;

namespace {

struct tag;
using test_clock = banyan::basic_manual_clock<tag>;
using time_point = test_clock::time_point;
using banyan::session_errc;
using banyan::unexpected;
using backend = banyan::memory_session_backend;
using failing = banyan::testing::failing_backend<backend>;
using way = failing::way;
using store = banyan::session_store<std::string, failing, test_clock>;

constexpr time_point start{1'000'000h};
const unexpected missing{session_errc::not_found};
const unexpected away{session_errc::unavailable};

}  // namespace

TEST_CASE("session_store: a backend that is away is told of, by each operation, however it fails") {
  for (const way how : {way::says_so, way::throws}) {
    backend inner;
    failing outer{inner};
    outer.how = how;
    store sessions{outer, {.breaker = std::nullopt}, start};
    auto s = sessions.create("x", start);
    const std::string cookie{s->id.text()};
    outer.away = true;
    CHECK(sessions.create("y", start) == away);
    CHECK(sessions.load(cookie, start) == away);
    CHECK(sessions.peek(cookie, start) == away);
    CHECK(sessions.save(*s, start) == away);
    CHECK(sessions.touch(*s, start) == away);
    CHECK(sessions.rotate(*s, {}, start) == away);
    CHECK(sessions.destroy(cookie, start) == away);
    CHECK(sessions.update(
              cookie, [](std::string&) {}, start) == away);
    CHECK(sessions.load("no id", start) == missing);  // which needs no asking
    CHECK(sessions.stats().unavailable == 8);
    outer.away = false;
    CHECK(s->version == 1);
    REQUIRE(sessions.save(*s, start));
    CHECK(sessions.load(cookie, start)->value == "x");
    CHECK(inner.size() == 1);
  }
}

// A guest puts books into a cart, logs in, goes on and logs out; each call of the backend fails once, in each way. What
// was answered with yes must be there; what was answered with `unavailable` may have happened or not, and is tried
// again after a look.
TEST_CASE("session_store: whichever call fails, nothing that was promised is lost") {
  bool failed = true;
  for (const way how : {way::says_so, way::throws, way::answers_lost}) {
    failed = true;
    for (std::uint64_t n = 1; failed; ++n) {
      INFO("way " << static_cast<int>(how) << ", call " << n);
      backend inner;
      failing outer{inner};
      outer.how = how;
      outer.fails_at = n;
      store sessions{outer, {.renew_after = 0ms, .breaker = std::nullopt}, start};
      time_point now = start;

      auto s = sessions.create("", now);
      if (!s) s = sessions.create("", now);
      REQUIRE(s);
      std::string cookie{s->id.text()};

      for (int book = 1; book <= 3; ++book) {
        now += 1min;
        auto loaded = sessions.load(cookie, now);
        if (!loaded) loaded = sessions.load(cookie, now);
        REQUIRE(loaded);
        REQUIRE(loaded->value == std::string(static_cast<std::size_t>(book - 1), 'b'));
        loaded->value += 'b';
        if (const auto saved = sessions.save(*loaded, now); !saved) {
          REQUIRE(saved.error() == session_errc::unavailable);
          loaded = sessions.load(cookie, now);
          REQUIRE(loaded);
          if (loaded->value.size() < static_cast<std::size_t>(book)) {
            REQUIRE(how != way::answers_lost);
            loaded->value += 'b';
            REQUIRE(sessions.save(*loaded, now));
          }
        }
      }

      s = sessions.load(cookie, now);
      if (!s) s = sessions.load(cookie, now);
      REQUIRE(s->value == "bbb");
      const std::string guest = cookie;
      const std::string carted = s->value;
      s->value = "alice " + carted;
      if (const auto rotated = sessions.rotate(*s, {.grace = 5s}, now); !rotated) {
        REQUIRE(rotated.error() == session_errc::unavailable);
        REQUIRE(s->id.text() == guest);
        s = sessions.load(guest, now);  // by the grace, wherever it is
        REQUIRE(s);
        if (s->value == carted) {
          s->value = "alice " + carted;
          REQUIRE(sessions.rotate(*s, {.grace = 5s}, now));
        }
      }
      cookie = s->id.text();
      REQUIRE(cookie != guest);
      now += 5s;
      auto loaded = sessions.load(cookie, now);
      if (!loaded) loaded = sessions.load(cookie, now);
      REQUIRE(loaded);
      CHECK(loaded->value == "alice bbb");
      const auto by_old_id = sessions.load(guest, now);
      CHECK((by_old_id == missing || (by_old_id == away && outer.failed)));

      // A login without a grace: the new value is never to be had by the old id.
      const std::string before{loaded->id.text()};
      loaded->value = "admin";
      if (const auto rotated = sessions.rotate(*loaded, {}, now); !rotated) {
        REQUIRE(rotated.error() == session_errc::unavailable);
        const auto old = sessions.load(before, now);
        if (old) {
          CHECK(old->value == "alice bbb");
          loaded = old;
        } else {
          CHECK(old == missing);
          loaded = sessions.create("admin", now);  // logs in again
        }
      } else {
        const auto old = sessions.load(before, now);
        CHECK((old == missing || old == away));
      }
      cookie = loaded->id.text();
      if (const auto ended = sessions.destroy(cookie, now); !ended) {
        REQUIRE(ended == away);
        const auto again = sessions.destroy(cookie, now);
        CHECK((again || again == missing));
      }
      const bool fails_now = outer.calls + 1 == outer.fails_at;
      CHECK(sessions.load(cookie, now) == (fails_now ? away : missing));
      failed = outer.failed;
    }
  }
}

TEST_CASE("session_store: served from memory while the backend is away, for so long and marked") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 1h, .stale_for = 60s, .breaker = std::nullopt}, start};
  store elsewhere{outer, {}, start};
  auto s = sessions.create("x", start);
  const std::string cookie{s->id.text()};
  const std::string never_seen{elsewhere.create("y", start)->id.text()};
  outer.away = true;
  auto stale = sessions.load(cookie, start + 60s);
  REQUIRE(stale);
  CHECK(stale->stale);
  CHECK(stale->value == "x");
  CHECK(sessions.load(never_seen, start) == away);
  CHECK(sessions.save(*stale, start + 60s) == away);
  CHECK(sessions.update(
            cookie, [](std::string&) {}, start + 60s) == away);
  CHECK(sessions.load(cookie, start + 60001ms) == away);
  CHECK(sessions.load(cookie, start) == away);  // a clock that is set back makes nothing young again
  CHECK(sessions.stats().stale == 2);           // the update looked too

  // Back again: a stale copy is saved if it was not stale.
  outer.away = false;
  stale->value = "z";
  REQUIRE(sessions.save(*stale, start + 61s));
  CHECK_FALSE(stale->stale);
  REQUIRE(elsewhere.update(
      cookie, [](std::string& v) { v += "!"; }, start + 62s));
  stale->value = "lost";
  CHECK(sessions.save(*stale, start + 62s) == unexpected{session_errc::conflict});
  outer.away = true;
  CHECK(sessions.load(cookie, start + 63s)->value == "z");  // what this process saw last
  outer.away = false;
  CHECK(sessions.load(cookie, start + 63s)->value == "z!");
  outer.away = true;
  CHECK(sessions.load(cookie, start + 63s)->value == "z!");
}

TEST_CASE("session_store: what has ended is not served from memory") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 30s, .stale_for = 60s, .breaker = std::nullopt}, start};
  const auto made = [&] { return *sessions.create("x", start); };

  auto expired = made();
  auto destroyed = made();
  auto destroyed_away = made();
  auto rotated = made();
  auto graced = made();
  auto gone = made();
  // A load that was under way during the logout must not bring it back.
  outer.before_answer = [&] { CHECK(sessions.destroy(destroyed.id.text(), start)); };
  CHECK(sessions.load(destroyed.id.text(), start));
  const banyan::session_id planted = rotated.id;
  rotated.value = "alice";
  REQUIRE(sessions.rotate(rotated, {}, start));
  const banyan::session_id before = graced.id;
  REQUIRE(sessions.rotate(graced, {.grace = 5s}, start));
  REQUIRE(inner.erase(gone.id, 1, banyan::detail::to_session_time(start)));
  CHECK(sessions.load(gone.id.text(), start) == missing);

  outer.away = true;
  CHECK(sessions.load(expired.id.text(), start + 30s - 1ms)->stale);
  CHECK(sessions.load(expired.id.text(), start + 30s) == missing);
  CHECK(sessions.load(destroyed.id.text(), start) == missing);
  CHECK(sessions.destroy(destroyed_away.id.text(), start) == away);
  CHECK(sessions.load(destroyed_away.id.text(), start) == missing);
  CHECK(sessions.load(planted.text(), start) == missing);
  CHECK(sessions.load(planted.text(), start - 1h) == missing);
  CHECK(sessions.load(rotated.id.text(), start)->value == "alice");
  CHECK(sessions.load(before.text(), start + 1s)->id == graced.id);
  CHECK(sessions.load(before.text(), start + 5s) == missing);
  CHECK(sessions.load(gone.id.text(), start) == missing);
  // By an id of before too.
  CHECK(sessions.destroy(before.text(), start) == away);
  CHECK(sessions.load(graced.id.text(), start) == missing);
}

TEST_CASE("session_store: a load that was under way does not bring back what this process has seen to be gone") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.stale_for = 60s, .breaker = std::nullopt}, start};
  store elsewhere{outer, {.breaker = std::nullopt}, start};
  auto ended = *sessions.create("x", start);
  auto ended_elsewhere = *sessions.create("x", start);
  auto touched = *sessions.create("x", start);
  // A logout, and somebody who looks whether it worked, while another request has its answer and has not kept it yet.
  outer.before_answer = [&] {
    REQUIRE(sessions.destroy(ended.id.text(), start));
    CHECK(sessions.load(ended.id.text(), start) == missing);
  };
  CHECK(sessions.load(ended.id.text(), start));
  // A login, and an attacker who tries the id that he planted.
  auto rotated = *sessions.create("guest", start);
  const banyan::session_id planted = rotated.id;
  outer.before_answer = [&] {
    REQUIRE(sessions.rotate(rotated, {}, start));
    CHECK(sessions.load(planted.text(), start) == missing);
  };
  CHECK(sessions.load(planted.text(), start));
  // A logout elsewhere, which this process is told of by a load.
  const auto told = *sessions.create("x", start);
  outer.before_answer = [&] {
    REQUIRE(elsewhere.destroy(told.id.text(), start));
    CHECK(sessions.load(told.id.text(), start) == missing);
  };
  CHECK(sessions.load(told.id.text(), start));
  // It is told by a save and a touch that they are gone.
  REQUIRE(elsewhere.destroy(ended_elsewhere.id.text(), start));
  CHECK(sessions.save(ended_elsewhere, start) == missing);
  REQUIRE(elsewhere.destroy(touched.id.text(), start));
  CHECK(sessions.touch(touched, start) == missing);
  outer.away = true;
  CHECK_FALSE(sessions.load(ended.id.text(), start));
  CHECK_FALSE(sessions.load(ended_elsewhere.id.text(), start));
  CHECK_FALSE(sessions.load(touched.id.text(), start));
  CHECK_FALSE(sessions.load(planted.text(), start));
  CHECK_FALSE(sessions.load(told.id.text(), start));
  CHECK(sessions.load(rotated.id.text(), start)->stale);
}

TEST_CASE("session_store: a logout while the backend is away holds here, whatever time it names") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 30s, .stale_for = 60s, .breaker = std::nullopt}, start};
  for (const auto at : {start, start - 1ms, start - 1h, start + 30s, start + 24h}) {
    outer.away = false;
    const auto s = *sessions.create("x", start);
    outer.away = true;
    CHECK(sessions.destroy(s.id.text(), at) == away);
    CHECK_FALSE(sessions.load(s.id.text(), start));
  }
}

TEST_CASE("session_store: a clock that is ahead for a moment does not take a session's copy for ever") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 1h, .stale_for = 60s, .breaker = std::nullopt}, start};
  const auto s = *sessions.create("x", start);
  CHECK(sessions.load(s.id.text(), start + 2h) == missing);
  CHECK(sessions.load(s.id.text(), start + 1s));
  outer.away = true;
  CHECK(sessions.load(s.id.text(), start + 2s)->stale);
}

TEST_CASE("session_store: copies age from when they were asked for, whatever the clock did before") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 240h, .max_lifetime = 240h, .stale_for = 60s, .breaker = std::nullopt}, start};
  const auto s = *sessions.create("x", start);
  CHECK(sessions.load(s.id.text(), start + 24h));  // a clock that was ahead for a moment
  CHECK(sessions.load(s.id.text(), start + 1s));
  outer.away = true;
  CHECK(sessions.load(s.id.text(), start + 61s)->stale);
  CHECK(sessions.load(s.id.text(), start + 61s + 1ms) == away);
  CHECK(sessions.load(s.id.text(), start) == away);  // before it was seen: nobody knows how long ago that was

  // A request that was stopped between the answer and keeping it.
  outer.away = false;
  const auto slow = *sessions.create("y", start + 30h);
  outer.before_answer = [&] { CHECK(sessions.load(s.id.text(), start + 31h)); };
  CHECK(sessions.load(slow.id.text(), start + 30h));
  outer.away = true;
  CHECK(sessions.load(slow.id.text(), start + 31h) == away);
}

TEST_CASE("session_store: the breaker stops asking, and finds out when the backend is back") {
  backend inner;
  failing outer{inner};
  store sessions{outer,
                 {.stale_for = 1h,
                  .breaker = banyan::circuit_breaker_options{.window = 4, .min_calls = 4, .open_for = 5s, .probes = 1}},
                 start};
  auto s = sessions.create("x", start);
  const std::string cookie{s->id.text()};
  for (int i = 0; i < 4; ++i) CHECK(sessions.load(std::string(banyan::session_id::length, 'A'), start) == missing);
  CHECK(sessions.breaker_state() == banyan::circuit_state::closed);  // to say no is to work
  outer.away = true;
  for (int i = 0; i < 20; ++i) CHECK(sessions.load(cookie, start)->stale);
  CHECK(sessions.breaker_state() == banyan::circuit_state::open);
  const auto calls = outer.calls;
  CHECK(sessions.load(cookie, start)->stale);
  CHECK(sessions.save(*s, start) == away);
  CHECK(outer.calls == calls);
  outer.away = false;
  CHECK(sessions.load(cookie, start + 4s)->stale);
  CHECK_FALSE(sessions.load(cookie, start + 6s)->stale);
  CHECK(sessions.breaker_state() == banyan::circuit_state::closed);
  CHECK(sessions.save(*s, start + 6s));
}

TEST_CASE("session_store: whichever allocation fails, sessions are as they were or as they were to be") {
  const auto report = banyan::testing::for_every_failing_allocation([] {
    backend inner{{.capacity = 8}};
    banyan::session_store<std::string, backend, test_clock> sessions{
        inner, {.stale_for = 60s, .stale_capacity = 8}, start};
    const std::string large(100, 'x');
    auto s = sessions.create(large, start);
    if (!s) return;
    s->value += 'y';
    (void)sessions.save(*s, start);
    (void)sessions.rotate(*s, {.grace = 1s}, start);
    (void)sessions.load(s->id.text(), start);
    (void)sessions.destroy(s->id.text(), start);
  });
  INFO(report.describe());
  CHECK(report.clean());
}
