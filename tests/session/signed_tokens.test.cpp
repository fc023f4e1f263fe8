#include <banyan/session/signed_tokens.hpp>

#include "support/catch.hpp"

#include <banyan/core/random.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "session/token_refusals.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

// No cryptography: enough to see what is covered by the tag.
struct toy_mac {
  static constexpr std::size_t size = 16;
  static inline std::atomic<bool> broken{false};

  explicit toy_mac(std::span<const std::byte> secret) : key{secret.begin(), secret.end()} {}

  bool sign(std::span<const std::byte> message, std::span<std::byte, size> tag) const noexcept {
    std::uint64_t low = 14695981039346656037U;
    std::uint64_t high = message.size();
    const auto mix = [&](std::span<const std::byte> bytes) {
      for (const std::byte each : bytes) {
        low = banyan::mix_bits(low ^ std::to_integer<std::uint64_t>(each));
        high = banyan::mix_bits(high + low);
      }
    };
    mix(key);
    mix(message);
    mix(key);
    for (std::size_t i = 0; i < 8; ++i) {
      tag[i] = static_cast<std::byte>(low >> 8 * i & 0xffU);
      tag[8 + i] = static_cast<std::byte>(high >> 8 * i & 0xffU);
    }
    return !broken;
  }
  static bool equal(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
    return std::ranges::equal(a, b);
  }

  std::vector<std::byte> key;
};
static_assert(banyan::message_authenticator<toy_mac>);

using banyan::signed_token_options;
using banyan::token_errc;
using banyan::token_key;
using banyan::unexpected;
using banyan::testing::token_clock;
using tokens_of = banyan::signed_tokens<toy_mac, token_clock>;

constexpr token_clock::time_point start{400'000h};
const token_key first = token_key::of(1, "0123456789abcdef");
const token_key second = token_key::of(2, "another secret of some length");

// A token with some of its bytes replaced and, by whoever has the key, signed again.
std::string rewritten(const std::string& token, std::size_t at, std::byte value, std::string_view purpose,
                      const token_key& key) {
  std::vector<std::byte> bytes(banyan::detail::base64url_bytes(token.size()));
  REQUIRE(banyan::detail::from_base64url(token, bytes.data()));
  bytes[at] = value;
  std::vector<std::byte> signed_part{static_cast<std::byte>(purpose.size())};
  for (const char c : purpose) signed_part.push_back(static_cast<std::byte>(c));
  signed_part.insert(signed_part.end(), bytes.begin(), bytes.end() - toy_mac::size);
  std::array<std::byte, toy_mac::size> tag{};
  toy_mac{key.secret}.sign(signed_part, tag);
  std::ranges::copy(tag, bytes.end() - toy_mac::size);
  std::string letters(token.size(), ' ');
  banyan::detail::to_base64url(bytes, letters.data());
  return letters;
}

}  // namespace

TEST_CASE("signed_tokens: what is signed comes back, for so long") {
  const tokens_of tokens{{first}, {.ttl = 10s, .skew = 2s}};
  const auto token = tokens.sign("user=42", start);
  REQUIRE(token);
  CHECK(token->size() == banyan::detail::base64url_length(17 + 7 + 16));
  const auto said = tokens.verify(*token, start);
  REQUIRE(said);
  CHECK(said->payload == "user=42");
  CHECK(said->key == 1);
  CHECK(said->issued.time_since_epoch() == start.time_since_epoch());
  CHECK(said->expires == said->issued + 10s);

  CHECK(tokens.verify(*token, start + 12s - 1ms));
  CHECK(tokens.verify(*token, start + 12s) == unexpected{token_errc::expired});
  CHECK(tokens.verify(*token, token_clock::time_point::max()) == unexpected{token_errc::expired});
  CHECK(tokens.verify(*token, start - 2s));
  CHECK(tokens.verify(*token, start - 2s - 1ms) == unexpected{token_errc::from_future});
  CHECK(tokens.verify(*token, token_clock::time_point::min()) == unexpected{token_errc::from_future});

  const tokens_of strict{{first}, {.ttl = 10s, .skew = 0s}};
  CHECK(strict.verify(*token, start + 10s - 1ms));
  CHECK(strict.verify(*token, start + 10s) == unexpected{token_errc::expired});
  CHECK(strict.verify(*token, start));
  CHECK(strict.verify(*token, start - 1ms) == unexpected{token_errc::from_future});
}

TEST_CASE("signed_tokens: reasons of refusal") {
  const tokens_of tokens{{first}, {.purpose = "session", .max_bytes = 200}};
  const std::string token = *tokens.sign("user=42", start);
  CHECK(tokens.verify("", start) == unexpected{token_errc::malformed});
  CHECK(tokens.verify(std::string(201, 'A'), start) == unexpected{token_errc::too_large});
  CHECK(tokens.verify(std::string(200, 'A'), start) == unexpected{token_errc::other_version});
  CHECK(tokens.verify(token.substr(0, 40), start) == unexpected{token_errc::malformed});
  const std::string whole_letters = *tokens.sign("user=4", start);
  CHECK(tokens.verify(whole_letters.substr(0, whole_letters.size() - 4), start) == unexpected{token_errc::forged});
  CHECK(tokens.verify(token + "=", start) == unexpected{token_errc::malformed});

  CHECK(tokens.verify(rewritten(token, 0, std::byte{1}, "session", first), start));
  CHECK(tokens.verify(rewritten(token, 0, std::byte{2}, "session", first), start) ==
        unexpected{token_errc::other_version});
  CHECK(tokens.verify(rewritten(token, 4, std::byte{9}, "session", first), start) ==
        unexpected{token_errc::unknown_key});
  CHECK(tokens.verify(rewritten(token, 20, std::byte{'x'}, "session", second), start) ==
        unexpected{token_errc::forged});
  CHECK(tokens.verify(rewritten(token, 20, std::byte{'x'}, "session", first), start)->payload == "usex=42");

  // The same key for another purpose, and purposes that run into what follows.
  const tokens_of reset{{first}, {.purpose = "password reset"}};
  const tokens_of none{{first}, {}};
  CHECK(reset.verify(token, start) == unexpected{token_errc::forged});
  CHECK(none.verify(token, start) == unexpected{token_errc::forged});

  // Another's key under the number that is known here.
  const tokens_of other{{token_key::of(1, "fedcba9876543210")}, {.purpose = "session"}};
  CHECK(other.verify(token, start) == unexpected{token_errc::forged});
}

TEST_CASE("signed_tokens: every single change is refused") {
  banyan::testing::check_forgeries<toy_mac>(banyan::testing::derived_seed("forged tokens"));
}

TEST_CASE("signed_tokens: keys are replaced in steps, and no token is lost on the way") {
  tokens_of here{{first}};
  tokens_of there{{first}};
  const std::string old = *here.sign("x", start);
  here.set_keys({first, second});
  CHECK(there.verify(*here.sign("x", start), start));
  there.set_keys({first, second});
  here.set_keys({second, first});
  const std::string fresh = *here.sign("x", start);
  CHECK(there.verify(fresh, start)->key == 2);
  CHECK(here.verify(old, start)->key == 1);
  there.set_keys({second});
  CHECK(there.verify(old, start) == unexpected{token_errc::unknown_key});
  CHECK(there.verify(fresh, start));

  // Keys that make no sense change nothing.
  const auto refused = [&](const std::vector<token_key>& keys) {
    return banyan::testing::refused_field([&] {
      there.set_keys(keys);
      return 0;
    });
  };
  CHECK(refused({}) == "keys");
  CHECK(refused({first, token_key::of(1, "one more of a length")}) == "token_key.id");
  CHECK(refused({first, token_key::of(3, "fifteen letters")}) == "token_key.secret");
  CHECK(there.verify(fresh, start));
  CHECK(token_key::make(5).secret.size() == 32);
  CHECK(token_key::make(5).secret != token_key::make(5).secret);
}

TEST_CASE("signed_tokens: tokens never grow beyond what is taken, nor times beyond what can be written") {
  for (std::size_t most = 128; most < 140; ++most) {
    const tokens_of tokens{{first}, {.max_bytes = most}};
    std::size_t longest = 0;
    for (std::size_t size = 0; size < 200; ++size) {
      const auto token = tokens.sign(std::string(size, 'x'), start);
      if (!token) {
        CHECK(token == unexpected{token_errc::too_large});
        continue;
      }
      REQUIRE(token->size() <= most);
      REQUIRE(tokens.verify(*token, start));
      longest = size;
    }
    CHECK(banyan::detail::base64url_length(33 + longest + 1) > most);
  }
  const tokens_of tokens{{first}};
  CHECK(tokens.sign("x", token_clock::time_point{-1ns}) == unexpected{token_errc::failed});
  CHECK(tokens.sign("x", token_clock::time_point::min()) == unexpected{token_errc::failed});
  const auto latest = tokens.sign("x", token_clock::time_point::max());
  REQUIRE(latest);
  CHECK(tokens.verify(*latest, token_clock::time_point::max()));
  CHECK(tokens.verify(*tokens.sign("x", token_clock::time_point{}), token_clock::time_point{}));
}

TEST_CASE("signed_tokens: options out of their range are refused by name") {
  const auto refused = [](signed_token_options options) {
    return banyan::testing::refused_field([&] {
      const tokens_of tokens{{first}, options};
      return 0;
    });
  };
  CHECK(refused({.purpose = std::string(256, 'x')}) == "signed_token_options.purpose");
  CHECK(refused({.ttl = 0ms}) == "signed_token_options.ttl");
  CHECK(refused({.ttl = std::chrono::milliseconds::max()}) == "signed_token_options.ttl");
  CHECK(refused({.skew = -1ms}) == "signed_token_options.skew");
  CHECK(refused({.skew = 2h}) == "signed_token_options.skew");
  CHECK(refused({.max_bytes = 127}) == "signed_token_options.max_bytes");
  CHECK(refused({.max_bytes = std::size_t{1} << 21}) == "signed_token_options.max_bytes");
  CHECK(refused({.purpose = std::string(255, 'x')}).empty());
}

TEST_CASE("signed_tokens: a failing library and failing allocations refuse, and verify never throws") {
  const tokens_of tokens{{first}, {}};
  const std::string token = *tokens.sign(std::string(100, 'x'), start);
  toy_mac::broken = true;
  CHECK(tokens.sign("x", start) == unexpected{token_errc::failed});
  CHECK(tokens.verify(token, start) == unexpected{token_errc::failed});
  toy_mac::broken = false;
  std::uint64_t n = 0;
  for (bool fired = true; fired;) {
    bool taken = false;
    bool failed = false;
    {
      const banyan::testing::fail_nth_allocation armed{++n};
      const auto said = tokens.verify(token, start);
      fired = armed.fired();
      taken = said.has_value();
      failed = said == unexpected{token_errc::failed};
    }
    CHECK(taken == !fired);
    CHECK(failed == fired);
  }
  CHECK(n > 1);
}

TEST_CASE("signed_tokens: keys may be replaced while others sign and verify") {
  tokens_of tokens{{first, second}};
  std::atomic<std::size_t> ready{0};
  std::atomic<int> refused{0};
  {
    std::vector<banyan::testing::joining_thread> workers;
    for (int t = 0; t < 2; ++t) {
      workers.emplace_back([&] {
        ready.fetch_add(1);
        for (int i = 0; i < 2'000; ++i) {
          const auto token = tokens.sign("x", start);
          if (!token || !tokens.verify(*token, start)) ++refused;
        }
      });
    }
    while (ready.load() < 2) std::this_thread::yield();
    for (int i = 0; i < 200; ++i) {
      tokens.set_keys({second, first});
      tokens.set_keys({first, second});
    }
  }
  CHECK(refused == 0);
}
