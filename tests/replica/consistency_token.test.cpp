#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/hashing/crc32.hpp>
#include <banyan/replica/consistency_level.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/consistency_token_text.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::consistency_token;
using banyan::parse_consistency_token;
using banyan::to_text;
using banyan::token_error;
using access = banyan::detail::consistency_token_access;
using at = banyan::manual_clock::time_point;
using wall = std::chrono::system_clock::time_point;

constexpr wall noon{std::chrono::seconds{1'700'000'000}};

consistency_token token_of(std::uint64_t position, std::uint32_t epoch, std::uint16_t set = 0) {
  return access::make({.position = position, .epoch = epoch, .set = set});
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

/// As a forger would who knows the format: all of it as he likes, and the right checksum.
std::string forged(std::uint8_t version, std::uint8_t flags, std::uint16_t set, std::uint32_t epoch,
                   std::uint64_t position, std::int64_t microseconds) {
  banyan::detail::token_writer out;
  out.put(version);
  out.put(flags);
  out.put(set);
  out.put(epoch);
  out.put(position);
  out.put(static_cast<std::uint64_t>(microseconds));
  out.put(banyan::crc32(out.bytes()));
  return hex(out.bytes());
}

static_assert(sizeof(consistency_token) == 24);
static_assert(std::is_trivially_copyable_v<consistency_token>);

}  // namespace

TEST_CASE("consistency_token: keeps the largest position and the latest time", "[replica][consistency_token]") {
  consistency_token session;
  CHECK(session.empty());
  CHECK(session.position() == 0);
  CHECK(session.time() == consistency_token::no_time);
  session.wrote(100, at{5s});
  session.wrote(90, at{7s});
  session.read_at(80);
  CHECK(session.position() == 100);
  CHECK(session.time() == std::chrono::nanoseconds{7s}.count());
  CHECK_FALSE(session.bound_by_time());
  session.wrote(101, at{6s});
  CHECK(session.position() == 101);
  CHECK(session.time() == std::chrono::nanoseconds{7s}.count());
  session.read_at(std::numeric_limits<std::uint64_t>::max());
  CHECK(session.position() == std::numeric_limits<std::uint64_t>::max());

  consistency_token by_time;
  by_time.wrote(at{3s});
  CHECK(by_time.bound_by_time());
  CHECK(by_time.position() == 0);
  by_time.read_at(at{2s});
  CHECK(by_time.time() == std::chrono::nanoseconds{3s}.count());

  consistency_token now;
  now.wrote(1);  // the steady clock's
  CHECK(now.time() != consistency_token::no_time);
}

TEST_CASE("consistency_token: times that nanoseconds cannot hold are the last that they can",
          "[replica][consistency_token]") {
  using days =
      std::chrono::time_point<std::chrono::steady_clock, std::chrono::duration<std::int64_t, std::ratio<86400>>>;
  consistency_token session;
  session.wrote(days{days::duration{1'000'000'000}});
  CHECK(session.time() == std::numeric_limits<std::int64_t>::max());
  consistency_token past;
  past.wrote(days{days::duration{-1'000'000'000}});
  CHECK(past.time() == std::numeric_limits<std::int64_t>::min() + 1);
  CHECK(past.bound_by_time());
}

TEST_CASE("consistency_token: epochs when tokens meet", "[replica][consistency_token]") {
  const auto merged = [](consistency_token a, consistency_token b) {
    REQUIRE(a.merge(b));
    return a;
  };
  // The later epoch with the larger position is at least as much as either asks for.
  CHECK(merged(token_of(100, 1), token_of(97, 2)) == token_of(100, 2));
  CHECK(merged(token_of(97, 2), token_of(100, 1)) == token_of(100, 2));
  CHECK(merged(token_of(100, 3), token_of(97, 3)) == token_of(100, 3));
  // A position of an unknown epoch may be of any.
  CHECK(merged(token_of(100, 1), token_of(97, 0)) == token_of(100, 0));
  CHECK(merged(token_of(97, 0), token_of(100, 1)) == token_of(100, 0));
  // One that has seen an epoch, but no position in it.
  CHECK(merged(token_of(0, 2), token_of(100, 1)) == token_of(100, 2));
  // One with nothing.
  CHECK(merged(token_of(0, 0), token_of(100, 4)) == token_of(100, 4));
  CHECK(merged(token_of(100, 4), token_of(0, 0)) == token_of(100, 4));

  consistency_token told = token_of(100, 4);
  told.wrote(101, at{});
  CHECK(told.epoch() == 0);
}

TEST_CASE("consistency_token: tokens of two sets do not merge", "[replica][consistency_token]") {
  consistency_token a = token_of(100, 1, 7);
  const consistency_token before = a;
  CHECK_FALSE(a.merge(token_of(200, 1, 8)));
  CHECK(a == before);
  CHECK(a.merge(token_of(200, 1, 7)));
  CHECK(a.position() == 200);
  CHECK(a.merge(token_of(300, 1, 0)));
  CHECK(a.set() == 7);
  consistency_token unbound = token_of(1, 1, 0);
  CHECK(unbound.merge(a));
  CHECK(unbound.set() == 7);
}

TEST_CASE("consistency_token: merging is a least upper bound", "[replica][consistency_token]") {
  const std::uint64_t seed = banyan::testing::derived_seed("merging tokens");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  const auto any = [&] {
    access::parts parts{.position = random.below(4), .epoch = static_cast<std::uint32_t>(random.below(4))};
    if (random.below(2) == 0) {
      parts.time = static_cast<std::int64_t>(random.below(3));
      parts.bound_by_time = random.below(2) == 0;
    }
    return access::make(parts);
  };
  const auto merged = [](consistency_token a, const consistency_token& b) {
    (void)a.merge(b);
    return a;
  };
  bool commutes = true;
  bool associates = true;
  bool idempotent = true;
  bool never_back = true;
  for (int i = 0; i < 20'000; ++i) {
    const consistency_token a = any();
    const consistency_token b = any();
    const consistency_token c = any();
    const consistency_token ab = merged(a, b);
    commutes = commutes && ab == merged(b, a);
    associates = associates && merged(ab, c) == merged(a, merged(b, c));
    idempotent = idempotent && merged(ab, b) == ab && merged(a, a) == a;
    never_back = never_back && ab.position() >= a.position() && ab.time() >= a.time() &&
                 (!a.bound_by_time() || ab.bound_by_time());
  }
  CHECK(commutes);
  CHECK(associates);
  CHECK(idempotent);
  CHECK(never_back);
}

TEST_CASE("consistency_token: as text and back", "[replica][consistency_token]") {
  const consistency_token empty;
  CHECK(to_text(empty, at{}, noon).size() == 56);
  CHECK(*parse_consistency_token(to_text(empty, at{}, noon), at{}, noon) == empty);

  consistency_token session = token_of(0xfedc'ba98'7654'3210U, 0x89ab'cdefU, 0x1234);
  session.read_at(at{100s});
  const std::string text = to_text(session, at{102s}, noon);
  // By hand: version, flags, set, epoch, position, noon less two seconds in microseconds; lowest byte first.
  CHECK(text.substr(0, 32) == "01013412efcdab891032547698badcfe");
  CHECK(text.substr(32, 16) == hex([] {
          banyan::detail::token_writer out;
          out.put(std::uint64_t{1'699'999'998'000'000U});
          return out.bytes();
        }()));

  // On another machine, whose steady clock began elsewhere, a second later.
  const auto parsed = parse_consistency_token(text, at{5000s}, noon + 1s, 0us);
  REQUIRE(parsed);
  CHECK(parsed->position() == session.position());
  CHECK(parsed->epoch() == session.epoch());
  CHECK(parsed->set() == session.set());
  CHECK(parsed->bound_by_time());
  CHECK(parsed->time() == std::chrono::nanoseconds{4997s}.count());
  // Clocks may differ: the write counts as so much later.
  CHECK(parse_consistency_token(text, at{5000s}, noon + 1s, 500ms)->time() ==
        std::chrono::nanoseconds{4997500ms}.count());
}

TEST_CASE("consistency_token: as text at the ends of time", "[replica][consistency_token]") {
  for (const at written : {at::min(), at{}, at::max()}) {
    for (const at now : {at::min(), at{}, at::max()}) {
      consistency_token session;
      session.wrote(written);
      const auto parsed = parse_consistency_token(to_text(session, now, noon), now, noon);
      REQUIRE(parsed);
      CHECK(parsed->time() <= banyan::detail::token_time(now));
    }
  }
}

TEST_CASE("consistency_token: an epoch that only this process counts is not written", "[replica][consistency_token]") {
  consistency_token session;
  access::add(session, 100, 3, true);
  CHECK(session.epoch() == 3);
  CHECK(session.epoch_is_local());
  const auto parsed = parse_consistency_token(to_text(session, at{}, noon), at{}, noon);
  CHECK(parsed->epoch() == 0);
  CHECK(parsed->position() == 100);
  CHECK_FALSE(parsed->epoch_is_local());
}

TEST_CASE("consistency_token: what is cut short, too long or changed anywhere is refused",
          "[replica][consistency_token]") {
  consistency_token session = token_of(4711, 2, 9);
  session.wrote(at{1s});
  const std::string text = to_text(session, at{1s}, noon);
  const auto refused = [](std::string_view what) { return !parse_consistency_token(what, at{1s}, noon); };
  REQUIRE_FALSE(refused(text));
  for (std::size_t length = 0; length < text.size(); ++length) CHECK(refused(text.substr(0, length)));
  CHECK(refused(text + "0"));
  CHECK(refused(text + text));
  CHECK(refused(std::string(56, '\0')));
  CHECK(refused(std::string(56, '0')));
  CHECK(refused(std::string(1'000'000, 'f')));
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string other = text;
      other[i] = static_cast<char>(c);
      if (other != text && !refused(other)) ++accepted;
    }
  }
  CHECK(accepted == 0);
  CHECK(parse_consistency_token("", at{}, noon).error() == token_error::malformed);
  std::string flipped = text;
  flipped[20] = flipped[20] == '0' ? '1' : '0';
  CHECK(parse_consistency_token(flipped, at{}, noon).error() == token_error::damaged);
}

TEST_CASE("consistency_token: whatever a forger writes is refused or harmless", "[replica][consistency_token]") {
  using limits = std::numeric_limits<std::int64_t>;
  const at here{50s};
  const auto parse = [&](const std::string& text) { return parse_consistency_token(text, here, noon, 0us); };
  const std::int64_t wall_now = 1'700'000'000'000'000;
  CHECK_FALSE(parse(forged(2, 0, 0, 0, 1, wall_now)));  // a version that is not known
  CHECK_FALSE(parse(forged(0, 0, 0, 0, 1, wall_now)));
  CHECK_FALSE(parse(forged(1, 2, 0, 0, 1, wall_now)));       // flags that are not known
  CHECK_FALSE(parse(forged(1, 1, 0, 0, 1, limits::min())));  // bound by a time that is none
  // From the future: as if it were now.
  for (const std::int64_t future : {wall_now + 1, wall_now + 1'000'000'000'000, limits::max()}) {
    CHECK(parse(forged(1, 1, 0, 0, 0, future))->time() == std::chrono::nanoseconds{50s}.count());
  }
  // From the past: whoever had everything until then has it.
  CHECK(parse(forged(1, 1, 0, 0, 0, wall_now - 1'000'000))->time() == std::chrono::nanoseconds{49s}.count());
  for (const std::int64_t past : {limits::min() + 1, std::int64_t{0}, std::int64_t{-1}}) {
    const auto token = parse(forged(1, 1, 0, 0, 0, past));
    REQUIRE(token);
    CHECK(token->time() < 0);
    CHECK(token->time() > consistency_token::no_time);
  }
  CHECK(parse(forged(1, 0, 0, 77, 0, wall_now))->epoch() == 77);  // an epoch without a position
  const auto huge = parse(forged(1, 0, 0xffff, 0xffff'ffffU, ~std::uint64_t{0}, wall_now));
  REQUIRE(huge);  // for the set to judge
  CHECK(huge->position() == ~std::uint64_t{0});

  // At the ends of time, and with senseless allowances.
  const std::string text = forged(1, 1, 0, 0, 0, 0);
  for (const auto skew : {-1us, std::chrono::microseconds::min(), std::chrono::microseconds::max()}) {
    for (const at edge : {at::min(), at{}, at::max()}) {
      const auto token = parse_consistency_token(text, edge, noon, skew);
      REQUIRE(token);
      CHECK(token->time() <= banyan::detail::token_time(edge));
      CHECK(token->time() != consistency_token::no_time);
    }
  }

  const std::uint64_t seed = banyan::testing::derived_seed("forged tokens");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  std::size_t wrong = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto token =
        parse(forged(static_cast<std::uint8_t>(random.below(3)), static_cast<std::uint8_t>(random.below(4)),
                     static_cast<std::uint16_t>(random()), static_cast<std::uint32_t>(random()), random(),
                     static_cast<std::int64_t>(random())));
    if (token && token->time() != consistency_token::no_time && token->time() > std::chrono::nanoseconds{50s}.count())
      ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("consistency_level: bounds", "[replica][consistency_level]") {
  CHECK(banyan::bounded_staleness(500ms).bound == 500ms);
  CHECK(banyan::bounded_staleness(-500ms).bound == 0ms);
  CHECK(banyan::read_your_writes_within(-1ns).bound == 0ms);
  CHECK_FALSE(banyan::bounded_staleness(500ms) == banyan::bounded_staleness(400ms));
  CHECK(banyan::consistency_level{} == banyan::eventual);
}
