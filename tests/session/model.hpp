#pragma once

#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/session/session_store.hpp>

#include "support/seed.hpp"

namespace banyan::testing {

/// A store driven at random beside a map that says what it should do, by the second.
template <session_backend Backend>
void compare_with_model(Backend& backend, std::uint64_t seed, int steps) {
  struct tag;
  using test_clock = basic_manual_clock<tag>;
  using store = session_store<std::string, Backend, test_clock>;
  using seconds = std::int64_t;
  constexpr seconds ttl = 20;
  constexpr seconds lifetime = 60;
  struct entry {
    std::string value;
    std::uint64_t version;
    seconds created;
    seconds expires;
    std::optional<std::string> moved_to;  // empty: nowhere
  };
  std::map<std::string, entry> model;
  std::vector<std::string> ids{std::string(session_id::length, 'A')};
  std::vector<typename store::stored> held;  // by requests that are under way
  random_source random{seed};
  seconds now = 0;
  const auto time = [](seconds s) { return typename test_clock::time_point{std::chrono::seconds{s}}; };
  store sessions{backend,
                 {.ttl = std::chrono::seconds{ttl},
                  .max_lifetime = std::chrono::seconds{lifetime},
                  .renew_after = std::chrono::seconds{3},
                  .max_bytes = 40}};

  const auto there = [&](const std::string& id) -> entry* {
    const auto at = model.find(id);
    return at == model.end() || at->second.expires <= now ? nullptr : &at->second;
  };
  const auto led_to = [&](std::string id) -> std::optional<std::string> {
    for (int moves = 0; moves <= 8; ++moves) {
      const entry* at = there(id);
      if (at == nullptr) return std::nullopt;
      if (!at->moved_to) return id;
      id = *at->moved_to;
    }
    return std::nullopt;
  };
  // What refuses a change of the version that is held.
  const auto refusal = [&](const typename store::stored& s) -> std::optional<session_errc> {
    const entry* at = there(std::string{s.id.text()});
    if (at == nullptr) return session_errc::not_found;
    if (at->version != s.version) return session_errc::conflict;
    return std::nullopt;
  };
  const auto renewed = [&](seconds created) { return std::min(now + ttl, created + lifetime); };
  const auto same = [&](const auto& answer, std::optional<session_errc> refused) {
    return refused ? !answer && answer.error() == *refused : answer.has_value();
  };

  for (int step = 0; step < steps; ++step) {
    INFO("step " << step << " at " << now);
    // Ids of late more often than old ones.
    const std::string id = ids[random.chance(1, 2) ? random.below(ids.size()) : ids.size() - 1];
    auto* const mine = held.empty() ? nullptr : &held[random.below(held.size())];
    switch (random.below(mine != nullptr ? 10 : 4)) {
      case 0: {
        const std::string value(random.below(45), 'n');
        const auto made = sessions.create(value, time(now));
        REQUIRE(same(made, value.size() > 40 ? std::optional{session_errc::too_large} : std::nullopt));
        if (!made) break;
        ids.emplace_back(made->id.text());
        REQUIRE(model.emplace(ids.back(), entry{value, 1, now, now + ttl, {}}).second);
        held.push_back(*made);
        break;
      }
      case 1:
      case 2: {
        const bool use = random.chance(2, 3);
        const auto target = led_to(id);
        const auto loaded = use ? sessions.load(id, time(now)) : sessions.peek(id, time(now));
        REQUIRE(same(loaded, target ? std::nullopt : std::optional{session_errc::not_found}));
        if (!target) break;
        entry& at = model.at(*target);
        if (use && renewed(at.created) - at.expires > 3) at.expires = renewed(at.created);
        REQUIRE(loaded->id.text() == *target);
        REQUIRE(loaded->value == at.value);
        REQUIRE(loaded->version == at.version);
        REQUIRE(loaded->expires == session_time{std::chrono::seconds{at.expires}});
        REQUIRE_FALSE(loaded->stale);
        held.push_back(*loaded);
        if (held.size() > 8) held.erase(held.begin());
        break;
      }
      case 3: {
        const auto target = led_to(id);
        REQUIRE(same(sessions.destroy(id, time(now)), target ? std::nullopt : std::optional{session_errc::not_found}));
        if (target) model.erase(*target);
        break;
      }
      case 4:
      case 5: {
        mine->value = "step " + std::to_string(step);
        const auto refused = refusal(*mine);
        const std::string at{mine->id.text()};
        REQUIRE(same(sessions.save(*mine, time(now)), refused));
        if (refused) break;
        entry& kept = model.at(at);
        kept = {mine->value, kept.version + 1, kept.created, std::max(kept.expires, renewed(kept.created)), {}};
        REQUIRE(mine->version == kept.version);
        break;
      }
      case 6: {
        const auto refused = refusal(*mine);
        REQUIRE(same(sessions.touch(*mine, time(now)), refused));
        if (refused) break;
        entry& kept = model.at(std::string{mine->id.text()});
        kept.expires = std::max(kept.expires, renewed(kept.created));
        break;
      }
      case 7: {
        const seconds grace = static_cast<seconds>(random.below(3)) * 5;
        const bool restart = random.chance(1, 4);
        auto refused = refusal(*mine);
        // Whose lifetime is over is told so, though its old id may still lead on.
        const auto since = [](session_time t) -> seconds {
          return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
        };
        if (std::max(since(mine->expires), renewed(restart ? now : since(mine->created))) <= now) {
          refused = session_errc::not_found;
        }
        const std::string before{mine->id.text()};
        mine->value = "rotated " + std::to_string(step);
        REQUIRE(
            same(sessions.rotate(*mine, {.grace = std::chrono::seconds{grace}, .restart_lifetime = restart}, time(now)),
                 refused));
        if (refused) {
          REQUIRE(mine->id.text() == before);
          break;
        }
        entry old = model.at(before);
        ids.emplace_back(mine->id.text());
        const seconds created = restart ? now : old.created;
        // What the request that rotates has seen of the expiry counts, not what others did to it since.
        const seconds seen = since(mine->expires);
        REQUIRE(seen >= renewed(created));
        REQUIRE(seen <= std::max(old.expires, renewed(created)));
        REQUIRE(model.emplace(ids.back(), entry{mine->value, old.version + 1, created, seen, {}}).second);
        model.at(before) = {"", old.version + 1, created, now + grace, grace > 0 ? ids.back() : std::string{}};
        break;
      }
      case 8: {
        const auto target = led_to(id);
        const auto changed = sessions.update(
            id, [](std::string& value) { value = "updated"; }, time(now));
        REQUIRE(same(changed, target ? std::nullopt : std::optional{session_errc::not_found}));
        if (!target) break;
        entry& kept = model.at(*target);
        kept = {"updated", kept.version + 1, kept.created, std::max(kept.expires, renewed(kept.created)), {}};
        break;
      }
      default:
        now += static_cast<seconds>(random.below(6));
        break;
    }
  }
}

}  // namespace banyan::testing
