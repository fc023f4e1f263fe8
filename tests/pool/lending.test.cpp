#include <banyan/pool/detail/lending.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

template <template <class> class Atomic>
struct library {
  using lending = banyan::detail::lending<Atomic>;
  using ticket = typename lending::ticket;
  static constexpr std::uint32_t none = lending::none;

  explicit library(std::uint32_t items, std::size_t nook_count = 2, bool newest_first = true, std::size_t room = 16,
                   bool overtaking = false)
      : nooks(nook_count),
        idle(2 * items + room),
        waiting(room),
        places(items),
        protocol{{nooks, idle, waiting, places}, {.newest_first = newest_first, .overtaking = overtaking}} {}

  void put(std::uint32_t item, std::uint32_t near = 0) { protocol.put(item, near, wake); }
  std::uint32_t take(std::uint32_t near = 0) { return protocol.take(near, wake).item; }
  ticket wait(std::uint32_t near = 0) {
    const ticket t = protocol.prepare_to_wait();
    if (t) protocol.join(t, false, near, wake);
    return t;
  }
  std::optional<std::uint32_t> given(ticket t) { return protocol.given(t); }

  std::vector<typename lending::nook> nooks;
  std::vector<typename lending::list::entry> idle;
  std::vector<typename lending::list::entry> waiting;
  std::vector<Atomic<std::uint64_t>> places;
  lending protocol;
  std::vector<std::uint32_t> woken{};
  std::function<void(ticket, std::uint32_t)> wake = [this](ticket t, std::uint32_t) { woken.push_back(t.index); };
};

using plain = library<std::atomic>;
using stepped = library<scheduled_atomic>;

}  // namespace

TEST_CASE("lending: one thread gets back what it put last", "[pool][lending]") {
  plain l{4};
  for (std::uint32_t i = 0; i < 4; ++i) l.put(i);
  for (const std::uint32_t expected : {3U, 2U, 1U, 0U, plain::none}) CHECK(l.take() == expected);
}

TEST_CASE("lending: oldest first", "[pool][lending]") {
  plain l{4, 0, false};
  for (std::uint32_t i = 0; i < 4; ++i) l.put(i);
  for (const std::uint32_t expected : {0U, 1U, 2U, 3U, plain::none}) CHECK(l.take() == expected);
}

TEST_CASE("lending: each thread has its own nook, and finds the others'", "[pool][lending]") {
  plain l{2};
  l.put(0, 0);
  l.put(1, 1);
  CHECK(l.take(0) == 0);
  CHECK(l.take(0) == 1);
  CHECK(l.take(0) == plain::none);
}

TEST_CASE("lending: first come, first served; those who leave are passed over", "[pool][lending]") {
  plain l{2};
  const auto a = l.wait();
  const auto b = l.wait();
  const auto c = l.wait();
  CHECK(l.protocol.leave(b));
  l.protocol.finish(b);
  CHECK(l.protocol.waiting() == 2);
  l.put(1);
  CHECK(l.given(a) == 1U);
  CHECK_FALSE(l.given(c));
  CHECK_FALSE(l.protocol.leave(a));
  l.protocol.finish(a);
  l.put(0);
  CHECK(l.given(c) == 0U);
  l.protocol.finish(c);
  CHECK(l.protocol.waiting() == 0);
  CHECK(l.take() == plain::none);
  CHECK(l.woken == std::vector<std::uint32_t>{a.index, c.index});
}

TEST_CASE("lending: suspended nobody is given anything, closed nobody waits", "[pool][lending]") {
  plain l{2};
  l.put(0);
  l.protocol.suspend();
  CHECK(l.take() == plain::none);
  const auto a = l.wait();
  l.put(1);
  CHECK_FALSE(l.given(a));
  l.protocol.resume(0, l.wake);
  CHECK(l.given(a).has_value());
  l.protocol.finish(a);
  CHECK(l.take() != plain::none);
  const auto b = l.wait();
  l.protocol.close(l.wake);
  CHECK(l.given(b) == plain::lending::refused);
  l.protocol.finish(b);
  const auto c = l.wait();
  CHECK(l.given(c) == plain::lending::refused);
}

TEST_CASE("lending: this very item", "[pool][lending]") {
  plain l{3};
  for (std::uint32_t i = 0; i < 3; ++i) l.put(i);
  CHECK(l.protocol.take_this(1));
  CHECK_FALSE(l.protocol.take_this(1));
  CHECK(l.protocol.take_this(2));  // in the nook
  CHECK(l.take() == 0);
  CHECK_FALSE(l.protocol.take_this(0));
  CHECK(l.take() == plain::none);
}

// Every order of steps: no item is lost or lent twice, and nobody waits while one is idle.
TEST_CASE("lending: every order of a few steps", "[pool][lending]") {
  struct state {
    explicit state(std::uint32_t items, bool overtaking = false) : l{items, 2, true, 16, overtaking}, held(items, 0) {}
    stepped l;
    std::array<stepped::ticket, 3> tickets{};
    std::array<bool, 3> left{};
    std::vector<int> held;  // how often each item is lent at the end
    bool suspended = false;

    void hold(std::uint32_t item) {
      if (item < held.size()) ++held[item];
    }
    bool right() {
      bool somebody_waits = false;
      bool somebody_is_awake = false;
      for (std::size_t i = 0; i < 3; ++i) {
        if (!tickets[i] || left[i]) continue;
        const auto got = l.given(tickets[i]);
        if (got == stepped::lending::look_again) {
          somebody_is_awake = true;
        } else if (got) {
          hold(*got);
        } else {
          somebody_waits = true;
        }
      }
      const bool closed = (l.protocol.flags() & stepped::lending::closed) != 0;
      if (closed && somebody_waits) return false;
      bool something_idle = false;
      for (auto item = l.protocol.take_any(0); item != stepped::none; item = l.protocol.take_any(0)) {
        something_idle = true;
        hold(item);
      }
      if (somebody_waits && something_idle && !somebody_is_awake) return false;
      for (const int count : held) {
        if (count != 1) return false;
      }
      return true;
    }
  };
  using shared = std::shared_ptr<state>;
  using threads = std::vector<std::function<void()>>;
  bool overtaking = false;
  const auto run = [&](unsigned preemptions, std::uint32_t items, auto make_threads) {
    const auto report = explore({.preemptions = preemptions}, [&] {
      auto s = std::make_shared<state>(items, overtaking);
      return scenario{make_threads(s), [s] { return s->right(); }};
    });
    INFO("schedule " << report.schedule << ", runs " << report.runs);
    CHECK(report.passed);
    CHECK(report.complete);
  };
  const auto wait = [](const shared& s, std::size_t i) {
    return [s, i] { s->tickets[i] = s->l.wait(static_cast<std::uint32_t>(i)); };
  };
  SECTION("one puts, one waits") {
    run(4, 1, [&](const shared& s) { return threads{[s] { s->l.put(0); }, wait(s, 1)}; });
  }
  SECTION("one puts, two wait, one of them leaves") {
    run(2, 1, [&](const shared& s) {
      return threads{[s] { s->l.put(0); }, wait(s, 0),
                     [s] {
                       s->tickets[1] = s->l.wait(1);
                       s->left[1] = s->l.protocol.leave(s->tickets[1]);
                       if (s->left[1]) s->l.protocol.finish(s->tickets[1]);
                     }};
    });
  }
  SECTION("two put, one waits, one takes") {
    run(2, 2, [&](const shared& s) {
      return threads{[s] { s->l.put(0, 0); }, [s] { s->l.put(1, 0); }, wait(s, 1), [s] { s->hold(s->l.take(0)); }};
    });
  }
  SECTION("one takes while one waits and one puts") {
    run(3, 1, [&](const shared& s) {
      return threads{[s] { s->l.put(0, 1); }, wait(s, 0), [s] { s->hold(s->l.take(1)); }};
    });
  }
  SECTION("closing while one waits and one puts") {
    run(2, 1, [&](const shared& s) {
      return threads{[s] {
                       if ((s->l.protocol.put(0, 0, s->l.wake) & stepped::lending::closed) != 0) {
                         s->hold(s->l.protocol.take_any(0));
                       }
                     },
                     wait(s, 1),
                     [s] {
                       s->l.protocol.close(s->l.wake);
                       s->hold(s->l.protocol.take_any(0));
                     }};
    });
  }
  SECTION("resuming while one waits and one puts") {
    run(2, 1, [&](const shared& s) {
      s->l.protocol.suspend();
      return threads{[s] { s->l.put(0); }, wait(s, 1), [s] { s->l.protocol.resume(0, s->l.wake); }};
    });
  }
  SECTION("a waiter leaves while it is to be served, and another comes") {
    run(2, 1, [&](const shared& s) {
      s->tickets[0] = s->l.wait();
      return threads{[s] { s->l.put(0); },
                     [s] {
                       s->left[0] = s->l.protocol.leave(s->tickets[0]);
                       if (s->left[0]) s->l.protocol.finish(s->tickets[0]);
                     },
                     wait(s, 1)};
    });
  }
  SECTION("who comes later does not overtake") {
    run(3, 1, [&](const shared& s) {
      s->tickets[0] = s->l.wait();
      return threads{[s] { s->l.put(0); },
                     [s] {
                       if (s->l.take(0) != stepped::none) s->hold(0), s->hold(0);  // wrong, whatever else is
                     }};
    });
  }
  SECTION("one takes while another resumes, and a third waits") {
    run(3, 1, [&](const shared& s) {
      s->l.put(0);
      s->l.protocol.suspend();
      s->tickets[0] = s->l.wait();
      return threads{[s] { s->hold(s->l.take(0)); }, [s] { s->l.protocol.resume(0, s->l.wake); }};
    });
  }
  SECTION("with overtaking: who waits is told to look again, and another takes") {
    overtaking = true;
    run(3, 1, [&](const shared& s) {
      return threads{[s] { s->l.put(0, 1); }, wait(s, 0),
                     [s] {
                       const std::uint32_t item = s->l.take(1);
                       if (item != stepped::none) s->l.put(item, 1);
                     }};
    });
  }
  SECTION("an idle item is taken out for inspection and put back, while one waits") {
    run(2, 2, [&](const shared& s) {
      s->l.put(0);
      s->l.put(1);
      return threads{[s] {
                       if (s->l.protocol.take_this(0)) s->l.put(0, 1);
                     },
                     wait(s, 0), [s] { s->hold(s->l.take(1)); }};
    });
  }
}

TEST_CASE("lending: a thread stopped anywhere does not stop the others", "[pool][lending]") {
  constexpr std::uint32_t items = 16;
  plain l{items, 4, true, 4'096};
  l.wake = [](plain::ticket, std::uint32_t) {};
  for (std::uint32_t i = 0; i < items; ++i) l.put(i, i);
  std::array<std::uint32_t, 4> turn{};
  const auto result =
      banyan::testing::stop_a_thread({.workers = 4, .mode = banyan::testing::stop_mode::several}, [&](std::size_t w) {
        const auto near = static_cast<std::uint32_t>(w);
        if (++turn[w] % 4 != 0) {
          const std::uint32_t item = l.take(near);
          if (item != plain::none) l.put(item, near);
          return;
        }
        const auto t = l.wait(near);
        if (!t) return;
        if (!l.protocol.leave(t)) l.put(*l.given(t), near);
        l.protocol.finish(t);
      });
  INFO(result.describe());
  CHECK(result.passed());
  std::array<int, items> seen{};
  for (auto item = l.protocol.take_any(0); item != plain::none; item = l.protocol.take_any(0)) ++seen[item];
  for (const int count : seen) CHECK(count == 1);
}
