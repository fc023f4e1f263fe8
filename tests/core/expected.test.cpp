#include <banyan/core/expected.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

namespace {

using banyan::expected;
using banyan::unexpected;

enum class fault { closed, full };

static_assert(std::is_trivially_copy_constructible_v<expected<int, fault>>);
static_assert(std::is_trivially_move_constructible_v<expected<int, fault>>);
static_assert(std::is_trivially_destructible_v<expected<int, fault>>);
static_assert(!std::is_trivially_destructible_v<expected<std::string, fault>>);
static_assert(!std::is_copy_constructible_v<expected<std::unique_ptr<int>, fault>>);
static_assert(std::is_nothrow_move_constructible_v<expected<std::string, fault>>);
static_assert(!std::is_convertible_v<expected<int, fault>, bool>);

constexpr expected<int, fault> half(int x) {
  if (x % 2 != 0) return unexpected(fault::full);
  return x / 2;
}
static_assert(half(4) == 2);
static_assert(half(3) == unexpected(fault::full));
static_assert(half(8).and_then(half).and_then(half).value() == 1);
static_assert(half(6).and_then(half).error() == fault::full);
static_assert(half(6).transform([](int x) { return x * 10; }) == 30);
static_assert(half(5).value_or(9) == 9);
static_assert(half(5).or_else([](fault) { return half(2); }) == 1);

TEST_CASE("value or error", "[core][expected]") {
  expected<std::string, int> good{"yes"};
  REQUIRE(good);
  CHECK(*good == "yes");
  CHECK(good->size() == 3);
  expected<std::string, int> bad = unexpected(7);
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error() == 7);
  CHECK(bad.value_or("no") == "no");
  CHECK(good != bad);
  const expected<std::string, int> both(std::in_place, 3U, 'z');
  CHECK(both == std::string{"zzz"});
  CHECK(expected<std::string, int>{} == std::string{});
}

TEST_CASE("assignment across value and error", "[core][expected]") {
  expected<std::string, std::string> a{std::string(40, 'a')};
  expected<std::string, std::string> b = unexpected(std::string(40, 'b'));
  a = b;
  CHECK(a.error() == std::string(40, 'b'));
  a = expected<std::string, std::string>{"again"};
  CHECK(a == std::string{"again"});
  const auto& self = a;
  a = self;
  CHECK(a == std::string{"again"});
  b = std::move(a);
  CHECK(*b == "again");
}

TEST_CASE("move-only values", "[core][expected]") {
  expected<std::unique_ptr<int>, fault> owner{std::make_unique<int>(5)};
  expected<std::unique_ptr<int>, fault> taken = std::move(owner);
  CHECK(**taken == 5);
  const std::unique_ptr<int> out = std::move(taken).value();
  CHECK(*out == 5);
  auto doubled = expected<std::unique_ptr<int>, fault>{std::make_unique<int>(6)}.transform(
      [](std::unique_ptr<int> p) { return *p * 2; });
  CHECK(doubled == 12);
}

TEST_CASE("expected<void>", "[core][expected]") {
  expected<void, fault> fine;
  CHECK(fine);
  fine.value();
  expected<void, fault> failed = unexpected(fault::closed);
  CHECK_FALSE(failed);
  CHECK(failed.error() == fault::closed);
  CHECK(fine != failed);
}

#if defined(__cpp_exceptions)
TEST_CASE("value() of an error throws", "[core][expected]") {
  const expected<int, fault> bad = unexpected(fault::closed);
  CHECK_THROWS_AS(bad.value(), banyan::bad_expected_access);
  CHECK_THROWS_AS((expected<void, fault>{unexpected(fault::full)}.value()), banyan::bad_expected_access);
}
#endif

}  // namespace
