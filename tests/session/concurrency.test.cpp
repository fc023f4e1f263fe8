#include "support/catch.hpp"

#include <banyan/core/clock.hpp>
#include <banyan/session/memory_session_backend.hpp>
#include <banyan/session/session_store.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "session/remote_backend.hpp"
#include "support/history.hpp"
#include "support/joining_thread.hpp"
#include "support/linearizability.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

struct tag;
using test_clock = banyan::basic_manual_clock<tag>;
using time_point = test_clock::time_point;
using banyan::session_errc;
using banyan::testing::joining_thread;
using banyan::testing::random_source;
using backend = banyan::memory_session_backend;
using store = banyan::session_store<std::string, backend, test_clock>;

constexpr time_point start{std::chrono::hours{1'000'000}};

// One session as a map of one: what each request may be told of it.
struct session_model {
  enum class kind { load, save, destroy };
  struct operation {
    kind what;
    std::uint64_t version = 0;  // that a save was made from
    std::string value{};
  };
  struct result {
    std::optional<session_errc> refused{};
    std::uint64_t version = 0;
    std::string value{};
  };
  struct state {
    bool there = true;
    std::uint64_t version = 1;
    std::string value = "new";
    bool operator==(const state&) const = default;
  };

  state initial() const { return {}; }

  bool apply(state& s, const operation& op, const result* seen) const {
    if (seen == nullptr) return false;  // no call is left pending here
    if (!s.there) return seen->refused == session_errc::not_found;
    switch (op.what) {
      case kind::load:
        return !seen->refused && seen->version == s.version && seen->value == s.value;
      case kind::save:
        if (s.version != op.version) return seen->refused == session_errc::conflict;
        if (seen->refused) return false;
        s.version += 1;
        s.value = op.value;
        return seen->version == s.version;
      case kind::destroy:
        s.there = false;
        return !seen->refused;
    }
    return false;
  }

  std::size_t hash(const state& s) const { return s.there ? static_cast<std::size_t>(s.version) : 0; }
  std::string describe(const operation& op, const result* seen) const {
    static constexpr std::array names{"load", "save", "destroy"};
    std::string text = names[static_cast<std::size_t>(op.what)];
    text += " " + std::to_string(op.version) + " '" + op.value + "'";
    if (seen == nullptr) return text + " -> pending";
    return text + " -> " +
           (seen->refused ? message(*seen->refused) : std::to_string(seen->version) + " " + seen->value);
  }
};

}  // namespace

TEST_CASE("session_store: what concurrent requests see and save is in one order") {
  using banyan::testing::derived_seed;
  constexpr std::size_t threads = 4;
  constexpr std::size_t calls = 24;
  for (std::uint64_t round = 0; round < 60; ++round) {
    const std::uint64_t seed = derived_seed("histories of a session", round);
    CAPTURE(seed);
    backend kept{{.capacity = 16}};
    store sessions{kept, {}};
    const auto made = sessions.create("new", start);
    const std::string cookie{made->id.text()};
    banyan::testing::history_recorder<session_model::operation, session_model::result> recorder{threads, calls + 1};
    std::atomic<std::size_t> ready{0};
    {
      std::vector<joining_thread> workers;
      for (std::size_t t = 0; t < threads; ++t) {
        workers.emplace_back([&, t] {
          random_source random{seed + t};
          auto mine = *made;
          ready.fetch_add(1);
          while (ready.load() < threads) std::this_thread::yield();
          for (std::size_t i = 0; i < calls; ++i) {
            using kind = session_model::kind;
            const std::uint64_t choice = random.below(t == 0 && i > calls / 2 ? 40 : 39);
            if (choice < 19) {
              recorder.record(t, {.what = kind::load}, [&]() -> session_model::result {
                const auto found = sessions.load(cookie, start);
                if (!found) return {.refused = found.error()};
                mine = *found;
                return {.version = found->version, .value = found->value};
              });
            } else if (choice < 39) {
              mine.value = std::to_string(t) + "/" + std::to_string(i);
              recorder.record(t, {.what = kind::save, .version = mine.version, .value = mine.value},
                              [&]() -> session_model::result {
                                const auto saved = sessions.save(mine, start);
                                if (!saved) return {.refused = saved.error()};
                                return {.version = mine.version};
                              });
            } else {
              recorder.record(t, {.what = kind::destroy}, [&]() -> session_model::result {
                const auto ended = sessions.destroy(cookie, start);
                if (!ended) return {.refused = ended.error()};
                return {};
              });
            }
          }
        });
      }
    }
    const auto report = banyan::testing::check_linearizable(session_model{}, recorder.calls());
    INFO(report.explanation);
    REQUIRE(report.linearizable());
  }
}

TEST_CASE("session_store: of threads that all add something nothing is lost, by update and by save") {
  constexpr std::size_t threads = 4;
  constexpr int each = 200;
  backend kept;
  store sessions{kept, {.update_attempts = 1000}};
  const std::string cookie{sessions.create("", start)->id.text()};
  std::atomic<int> added{0};
  {
    std::vector<joining_thread> workers;
    for (std::size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          if (t % 2 == 0) {
            if (sessions.update(
                    cookie, [](std::string& v) { v += 'x'; }, start)) {
              ++added;
            }
          } else if (auto s = sessions.load(cookie, start)) {
            s->value += 'x';
            if (sessions.save(*s, start)) ++added;
          }
        }
      });
    }
  }
  const auto s = sessions.load(cookie, start);
  REQUIRE(s);
  CHECK(s->value.size() == static_cast<std::size_t>(added.load()));
  CHECK(s->version == static_cast<std::uint64_t>(added.load()) + 1);
  CHECK(added.load() >= each * 2);  // of the updates none gives up: each failure is another's success
}

TEST_CASE("session_store: rotations, saves and a logout at the same time leave one session or none") {
  using banyan::testing::derived_seed;
  for (std::uint64_t round = 0; round < 200; ++round) {
    const std::uint64_t seed = derived_seed("rotations", round);
    CAPTURE(seed);
    const bool logout = round % 2 == 0;
    backend kept{{.capacity = 64}};
    store sessions{kept, {.update_attempts = 1000}};
    const std::string cookie{sessions.create("", start)->id.text()};
    constexpr std::size_t threads = 3;
    std::atomic<std::size_t> ready{0};
    std::atomic<int> saved{0};
    std::atomic<bool> ended{false};
    {
      std::vector<joining_thread> workers;
      for (std::size_t t = 0; t < threads; ++t) {
        workers.emplace_back([&, t] {
          ready.fetch_add(1);
          while (ready.load() < threads) std::this_thread::yield();
          // All know the first id only; the grace leads them on. At most 6 rotations, so that the way is short enough.
          for (int i = 0; i < 3; ++i) {
            if (logout && t == 2 && i == 1) {
              ended = sessions.destroy(cookie, start).has_value();
              return;
            }
            auto s = sessions.load(cookie, start);
            if (!s) return;
            s->value += 'x';
            const auto changed = t == 0 || i == 0 ? sessions.rotate(*s, {.grace = std::chrono::minutes{1}}, start)
                                                  : sessions.save(*s, start);
            if (changed) ++saved;
          }
        });
      }
    }
    const auto s = sessions.load(cookie, start);
    REQUIRE(s.has_value() == !ended.load());
    if (s) REQUIRE(s->value.size() == static_cast<std::size_t>(saved.load()));
    // Nothing is left under an id that nobody knows: later than the grace there is one session, or none.
    kept.purge(banyan::detail::to_session_time(start + std::chrono::minutes{1}));
    REQUIRE(kept.size() == (ended.load() ? 0 : 1));
  }
}

TEST_CASE("session_store: over memory, breaker and copies included, nobody waits for a thread that is stopped") {
  constexpr std::size_t workers = 3;
  const std::uint64_t seed = banyan::testing::derived_seed("stopped in a session");
  using remote = banyan::testing::remote_backend;
  remote kept{{.capacity = 64}};
  banyan::session_store<std::string, remote, test_clock> sessions{
      kept, {.stale_for = std::chrono::minutes{1}, .stale_capacity = 32}};
  std::vector<std::string> cookies;
  for (int i = 0; i < 4; ++i) cookies.emplace_back(sessions.create("a session", start)->id.text());
  std::vector<random_source> random;
  for (std::size_t t = 0; t < workers; ++t) random.emplace_back(seed + t);
  const auto result = banyan::testing::stop_a_thread(
      {.workers = workers, .rounds = 60, .at_most = std::chrono::milliseconds{500}, .seed = seed},
      [&](std::size_t worker) {
        random_source& mine = random[worker];
        const std::string& cookie = cookies[mine.below(cookies.size())];
        auto s = sessions.load(cookie, start);
        if (!s) return;
        switch (mine.below(4)) {
          case 0:
            (void)sessions.save(*s, start);
            break;
          case 1:
            (void)sessions.touch(*s, start + std::chrono::seconds{1});
            break;
          case 2:
            if (auto fresh = sessions.create("short-lived", start)) {
              (void)sessions.rotate(*fresh, {}, start);
              (void)sessions.destroy(fresh->id.text(), start);
            }
            break;
          default:
            break;
        }
      });
  INFO(result.describe());
  CHECK(result.passed());
}
