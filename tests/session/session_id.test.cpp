#include "support/catch.hpp"

#include <banyan/session/session_id.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using banyan::session_id;
namespace detail = banyan::detail;

std::string encoded(std::string_view bytes) {
  std::string letters(detail::base64url_length(bytes.size()), '?');
  detail::to_base64url(std::as_bytes(std::span{bytes}), letters.data());
  return letters;
}

bool is_base64url(std::string_view letters) {
  std::vector<std::byte> bytes(detail::base64url_bytes(letters.size()) + 1);
  return detail::from_base64url(letters, bytes.data());
}

}  // namespace

TEST_CASE("base64url: the examples of RFC 4648, without padding") {
  const std::array<std::array<std::string_view, 2>, 9> examples{{{"", ""},
                                                                 {"f", "Zg"},
                                                                 {"fo", "Zm8"},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg"},
                                                                 {"fooba", "Zm9vYmE"},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {"\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l-"},
                                                                 {"\xff\xff\xff", "____"}}};
  for (const auto& [bytes, letters] : examples) {
    CHECK(encoded(bytes) == letters);
    CHECK(detail::base64url_bytes(letters.size()) == bytes.size());
    std::string back(bytes.size() + 1, '#');
    REQUIRE(detail::from_base64url(letters, reinterpret_cast<std::byte*>(back.data())));
    CHECK(back == std::string{bytes} + '#');
  }
}

TEST_CASE("base64url: there is one way to write bytes, all others are refused") {
  for (const std::string_view letters : {"Zg==", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Z", "Zm9vY", "Zm9\xc3"}) {
    INFO(letters);
    CHECK_FALSE(is_base64url(letters));
  }
  // Of two letters for one byte the last four bits are zero, of three letters for two bytes the last two.
  int two = 0;
  int three = 0;
  for (const char c : detail::base64url_alphabet) {
    two += is_base64url(std::string{'A', c});
    three += is_base64url(std::string{'A', 'A', c});
  }
  CHECK(two == 4);
  CHECK(three == 16);
  for (int c = 0; c < 256; ++c) {
    const bool known = detail::base64url_alphabet.find(static_cast<char>(c)) != std::string_view::npos;
    CHECK(is_base64url(std::string{'A', 'A', 'A', static_cast<char>(c)}) == known);
  }
}

TEST_CASE("session_id: 32 letters of the alphabet, never twice, every bit free") {
  std::set<std::string> seen;
  std::array<unsigned, session_id::length> used{};
  for (int i = 0; i < 20'000; ++i) {
    const session_id id = session_id::make();
    const std::string_view letters = id.text();
    REQUIRE(letters.size() == 32);
    for (std::size_t at = 0; at < letters.size(); ++at) {
      REQUIRE(detail::base64url_value(letters[at]) != detail::not_base64url);
      if (letters[at] == 'A' || letters[at] == '_') ++used[at];
    }
    seen.insert(std::string{letters});
  }
  CHECK(seen.size() == 20'000);
  // Two of 64 letters in 20,000 draws: 625 of them, give or take 25. Ten times that happens in no lifetime.
  for (const unsigned times : used) CHECK((times > 375 && times < 875));
}

TEST_CASE("session_id: what a client sends is read back, or is no id") {
  const session_id id = session_id::make();
  const std::string text{id.text()};
  CHECK(session_id::parse(text) == id);
  CHECK_FALSE(session_id::parse(""));
  CHECK_FALSE(session_id::parse(text.substr(1)));
  CHECK_FALSE(session_id::parse(text + "A"));
  CHECK_FALSE(session_id::parse(std::string(1'000'000, 'A')));
  for (std::size_t at = 0; at < text.size(); ++at) {
    // Each byte that there is, beside each neighbour.
    int wrong = 0;
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      std::string other = text;
      other[at] = c;
      const bool good = banyan::detail::base64url_alphabet.find(c) != std::string_view::npos;
      if (session_id::parse(other).has_value() != good) ++wrong;
      other[at ^ 1U] = '\xff';  // which has all to carry
      if (session_id::parse(other)) ++wrong;
    }
    CHECK(wrong == 0);
    std::string other = text;
    other[at] = other[at] == 'A' ? 'B' : 'A';
    CHECK(session_id::parse(other) != id);
  }
}

TEST_CASE("system_random: pieces are put together, interruptions repeated, and nothing weaker is taken") {
  std::array<std::byte, 10> bytes{};
  int calls = 0;
  detail::fill_by(bytes, [&](std::byte* to, std::size_t count) -> long {
    if (++calls % 2 == 0) {
      errno = EINTR;
      return -1;
    }
    const std::size_t some = count < 3 ? count : 3;
    std::memset(to, 7, some);
    return static_cast<long>(some);
  });
  CHECK(calls == 7);
  for (const std::byte each : bytes) CHECK(each == std::byte{7});

  const auto code_of = [&](long answer, int code) {
    try {
      detail::fill_by(bytes, [&](std::byte*, std::size_t) {
        errno = code;
        return answer;
      });
    } catch (const std::system_error& error) {
      return error.code().value();
    }
    return 0;
  };
  CHECK(code_of(-1, ENOSYS) == ENOSYS);
  CHECK(code_of(0, 0) == EIO);
  CHECK(code_of(11, 0) == EIO);

  banyan::system_random({});
  std::array<std::byte, 1000> drawn{};
  banyan::system_random(drawn);
  std::set<int> values;
  for (const std::byte each : drawn) values.insert(static_cast<int>(each));
  CHECK(values.size() > 200);
}
