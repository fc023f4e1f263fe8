#pragma once

#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/session/detail/base64url.hpp>
#include <banyan/session/signed_tokens.hpp>

#include "support/seed.hpp"

namespace banyan::testing {

struct token_clock_tag;
using token_clock = basic_manual_clock<token_clock_tag>;

template <class Answer>
std::string refusal_of(const Answer& answer) {
  return answer ? "none" : message(answer.error());
}

/// Every change of one letter, every cut and every addition is refused, whatever the payload.
template <message_authenticator Mac>
void check_forgeries(std::uint64_t seed) {
  random_source random{seed};
  const token_clock::time_point now{std::chrono::hours{400'000}};
  const signed_tokens<Mac, token_clock> tokens{{token_key::make(7)}, {.purpose = "test"}};
  for (const std::size_t size : {0U, 1U, 2U, 3U, 40U}) {
    std::string payload(size, '\0');
    for (char& c : payload) c = static_cast<char>(random.below(256));
    const auto made = tokens.sign(payload, now);
    REQUIRE(made);
    REQUIRE(tokens.verify(*made, now));
    REQUIRE(tokens.verify(*made, now)->payload == payload);
    std::size_t taken = 0;
    for (std::size_t at = 0; at < made->size(); ++at) {
      std::string changed = *made;
      for (int c = 0; c < 256; ++c) {
        changed[at] = static_cast<char>(c);
        if (changed != *made) taken += tokens.verify(changed, now) ? 1 : 0;
      }
      taken += tokens.verify(std::string_view{*made}.substr(0, at), now) ? 1 : 0;
      taken += tokens.verify(std::string_view{*made}.substr(at + 1), now) ? 1 : 0;
      std::string swapped = *made;
      std::swap(swapped[at], swapped[(at + 1) % swapped.size()]);
      if (swapped != *made) taken += tokens.verify(swapped, now) ? 1 : 0;
    }
    for (int c = 0; c < 256; ++c) {
      taken += tokens.verify(*made + static_cast<char>(c), now) ? 1 : 0;
      taken += tokens.verify(static_cast<char>(c) + *made, now) ? 1 : 0;
    }
    for (const std::string_view more : {"=", "==", "A", "AA", "AAA", "AAAA", "\n", "."}) {
      taken += tokens.verify(*made + std::string{more}, now) ? 1 : 0;
    }
    // Each bit, also of those that are no whole letter.
    std::vector<std::byte> bytes(banyan::detail::base64url_bytes(made->size()));
    REQUIRE(banyan::detail::from_base64url(*made, bytes.data()));
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      std::string letters(made->size(), ' ');
      banyan::detail::to_base64url(bytes, letters.data());
      taken += tokens.verify(letters, now) ? 1 : 0;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(taken == 0);
  }
  for (int i = 0; i < 2'000; ++i) {
    std::string noise(random.below(200), ' ');
    for (char& c : noise) {
      c = random.chance(1, 20) ? static_cast<char>(random.below(256))
                               : banyan::detail::base64url_alphabet[random.below(64)];
    }
    CHECK_FALSE(tokens.verify(noise, now));
  }
}

}  // namespace banyan::testing
