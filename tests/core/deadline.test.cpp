#include <banyan/core/deadline.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/core/detail/grpc_timeout.hpp>
#include <banyan/core/executor.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

struct deadline_tests;
using manual = banyan::basic_manual_clock<deadline_tests>;
using deadline = banyan::basic_deadline<manual>;
using scope = banyan::basic_deadline_scope<manual>;
using time_point = manual::time_point;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
constexpr time_point at(std::int64_t ns) noexcept { return time_point{nanoseconds{ns}}; }

// A clock of microseconds, as libc++'s system clock is.
struct coarse {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<coarse>;
  static time_point now() noexcept { return time_point{5us}; }
};

}  // namespace

TEST_CASE("a deadline is a point in time", "[core][deadline]") {
  const deadline d = deadline::in(50ms, at(1000));
  CHECK(d.at() == at(50'001'000));
  CHECK(d.remaining(at(1000)) == 50ms);
  CHECK(d.remaining(at(50'000'999)) == 1ns);
  CHECK_FALSE(d.expired(at(50'000'999)));
  CHECK(d.expired(at(50'001'000)));
  CHECK(d.remaining(at(50'001'000)) == 0ns);
  CHECK(d.remaining(at(60'000'000)) == 0ns);
  CHECK(d.sooner(deadline::in(49ms, at(1000))).at() == at(49'001'000));
  CHECK(d.sooner(deadline::never()) == d);
  CHECK(deadline::never().sooner(d) == d);
  CHECK(d < deadline::never());
  CHECK(deadline{at(7)}.at() == at(7));
  manual::set(at(10));
  CHECK(deadline::in(5ns).at() == at(15));
}

TEST_CASE("never is never", "[core][deadline]") {
  const deadline d;
  CHECK(d == deadline::never());
  CHECK(d.is_never());
  CHECK(d.at() == time_point::max());
  CHECK(d.remaining(at(most)) == nanoseconds::max());
  CHECK_FALSE(d.expired(at(most)));
  CHECK(d.with_margin(1h) == d);
  CHECK(d.to_grpc_timeout(at(0)).empty());
}

TEST_CASE("what is beyond 64 bits is the nearest there is", "[core][deadline]") {
  CHECK(deadline::in(nanoseconds::max(), at(1)).is_never());
  CHECK(deadline::in(nanoseconds::max(), at(0)).is_never());
  CHECK(deadline::in(nanoseconds::max(), at(-1)).at() == at(most - 1));
  CHECK(deadline::in(std::chrono::hours::max(), at(0)).is_never());
  CHECK(deadline::in(1ns, at(most)).is_never());
  CHECK(deadline::in(std::chrono::duration<double>{1e300}, at(0)).is_never());
  CHECK(deadline::in(std::chrono::duration<double>{std::numeric_limits<double>::infinity()}, at(0)).is_never());
  CHECK(deadline::in(std::chrono::duration<double>{0.25}, at(0)).at() == at(250'000'000));

  // No time, or none that makes sense: at once, never "for ever".
  for (const deadline& d :
       {deadline::in(0ns, at(5)), deadline::in(-1ns, at(5)), deadline::in(nanoseconds::min(), at(5)),
        deadline::in(std::chrono::hours::min(), at(5)),
        deadline::in(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}, at(5)),
        deadline::in(std::chrono::duration<float>{-std::numeric_limits<float>::infinity()}, at(5))}) {
    CHECK(d.expired(at(5)));
    CHECK(d.at() == at(5));
  }

  CHECK(deadline{at(most - 1)}.remaining(at(least)) == nanoseconds::max());
  CHECK(deadline{at(1)}.remaining(at(most)) == 0ns);
  CHECK(deadline{at(least + 5)}.with_margin(1h).at() == at(least));
  CHECK(deadline{at(5)}.with_margin(std::chrono::hours::max()).at() == at(5 - most));

  using slow = banyan::basic_deadline<coarse>;
  CHECK(slow::in(3us).at() == coarse::time_point{8us});
  CHECK(slow::in(3us).remaining() == 3us);
  CHECK(slow::never().at() == coarse::time_point::max());
  CHECK(slow{coarse::time_point::max()}.is_never());
  CHECK_FALSE(slow{coarse::time_point::min()}.is_never());
}

TEST_CASE("a margin is kept back", "[core][deadline]") {
  const deadline d = deadline::in(50ms, at(0));
  CHECK(d.with_margin(5ms).at() == at(45'000'000));
  CHECK(d.with_margin(0ms) == d);
  CHECK(d.with_margin(-5ms) == d);
  CHECK(d.with_margin(nanoseconds::min()) == d);
  CHECK(d.with_margin(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}) == d);
  CHECK(d.with_margin(1h).expired(at(0)));
}

TEST_CASE("the text of grpc-timeout", "[core][deadline]") {
  using banyan::detail::format_grpc_timeout;
  CHECK(format_grpc_timeout(1ns) == "1n");
  CHECK(format_grpc_timeout(0ns) == "1n");
  CHECK(format_grpc_timeout(-1ns) == "1n");
  CHECK(format_grpc_timeout(nanoseconds::min()) == "1n");
  CHECK(format_grpc_timeout(99'999'999ns) == "99999999n");
  CHECK(format_grpc_timeout(100ms) == "100000u");
  CHECK(format_grpc_timeout(100'000'999ns) == "100000u");
  CHECK(format_grpc_timeout(1500ms) == "1500000u");
  CHECK(format_grpc_timeout(100s) == "100000m");
  CHECK(format_grpc_timeout(48h) == "172800S");
  CHECK(format_grpc_timeout(99'999'999s) == "99999999S");
  CHECK(format_grpc_timeout(100'000'000s) == "1666666M");
  CHECK(format_grpc_timeout(nanoseconds::max()) == "2562047H");

  const auto parse = [](std::string_view text) { return banyan::detail::parse_grpc_timeout(text); };
  CHECK(parse("1n") == 1ns);
  CHECK(parse("20u") == 20us);
  CHECK(parse("300m") == 300ms);
  CHECK(parse("1S") == 1s);
  CHECK(parse("2M") == 2min);
  CHECK(parse("3H") == 3h);
  CHECK(parse("0n") == 0ns);
  CHECK(parse("00000007S") == 7s);
  CHECK(parse("99999999H") == nanoseconds::max());
  CHECK(parse("2562048H") == nanoseconds::max());
  CHECK(parse("2562047H") == 2562047h);
}

TEST_CASE("hostile grpc-timeouts are refused", "[core][deadline]") {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,           "1"sv,          "S"sv,    "n"sv,    "-1S"sv,
                                      "+1S"sv,        " 1S"sv,        "1 S"sv,  "1S "sv,  "1s"sv,
                                      "1h"sv,         "1U"sv,         "1.5S"sv, "1e3S"sv, "0x1S"sv,
                                      "123456789n"sv, "000000001S"sv, "1\0S"sv, "1S\0"sv, "\0"sv,
                                      "\0\0"sv,       "SS"sv,         "1SS"sv,  "1ms"sv,  "99999999999999999999S"sv,
                                      "\xff\xff"sv,   "1\xb5"sv,      "١S"sv}) {
    CAPTURE(text);
    CHECK_FALSE(banyan::detail::parse_grpc_timeout(text).has_value());
    CHECK_FALSE(deadline::from_grpc_timeout(text, at(0)).has_value());
  }
  CHECK_FALSE(deadline::from_grpc_timeout(std::string(10'000'000, '1') + "S", at(0)).has_value());
  static_assert(noexcept(deadline::from_grpc_timeout("1S"sv, at(0))));

  // Whatever comes: it is refused, or is what it says.
  banyan::testing::random_source random{banyan::testing::derived_seed("grpc-timeout")};
  const std::string_view letters = "0123456789numSMHx \0-"sv;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto length = random.below(11); length > 0; --length) text += letters[random.below(letters.size())];
    const auto parsed = banyan::detail::parse_grpc_timeout(text);
    const bool good = text.size() >= 2 && text.size() <= 9 && text.find_first_not_of("0123456789") == text.size() - 1 &&
                      "numSMH"sv.find(text.back()) != std::string_view::npos;
    REQUIRE(parsed.has_value() == good);
    REQUIRE((!good || *parsed >= 0ns));
  }
}

TEST_CASE("over the wire no hop gains time, and none loses more than a part in 100,000", "[core][deadline]") {
  banyan::testing::random_source random{banyan::testing::derived_seed("deadline over the wire")};
  for (int i = 0; i < 20'000; ++i) {
    // Up to 99,999,999 s; beyond, minutes and hours are coarser.
    const auto length = static_cast<std::int64_t>((1 + random.below(99'999'999'000'000'000)) >> random.below(57));
    if (length == 0) continue;
    const deadline here = deadline::in(nanoseconds{length}, at(12'345));
    const std::string text = here.to_grpc_timeout(at(12'345));
    REQUIRE(text.size() <= 9);
    // The other end's clock shows something else entirely.
    const auto there = deadline::from_grpc_timeout(text, at(-777));
    REQUIRE(there.has_value());
    const std::int64_t left = there->remaining(at(-777)).count();
    REQUIRE(left <= length);
    REQUIRE(left >= length - length / 100'000 - 1);
    // A text says the same however often it is passed on.
    REQUIRE(there->to_grpc_timeout(at(-777)) == text);
  }
  CHECK(deadline::in(50ms, at(0)).to_grpc_timeout(at(300'000)) == "49700000n");
  CHECK(deadline{at(5)}.to_grpc_timeout(at(9)) == "1n");
}

TEST_CASE("scopes: the sooner one wins, and ends give back what was there", "[core][deadline]") {
  const auto current = [] { return banyan::current_deadline<manual>(); };
  CHECK(current().is_never());
  {
    const scope outer{deadline{at(100)}};
    CHECK(current().at() == at(100));
    {
      const scope later{deadline{at(200)}};
      CHECK(current().at() == at(100));
      const scope never{deadline::never()};
      CHECK(current().at() == at(100));
      const scope inner{deadline{at(50)}};
      CHECK(current().at() == at(50));
      {
        const auto alone = scope::detached();
        CHECK(current().is_never());
        const scope own{deadline{at(900)}};
        CHECK(current().at() == at(900));
      }
      CHECK(current().at() == at(50));
    }
    CHECK(current().at() == at(100));
    CHECK(banyan::current_deadline().is_never());  // another clock's
#if defined(__cpp_exceptions)
    try {
      const scope doomed{deadline{at(1)}};
      throw 1;
    } catch (int) {
    }
    CHECK(current().at() == at(100));
#endif
  }
  CHECK(current().is_never());
}

TEST_CASE("a deadline is carried to another thread", "[core][deadline]") {
  const auto current = [] { return banyan::current_deadline<manual>(); };
  std::vector<std::optional<deadline>> seen(3);
  std::atomic<int> ran{0};
  {
    const scope limit{deadline{at(100)}};
    banyan::thread_executor threads;
    threads.execute([&] {
      seen[0] = current();
      ++ran;
    });
    threads.execute(banyan::with_current_deadline<manual>([&, only_moved = std::make_unique<int>(1)] {
      seen[1] = current();
      ran += *only_moved;
    }));
    const scope sooner{deadline{at(30)}};
    banyan::any_executor any{threads};
    any.execute(banyan::with_current_deadline<manual>([&] {
      const scope later{deadline{at(60)}};
      seen[2] = current();
      ++ran;
    }));
  }
  while (ran != 3) std::this_thread::yield();
  CHECK(seen[0] == deadline::never());  // not carried: lost
  CHECK(seen[1] == deadline{at(100)});
  CHECK(seen[2] == deadline{at(30)});

  // The thread's own deadline is another task's business; it is back afterwards. Arguments and results pass.
  const scope own{deadline{at(5)}};
  auto task = banyan::with_deadline(deadline{at(70)}, [&](int a, std::unique_ptr<int> b) {
    return std::pair{a + *b, current()};
  });
  const auto result = task(1, std::make_unique<int>(2));
  CHECK(result.first == 3);
  CHECK(result.second == deadline{at(70)});
  CHECK(current() == deadline{at(5)});
}
