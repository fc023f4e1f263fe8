#include "support/catch.hpp"

#include <banyan/core/clock.hpp>
#include <banyan/session/memory_session_backend.hpp>
#include <banyan/session/session_store.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "session/failing_backend.hpp"
#include "session/remote_backend.hpp"
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
struct steady_tag;
using steady = banyan::basic_manual_clock<steady_tag>;
using codec = banyan::session_codec<std::string>;
using store = banyan::session_store<std::string, failing, test_clock, codec, steady>;

constexpr time_point start{1'000'000h};
const unexpected missing{session_errc::not_found};
const unexpected away{session_errc::unavailable};

template <bool Never>
struct broken : backend {
  static constexpr bool never_away = Never;
  banyan::expected<banyan::session_record, session_errc> get(const banyan::session_id&, banyan::session_time) {
    return away;
  }
};

}  // namespace

TEST_CASE("session_store: a backend that is away is told of, by each operation, however it fails") {
  for (const way how : {way::says_so, way::throws}) {
    backend inner;
    failing outer{inner};
    outer.how = how;
    store sessions{outer, {.breaker = std::nullopt}};
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
      store sessions{outer, {.renew_after = 0ms, .breaker = std::nullopt}};
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
  store sessions{outer, {.ttl = 1h, .stale_for = 60s, .breaker = std::nullopt}};
  store elsewhere{outer, {}};
  auto s = sessions.create("x", start);
  const std::string cookie{s->id.text()};
  const std::string never_seen{elsewhere.create("y", start)->id.text()};
  outer.away = true;
  steady::advance(60s);
  auto stale = sessions.load(cookie, start + 60s);
  REQUIRE(stale);
  CHECK(stale->stale);
  CHECK(stale->value == "x");
  CHECK(sessions.load(never_seen, start) == away);
  CHECK(sessions.save(*stale, start + 60s) == away);
  CHECK(sessions.update(
            cookie, [](std::string&) {}, start + 60s) == away);
  steady::advance(1ms);
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
  store sessions{outer, {.ttl = 30s, .stale_for = 60s, .breaker = std::nullopt}};
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
  CHECK(sessions.load(expired.id.text(), start + 30s) == away);  // or prolonged by another server
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

TEST_CASE("session_store: a copy whose time is over says nothing of the session, which another may have prolonged") {
  backend inner;
  failing outer{inner};
  const banyan::session_options options{
      .ttl = 30s, .max_lifetime = 50s, .renew_after = 0s, .stale_for = 60s, .breaker = std::nullopt};
  store sessions{outer, options};
  store elsewhere{outer, options};
  const auto s = sessions.create("x", start);
  const std::string cookie{s->id.text()};
  REQUIRE(elsewhere.load(cookie, start + 20s)->expires == banyan::detail::to_session_time(start + 50s));
  outer.away = true;
  CHECK(sessions.load(cookie, start + 29s)->stale);
  CHECK(sessions.load(cookie, start + 30s) == away);  // not to be taken for logged out
  CHECK(sessions.load(cookie, start + 49s) == away);
  CHECK(elsewhere.load(cookie, start + 49s)->stale);
  CHECK(sessions.load(cookie, start + 50s) == missing);  // its longest lifetime nobody prolongs
  CHECK(elsewhere.load(cookie, start + 50s) == missing);
}

TEST_CASE("session_store: a touch counts for the copy too") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 30s, .stale_for = 25s, .breaker = std::nullopt}};
  auto s = sessions.create("x", start);
  auto untouched = sessions.create("y", start);
  steady::advance(20s);
  REQUIRE(sessions.touch(*s, start + 20s));
  auto old = *untouched;
  REQUIRE(sessions.save(*untouched, start + 20s));
  old.version = 1;
  CHECK(sessions.touch(old, start + 21s) == unexpected{session_errc::conflict});
  outer.away = true;
  steady::advance(20s);
  const auto stale = sessions.load(s->id.text(), start + 40s);
  REQUIRE(stale);
  CHECK(stale->stale);
  CHECK(stale->expires == banyan::detail::to_session_time(start + 50s));
  CHECK(sessions.destroy(s->id.text(), start + 40s) == away);
  outer.away = false;
  REQUIRE(sessions.touch(*s, start + 41s));
  outer.away = true;
  CHECK(sessions.load(s->id.text(), start + 41s) == missing);  // what was buried stays so
}

TEST_CASE("session_store: a load that was under way does not bring back what this process has seen to be gone") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.stale_for = 60s, .breaker = std::nullopt}};
  store elsewhere{outer, {.breaker = std::nullopt}};
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
  store sessions{outer, {.ttl = 30s, .stale_for = 60s, .breaker = std::nullopt}};
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
  store sessions{outer, {.ttl = 1h, .stale_for = 60s, .breaker = std::nullopt}};
  const auto s = *sessions.create("x", start);
  CHECK(sessions.load(s.id.text(), start + 2h) == missing);
  CHECK(sessions.load(s.id.text(), start + 1s));
  outer.away = true;
  CHECK(sessions.load(s.id.text(), start + 2s)->stale);
}

TEST_CASE("session_store: copies age from when they were asked for, whatever the clock did before") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.ttl = 240h, .max_lifetime = 240h, .stale_for = 60s, .breaker = std::nullopt}};
  const auto s = *sessions.create("x", start);
  CHECK(sessions.load(s.id.text(), start + 24h));  // a clock that was ahead for a moment
  CHECK(sessions.load(s.id.text(), start + 1s));
  outer.away = true;
  steady::advance(60s);
  CHECK(sessions.load(s.id.text(), start + 61s)->stale);
  CHECK(sessions.load(s.id.text(), start - 1h)->stale);          // set back: a minute is a minute
  CHECK(sessions.load(s.id.text(), start + 61s + 1ms) == away);  // the machine slept, and its steady clock with it
  steady::advance(1ms);
  for (const auto now : {start - 24h, start, start + 1s, start + 61s}) CHECK(sessions.load(s.id.text(), now) == away);

  // A request that was stopped between the answer and keeping it: neither it nor what another one has kept is younger.
  outer.away = false;
  const auto slow = *sessions.create("y", start + 30h);
  outer.before_answer = [&] { steady::advance(61s); };
  CHECK(sessions.load(slow.id.text(), start + 30h));
  outer.away = true;
  CHECK(sessions.load(slow.id.text(), start + 30h) == away);
  outer.away = false;
  outer.before_answer = [&] {
    steady::advance(61s);
    CHECK(sessions.load(slow.id.text(), start + 30h));
  };
  CHECK(sessions.load(slow.id.text(), start + 30h));
  outer.away = true;
  steady::advance(60s);
  CHECK(sessions.load(slow.id.text(), start + 30h)->stale);
}

TEST_CASE("session_store: the breaker stops asking, and finds out when the backend is back") {
  backend inner;
  failing outer{inner};
  store sessions{
      outer,
      {.stale_for = 1h,
       .breaker = banyan::circuit_breaker_options{.window = 4, .min_calls = 4, .open_for = 5s, .probes = 1}}};
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
  // By the steady clock, wherever the other one is set.
  steady::advance(4s);
  CHECK(sessions.load(cookie, start + 10min)->stale);
  steady::advance(2s);
  CHECK_FALSE(sessions.load(cookie, start - 1h)->stale);
  CHECK(sessions.breaker_state() == banyan::circuit_state::closed);
  CHECK(sessions.save(*s, start - 1h));
}

TEST_CASE("session_store: a call that is slow by the steady clock counts for the breaker") {
  backend inner;
  failing outer{inner};
  store sessions{outer, {.breaker = banyan::circuit_breaker_options{.slow_after = 10ms, .window = 2, .min_calls = 2}}};
  const std::string cookie{sessions.create("x", start)->id.text()};
  outer.before_answer = [] { steady::advance(10ms); };
  CHECK(sessions.load(cookie, start));
  for (int i = 0; i < 2; ++i) {
    CHECK(sessions.breaker_state() == banyan::circuit_state::closed);
    outer.before_answer = [] { steady::advance(11ms); };
    CHECK(sessions.load(cookie, start));
  }
  CHECK(sessions.breaker_state() == banyan::circuit_state::open);
}

TEST_CASE("session_store: on_failure is told what failed and why, once for each call, and outside of everything") {
  using banyan::session_operation;
  backend inner;
  failing outer{inner};
  std::vector<banyan::session_failure> told;
  store* self = nullptr;
  std::string cookie;
  store sessions{outer,
                 {.breaker = banyan::circuit_breaker_options{.failure_rate = 1, .window = 4, .min_calls = 4},
                  .on_failure = [&](const banyan::session_failure& failure) {
                    told.push_back(failure);
                    // It may ask again, and throw: the call that failed is over, and counted.
                    if (told.size() == 1) CHECK(self->load(cookie, start) == away);
                    if (told.size() == 4) CHECK(self->breaker_state() == banyan::circuit_state::open);
                    throw std::runtime_error{"no log"};
                  }}};
  self = &sessions;
  auto s = sessions.create("x", start);
  cookie = s->id.text();
  CHECK(sessions.load(cookie, start));
  CHECK(sessions.load(std::string(banyan::session_id::length, 'A'), start) == missing);
  auto other = *s;
  REQUIRE(sessions.save(*s, start));
  CHECK(sessions.save(other, start) == unexpected{session_errc::conflict});
  CHECK(told.empty());  // to say no is no failure

  outer.away = true;
  CHECK(sessions.load(cookie, start) == away);
  REQUIRE(told.size() == 2);
  CHECK(told[0].operation == session_operation::get);
  CHECK(told[0].thrown == nullptr);
  outer.how = way::throws;
  CHECK(sessions.touch(*s, start) == away);
  REQUIRE(told.size() == 3);
  CHECK(told[2].operation == session_operation::touch);
  REQUIRE(told[2].thrown != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(told[2].thrown), std::runtime_error);
  CHECK(sessions.save(*s, start) == away);
  REQUIRE(told.size() == 4);
  CHECK(told[3].operation == session_operation::put);
  CHECK(std::string{to_string(told[3].operation)} == "put");
  // The breaker refuses: nothing was asked, nothing failed.
  CHECK(sessions.save(*s, start) == away);
  CHECK(told.size() == 4);
  CHECK(sessions.stats().unavailable == 5);

  store always{outer, {.breaker = std::nullopt, .on_failure = [&](const auto& failure) { told.push_back(failure); }}};
  outer.away = false;
  outer.how = way::says_so;
  outer.fails_at = outer.calls + 2;
  CHECK(always.destroy(cookie, start) == away);
  REQUIRE(told.size() == 5);
  CHECK(told[4].operation == session_operation::erase);
}

TEST_CASE("session_store: a backend that is never away is asked without a breaker") {
  static_assert(banyan::detail::never_away<backend>);
  static_assert(!banyan::detail::never_away<failing>);
  const auto state_when_away = []<class Broken>(Broken& broken) {
    banyan::session_store<std::string, Broken> sessions{broken};
    for (int i = 0; i < 30; ++i) CHECK(sessions.load(std::string(banyan::session_id::length, 'A')) == away);
    return sessions.breaker_state();
  };
  broken<true> never;
  broken<false> at_times;
  CHECK(state_when_away(never) == banyan::circuit_state::closed);
  CHECK(state_when_away(at_times) == banyan::circuit_state::open);
}

TEST_CASE("session_store: whichever allocation fails, sessions are as they were or as they were to be") {
  const auto report = banyan::testing::for_every_failing_allocation([] {
    banyan::testing::remote_backend inner{{.capacity = 8}};
    banyan::session_store<std::string, banyan::testing::remote_backend, test_clock> sessions{
        inner, {.stale_for = 60s, .stale_capacity = 8}};
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
