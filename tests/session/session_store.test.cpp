#include <banyan/session/session_store.hpp>

#include "support/catch.hpp"

#include <banyan/core/clock.hpp>
#include <banyan/session/memory_session_backend.hpp>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "session/backend_contract.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;

namespace {

struct counter {
  int value = 0;
};

}  // namespace

// A codec of one's own.
template <>
struct banyan::session_codec<counter> {
  static std::string encode(const counter& c) {
    if (c.value == -1) throw std::runtime_error{"no such counter"};
    return std::to_string(c.value);
  }
  static std::optional<counter> decode(std::string_view bytes) {
    counter c;
    const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), c.value);
    if (error != std::errc{} || end != bytes.data() + bytes.size()) return std::nullopt;
    return c;
  }
};

namespace {

struct tag;
using test_clock = banyan::basic_manual_clock<tag>;
using time_point = test_clock::time_point;
using banyan::session_errc;
using banyan::session_options;
using banyan::unexpected;
using backend = banyan::memory_session_backend;
using store = banyan::session_store<std::string, backend, test_clock>;
using counters = banyan::session_store<counter, backend, test_clock>;

constexpr time_point start{1'000'000h};

const unexpected missing{session_errc::not_found};
const unexpected conflict{session_errc::conflict};
const std::string nobody(banyan::session_id::length, 'A');

std::string value_of(store& sessions, const std::string& cookie, time_point now) {
  const auto found = sessions.peek(cookie, now);
  return found ? found->value : message(found.error());
}

}  // namespace

TEST_CASE("memory_session_backend: does what a backend does") {
  backend kept;
  banyan::testing::check_backend_contract(kept);
  CHECK(kept.size() == 2);
  CHECK(kept.purge(banyan::testing::at_ms(9)) == 0);
  CHECK(kept.purge(banyan::testing::at_ms(10)) == 2);
  CHECK(kept.size() == 0);
}

TEST_CASE("memory_session_backend: when it is full the least recently used leaves") {
  backend kept{{.capacity = 3}};
  store sessions{kept, {}};
  std::vector<std::string> cookies;
  for (const char* name : {"a", "b", "c"}) cookies.emplace_back(sessions.create(name, start)->id.text());
  CHECK(sessions.load(cookies[0], start));
  const std::string fourth{sessions.create("d", start)->id.text()};
  CHECK(sessions.load(cookies[0], start));
  CHECK_FALSE(sessions.load(cookies[1], start));
  CHECK(sessions.load(cookies[2], start));
  CHECK(sessions.load(fourth, start));
}

TEST_CASE("session_store: create, load, save, destroy") {
  backend kept;
  store sessions{kept, {}};
  auto made = sessions.create("hello", start);
  REQUIRE(made);
  CHECK(made->version == 1);
  CHECK_FALSE(made->stale);
  const std::string cookie{made->id.text()};

  auto loaded = sessions.load(cookie, start);
  REQUIRE(loaded);
  CHECK(loaded->value == "hello");
  CHECK(loaded->id == made->id);
  CHECK(loaded->version == 1);
  CHECK(loaded->created == made->created);
  CHECK(loaded->expires == made->created + 30min);

  loaded->value = "more";
  REQUIRE(sessions.save(*loaded, start));
  CHECK(loaded->version == 2);
  loaded->value = "and more";
  REQUIRE(sessions.save(*loaded, start));
  CHECK(value_of(sessions, cookie, start) == "and more");

  REQUIRE(sessions.destroy(cookie, start));
  CHECK(sessions.load(cookie, start) == missing);
  CHECK(sessions.destroy(cookie, start) == missing);
  CHECK(kept.size() == 0);
}

TEST_CASE("session_store: a save over a newer version is refused, and nothing comes back after its end") {
  backend kept;
  store sessions{kept, {}};
  const std::string cookie{sessions.create("", start)->id.text()};
  auto one = sessions.load(cookie, start);
  auto other = sessions.load(cookie, start);
  one->value = "one";
  other->value = "other";
  REQUIRE(sessions.save(*one, start));
  CHECK(sessions.save(*other, start) == conflict);
  CHECK(other->version == 1);
  CHECK(other->value == "other");
  CHECK(value_of(sessions, cookie, start) == "one");
  CHECK(sessions.stats().conflicts == 1);
  CHECK(sessions.touch(*other, start) == conflict);
  CHECK(sessions.rotate(*other, {}, start) == conflict);
  CHECK(kept.size() == 1);  // what the rotation had prepared is gone
  CHECK(sessions.load(cookie, start));

  REQUIRE(sessions.destroy(cookie, start));
  CHECK(sessions.save(*one, start) == missing);
  CHECK(sessions.touch(*one, start) == missing);
  CHECK(sessions.rotate(*one, {}, start) == missing);
  CHECK(kept.size() == 0);
}

TEST_CASE("session_store: ids come from here, whatever a client sends") {
  backend kept;
  store sessions{kept, {}};
  for (const std::string& sent : {nobody, std::string{}, std::string{"admin"}, std::string(100'000, 'x')}) {
    CHECK(sessions.load(sent, start) == missing);
    CHECK(sessions.destroy(sent, start) == missing);
    CHECK(sessions.update(
              sent, [](std::string&) {}, start) == missing);
  }
  // A session that was put together by hand is not adopted either.
  store::stored planted{*banyan::session_id::parse(nobody), "planted", 0, {}, banyan::session_time::max()};
  CHECK(sessions.save(planted, start) == missing);
  CHECK(sessions.touch(planted, start) == missing);
  CHECK(sessions.rotate(planted, {}, start) == missing);
  planted.version = 1;
  planted.expires = {};
  CHECK(sessions.save(planted, start) == missing);
  CHECK(sessions.rotate(planted, {}, start) == missing);
  CHECK(kept.size() == 0);
}

TEST_CASE("session_store: expiry slides, to the millisecond, and ends with the lifetime") {
  backend kept;
  store sessions{kept, {.ttl = 10s, .max_lifetime = 25s, .renew_after = 1s}};
  const std::string cookie{sessions.create("x", start)->id.text()};

  CHECK(sessions.peek(cookie, start + 10s - 1ns));
  CHECK_FALSE(sessions.peek(cookie, start + 10s));
  CHECK(sessions.stats().renewals == 0);

  // A load within renew_after writes nothing.
  CHECK(sessions.load(cookie, start + 1s)->expires == sessions.peek(cookie, start)->created + 10s);
  CHECK(sessions.stats().renewals == 0);
  CHECK(sessions.load(cookie, start + 1001ms)->expires == sessions.peek(cookie, start)->created + 11001ms);
  CHECK(sessions.stats().renewals == 1);
  CHECK(sessions.peek(cookie, start + 11000ms));
  CHECK_FALSE(sessions.peek(cookie, start + 11001ms));

  // peek is no use of the session, an older now takes nothing away.
  CHECK(sessions.peek(cookie, start + 11s));
  CHECK(sessions.load(cookie, start - 1h));
  CHECK_FALSE(sessions.peek(cookie, start + 11001ms));

  // A save and a touch move it on too.
  auto s = sessions.load(cookie, start + 11s);
  CHECK(s->expires == s->created + 21s);
  REQUIRE(sessions.touch(*s, start + 14s));
  CHECK(s->expires == s->created + 24s);
  REQUIRE(sessions.save(*s, start + 3s));  // a clock that is behind
  CHECK(s->expires == s->created + 24s);
  REQUIRE(sessions.save(*s, start + 20s));
  CHECK(s->expires == s->created + 25s);
  REQUIRE(sessions.touch(*s, start + 24999ms));
  CHECK(sessions.load(cookie, start + 24999ms));
  CHECK_FALSE(sessions.load(cookie, start + 25s));
  CHECK(sessions.save(*s, start + 25s) == missing);
  CHECK(sessions.touch(*s, start + 25s) == missing);
}

TEST_CASE("session_store: a shorter lifetime holds for sessions that are there") {
  backend kept;
  store before{kept, {.ttl = 10s, .max_lifetime = 1h}};
  const std::string cookie{before.create("x", start)->id.text()};
  store after{kept, {.ttl = 3s, .max_lifetime = 5s}};
  CHECK(after.load(cookie, start + 5s - 1ms));
  CHECK_FALSE(after.load(cookie, start + 5s));
  CHECK(before.load(cookie, start + 5s));

  // For changes as well, by a request that loaded it in time: nothing gives it another life.
  auto held = after.load(cookie, start + 5s - 1ms);
  REQUIRE(held);
  CHECK(after.save(*held, start + 5s) == missing);
  CHECK(after.touch(*held, start + 5s) == missing);
  CHECK(after.rotate(*held, {.restart_lifetime = true}, start + 5s) == missing);
  CHECK(after.update(
            cookie, [](std::string&) {}, start + 5s) == missing);
  CHECK(kept.size() == 1);
  CHECK(after.save(*held, start + 5s - 1ms));
  CHECK(after.rotate(*held, {.restart_lifetime = true}, start + 5s - 1ms));
  CHECK(after.load(held->id.text(), start + 7s));
}

TEST_CASE("session_store: by default, expiry moves on by a tenth at a time") {
  backend kept;
  store sessions{kept, {.ttl = 100s}};
  const std::string cookie{sessions.create("x", start)->id.text()};
  for (int i = 1; i <= 1000; ++i) REQUIRE(sessions.load(cookie, start + i * 100ms));
  CHECK(sessions.stats().renewals == 9);
}

TEST_CASE("session_store: a rotation saves under a new id, and the old one is dead") {
  backend kept;
  store sessions{kept, {}};
  auto s = sessions.create("guest", start);
  const std::string planted{s->id.text()};
  auto in_flight = sessions.load(planted, start);
  s->value = "alice";
  REQUIRE(sessions.rotate(*s, {}, start));
  const std::string cookie{s->id.text()};
  CHECK(cookie != planted);
  CHECK(value_of(sessions, cookie, start) == "alice");
  CHECK(sessions.load(planted, start) == missing);
  CHECK(sessions.load(planted, start - 1h) == missing);  // nor for a server whose clock is behind
  CHECK(sessions.destroy(planted, start) == missing);
  CHECK(sessions.save(*in_flight, start) == missing);
  CHECK(sessions.save(*in_flight, start - 1h) == conflict);
  CHECK(value_of(sessions, cookie, start) == "alice");
  s->value = "alice, and a book";
  REQUIRE(sessions.save(*s, start));
  CHECK(kept.purge(banyan::detail::to_session_time(start)) == 1);
  CHECK(kept.size() == 1);
}

TEST_CASE("session_store: with a grace the old id leads to the new one for so long") {
  backend kept;
  store sessions{kept, {}};
  auto s = sessions.create("x", start);
  const std::string first{s->id.text()};
  auto in_flight = sessions.load(first, start);
  REQUIRE(sessions.rotate(*s, {.grace = 5s}, start));
  const std::string second{s->id.text()};

  CHECK(sessions.load(first, start + 5s - 1ms)->id == s->id);
  CHECK(sessions.load(first, start + 5s) == missing);
  CHECK(sessions.save(*in_flight, start) == conflict);  // loads again, and finds the way
  CHECK(sessions
            .update(
                first, [](std::string& v) { v = "y"; }, start + 1s)
            ->id == s->id);
  CHECK(value_of(sessions, second, start) == "y");
  // Two that rotate at the same time: one does.
  CHECK(sessions.rotate(*in_flight, {.grace = 5s}, start) == conflict);

  // Over several rotations.
  auto t = sessions.load(second, start + 2s);
  REQUIRE(sessions.rotate(*t, {.grace = 5s}, start + 2s));
  CHECK(sessions.load(first, start + 4s)->id == t->id);
  CHECK(sessions.load(second, start + 4s)->id == t->id);
  CHECK(sessions.load(first, start + 5s) == missing);
  CHECK(sessions.load(second, start + 6s)->id == t->id);

  // A login ends all ways to it at once, a logout by an old id ends the session.
  auto u = sessions.load(second, start + 4s);
  u->value = "alice";
  REQUIRE(sessions.rotate(*u, {}, start + 4s));
  CHECK(sessions.load(first, start + 4s) == missing);
  CHECK(sessions.load(second, start + 4s) == missing);
  auto v = sessions.load(u->id.text(), start + 4s);
  REQUIRE(sessions.rotate(*v, {.grace = 5s}, start + 4s));
  REQUIRE(sessions.destroy(u->id.text(), start + 5s));
  CHECK(sessions.load(u->id.text(), start + 5s) == missing);
  CHECK(sessions.load(v->id.text(), start + 5s) == missing);
}

TEST_CASE("session_store: a long chain of old ids is not followed for ever") {
  backend kept;
  store sessions{kept, {}};
  auto s = sessions.create("x", start);
  std::vector<std::string> ids{std::string{s->id.text()}};
  for (int i = 0; i < 12; ++i) {
    REQUIRE(sessions.rotate(*s, {.grace = 60s}, start));
    ids.emplace_back(s->id.text());
  }
  CHECK(sessions.load(ids[12], start));
  CHECK(sessions.load(ids[4], start));
  CHECK(sessions.load(ids[3], start) == missing);
  // Nor in a circle, which only somebody else can have written.
  const banyan::session_id a = banyan::session_id::make();
  REQUIRE(kept.put(a,
                   {.data = std::string{a.text()},
                    .version = 1,
                    .expires = banyan::session_time::max(),
                    .state = banyan::session_state::moved},
                   0, {}));
  CHECK(sessions.load(a.text(), start) == missing);
}

TEST_CASE("session_store: a rotation keeps the lifetime, or starts it anew") {
  backend kept;
  store sessions{kept, {.ttl = 10s, .max_lifetime = 20s, .renew_after = 0ms}};
  auto s = sessions.create("x", start);
  auto loaded = sessions.load(s->id.text(), start + 9s);
  REQUIRE(sessions.rotate(*loaded, {}, start + 9s));
  CHECK(loaded->created == s->created);
  auto again = sessions.load(loaded->id.text(), start + 18s);
  CHECK(again->expires == s->created + 20s);
  REQUIRE(sessions.rotate(*again, {.restart_lifetime = true}, start + 18s));
  CHECK(again->created == s->created + 18s);
  CHECK(sessions.load(again->id.text(), start + 27s)->expires == s->created + 37s);
  CHECK(banyan::testing::refused_field([&] { return sessions.rotate(*again, {.grace = -1ms}, start).has_value(); }) ==
        "rotate_options.grace");
  CHECK(banyan::testing::refused_field(
            [&] { return sessions.rotate(*again, {.grace = 10001ms}, start).has_value(); }) == "rotate_options.grace");
}

TEST_CASE("session_store: too large is refused, and changes nothing") {
  backend kept;
  store sessions{kept, {.max_bytes = 10}};
  CHECK(sessions.create("12345678901", start) == unexpected{session_errc::too_large});
  CHECK(kept.size() == 0);
  auto s = sessions.create("1234567890", start);
  REQUIRE(s);
  s->value += "1";
  CHECK(sessions.save(*s, start) == unexpected{session_errc::too_large});
  CHECK(sessions.rotate(*s, {}, start) == unexpected{session_errc::too_large});
  CHECK(s->version == 1);
  CHECK(value_of(sessions, std::string{s->id.text()}, start) == "1234567890");
  CHECK(kept.size() == 1);
}

TEST_CASE("session_store: update tries again until nobody was first") {
  backend kept;
  counters sessions{kept, {.update_attempts = 3}};
  auto s = sessions.create({}, start);
  const std::string cookie{s->id.text()};
  int calls = 0;
  const auto interfere = [&](int times) {
    return [&, times](counter& c) {
      if (calls++ < times) {
        auto other = sessions.load(cookie, start);
        other->value.value += 10;
        REQUIRE(sessions.save(*other, start));
      }
      ++c.value;
    };
  };
  auto updated = sessions.update(cookie, interfere(2), start);
  REQUIRE(updated);
  CHECK(calls == 3);
  CHECK(updated->value.value == 21);
  CHECK(updated->version == 4);
  calls = 0;
  CHECK(sessions.update(cookie, interfere(3), start) == conflict);
  CHECK(calls == 3);
  CHECK(sessions.load(cookie, start)->value.value == 51);
}

TEST_CASE("session_store: what is stored and no session, and codecs that throw") {
  backend kept;
  store raw{kept, {}};
  counters sessions{kept, {}};
  const std::string cookie{raw.create("not a number", start)->id.text()};
  CHECK(sessions.load(cookie, start) == unexpected{session_errc::corrupt});
  CHECK(sessions.destroy(cookie, start));

  CHECK_THROWS_AS((void)sessions.create({-1}, start), std::runtime_error);
  CHECK(kept.size() == 0);
  auto s = sessions.create({1}, start);
  s->value.value = -1;
  CHECK_THROWS_AS(sessions.save(*s, start), std::runtime_error);
  CHECK_THROWS_AS(sessions.rotate(*s, {}, start), std::runtime_error);
  CHECK_THROWS_AS(sessions.update(
                      s->id.text(), [](counter&) { throw std::runtime_error{"no"}; }, start),
                  std::runtime_error);
  CHECK(s->version == 1);
  CHECK(sessions.load(s->id.text(), start)->value.value == 1);
  CHECK(kept.size() == 1);

  // Times that nobody can mean, and an id that leads nowhere.
  const banyan::session_id id = banyan::session_id::make();
  REQUIRE(kept.put(
      id, {.data = "1", .version = 1, .created = banyan::session_time::max(), .expires = banyan::session_time::max()},
      0, {}));
  CHECK(sessions.load(id.text(), start) == unexpected{session_errc::corrupt});
  REQUIRE(kept.put(
      id, {.data = "x", .version = 2, .expires = banyan::session_time::max(), .state = banyan::session_state::moved}, 1,
      {}));
  CHECK(sessions.load(id.text(), start) == unexpected{session_errc::corrupt});
}

TEST_CASE("session_store: versions do not wrap around") {
  constexpr auto last = banyan::last_session_version;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  constexpr auto until = banyan::session_time{2'000'000h};
  backend kept;
  store sessions{kept};
  const auto stored = [&](std::uint64_t version) {
    const banyan::session_id id = banyan::session_id::make();
    REQUIRE(kept.put(id, {.data = "x", .version = version, .created = until - 1'000'000h, .expires = until}, 0, {}));
    return id;
  };
  for (const std::uint64_t version : {std::uint64_t{0}, last + 1, most}) {
    INFO(version);
    const banyan::session_id id = stored(version);
    CHECK(sessions.load(id.text(), start) == unexpected{session_errc::corrupt});
    store::stored made_up = *sessions.create("y", start);
    made_up.id = id;
    made_up.version = version;
    CHECK(sessions.save(made_up, start) == missing);
    CHECK(sessions.touch(made_up, start) == missing);
    CHECK(sessions.rotate(made_up, {}, start) == missing);
    CHECK(kept.get(id, {})->version == version);
  }
  const banyan::session_id full = stored(last);
  auto oldest = sessions.load(full.text(), start);
  REQUIRE(oldest);
  const std::size_t before = kept.size();
  CHECK(sessions.save(*oldest, start) == unexpected{session_errc::corrupt});
  CHECK(sessions.rotate(*oldest, {}, start) == unexpected{session_errc::corrupt});
  CHECK(kept.size() == before);
  CHECK(sessions.touch(*oldest, start));
  CHECK(sessions.destroy(oldest->id.text(), start));
  const banyan::session_id nearly = stored(last - 1);
  auto newer = sessions.load(nearly.text(), start);
  CHECK(sessions.save(*newer, start));
  CHECK(newer->version == last);
}

TEST_CASE("session_store: clocks at their ends do no harm") {
  backend kept;
  store sessions{kept, {}};
  for (const time_point now : {time_point::min(), time_point::max(), time_point{}}) {
    auto s = sessions.create("x", now);
    REQUIRE(s);
    CHECK(sessions.load(s->id.text(), now));
    CHECK(sessions.touch(*s, time_point::min()));
    CHECK(sessions.save(*s, time_point::min()));
    CHECK(sessions.rotate(*s, {.grace = 30min}, now));
    CHECK(sessions.destroy(s->id.text(), now));
  }
}

TEST_CASE("session_store: options out of their range are refused by name") {
  backend kept;
  const auto refused = [&](session_options options) {
    return banyan::testing::refused_field([&] {
      store sessions{kept, options};
      return 0;
    });
  };
  CHECK(refused({.ttl = 0ms}) == "session_options.ttl");
  CHECK(refused({.ttl = std::chrono::milliseconds::max()}) == "session_options.ttl");
  CHECK(refused({.ttl = 2s, .max_lifetime = 1s}) == "session_options.max_lifetime");
  CHECK(refused({.max_lifetime = std::chrono::milliseconds::max()}) == "session_options.max_lifetime");
  CHECK(refused({.renew_after = -1ms}) == "session_options.renew_after");
  CHECK(refused({.ttl = 5s, .renew_after = 5s}) == "session_options.renew_after");
  CHECK(refused({.max_bytes = 0}) == "session_options.max_bytes");
  CHECK(refused({.max_bytes = std::numeric_limits<std::size_t>::max()}) == "session_options.max_bytes");
  CHECK(refused({.stale_for = -1ms}) == "session_options.stale_for");
  CHECK(refused({.stale_capacity = 0}) == "session_options.stale_capacity");
  CHECK(refused({.update_attempts = 0}) == "session_options.update_attempts");
  CHECK(refused({.breaker = banyan::circuit_breaker_options{.window = 0}}) == "circuit_breaker_options.window");
  CHECK(refused({}).empty());
  CHECK(banyan::testing::refused_field([] {
          const backend none{{.capacity = 0}};
          return 0;
        }) == "memory_session_backend_options.capacity");
}
