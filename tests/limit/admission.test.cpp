#include <banyan/limit/detail/admission.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"

namespace {

using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

template <template <class> class Atomic>
struct gate {
  using admission = banyan::detail::admission<Atomic>;
  using place = typename admission::place;

  explicit gate(std::uint32_t may_enter, std::uint32_t may_wait = 8) : limit{may_enter}, most{may_wait} {}

  std::uint32_t enter(std::uint32_t c = 0) {
    const std::uint32_t in = protocol.try_enter(c, limit.load());
    if (in > 0) now_inside();
    return in;
  }
  void leave() {
    --inside;
    protocol.leave(limits, wake);
  }
  place wait(std::uint32_t c = 0) {
    auto prepared = protocol.prepare(c, most);
    while (!prepared.waiter) {
      if (!prepared.full || !protocol.displace(c, wake)) return {};
      prepared = protocol.prepare(c, most);
    }
    protocol.join(prepared.waiter, limits, wake);
    return prepared.waiter;
  }
  bool granted(place p) { return protocol.given(p) == admission::granted; }
  bool displaced(place p) { return protocol.given(p) == admission::displaced; }
  void now_inside() {
    ++inside;
    most_inside = std::max(most_inside, inside);
  }
  // Counted by the counts of the protocol and by ours.
  bool consistent() { return static_cast<std::int32_t>(protocol.inside()) == inside; }

  std::array<std::vector<typename admission::entry>, 3> entries{std::vector<typename admission::entry>(12),
                                                                std::vector<typename admission::entry>(12),
                                                                std::vector<typename admission::entry>(12)};
  admission protocol{{std::span{entries[0]}, std::span{entries[1]}, std::span{entries[2]}}};
  Atomic<std::uint32_t> limit;
  std::uint32_t most;
  std::int32_t inside = 0;  // who was let in may leave before the one that let it in has told us
  std::int32_t most_inside = 0;
  std::vector<std::uint32_t> order{};  // classes of those woken
  std::function<std::uint32_t(std::uint32_t)> limits = [this](std::uint32_t c) {
    const std::uint32_t all = limit.load();
    return c == 2 ? std::max<std::uint32_t>(1, all / 2) : all;
  };
  std::function<void(place)> wake = [this](place p) {
    order.push_back(p.of_class);
    if (protocol.given(p) == admission::granted) now_inside();
  };
};

using plain = gate<std::atomic>;
using stepped = gate<scheduled_atomic>;

}  // namespace

TEST_CASE("admission: as many as the limit, and one more for each that leaves", "[limit][admission]") {
  plain g{2};
  CHECK(g.enter() == 1);
  CHECK(g.enter() == 2);
  CHECK(g.enter() == 0);
  g.leave();
  CHECK(g.enter() == 2);
  g.limit = 1;
  g.leave();
  CHECK(g.enter() == 0);
  g.leave();
  CHECK(g.enter() == 1);
}

TEST_CASE("admission: first come, first served, the important first, and nobody overtakes", "[limit][admission]") {
  plain g{1};
  REQUIRE(g.enter() == 1);
  const auto late = g.wait(1);
  const auto first = g.wait(0);
  const auto second = g.wait(0);
  g.leave();
  CHECK(g.granted(first));
  CHECK_FALSE(g.protocol.given(second).has_value());
  g.limit = 2;  // nobody has looked yet: a newcomer is not let in before those who wait
  CHECK(g.enter(0) == 0);
  CHECK(g.enter(1) == 0);
  g.protocol.settle(g.limits, g.wake);
  CHECK(g.granted(second));
  g.leave();
  CHECK(g.granted(late));
  CHECK(g.consistent());
}

TEST_CASE("admission: important newcomers go past less important waiters", "[limit][admission]") {
  plain g{4};
  REQUIRE(g.enter() == 1);
  REQUIRE(g.enter() == 2);
  const auto low = g.wait(2);  // its class may fill two places
  CHECK_FALSE(g.protocol.given(low).has_value());
  CHECK(g.enter(2) == 0);
  CHECK(g.enter(1) == 3);
  CHECK(g.enter(0) == 4);
  g.leave();
  g.leave();
  CHECK_FALSE(g.protocol.given(low).has_value());
  g.leave();
  CHECK(g.granted(low));
}

TEST_CASE("admission: when as many wait as may, the least important goes", "[limit][admission]") {
  plain g{1, 2};
  REQUIRE(g.enter() == 1);
  const auto low = g.wait(2);
  const auto middle = g.wait(1);
  CHECK_FALSE(static_cast<bool>(g.wait(2)));
  const auto important = g.wait(0);
  CHECK(g.displaced(low));
  CHECK_FALSE(g.protocol.given(middle).has_value());
  CHECK(static_cast<bool>(important));
  g.protocol.finish(low);
  for (int i = 0; i < 100; ++i) {  // entries come back
    const auto again = g.wait(0);
    if (i == 0) {
      CHECK(g.displaced(middle));
      g.protocol.finish(middle);
    }
    REQUIRE(static_cast<bool>(again));
    REQUIRE(g.protocol.withdraw(again));
    g.protocol.finish(again);
  }
  CHECK(g.protocol.waiting(0) == 1);
}

TEST_CASE("admission, every order: who leaves and who waits do not miss each other", "[limit][admission]") {
  const auto report = explore({.preemptions = 3}, [] {
    auto g = std::make_shared<stepped>(1U);
    g->enter();
    auto place = std::make_shared<stepped::place>();
    auto entered = std::make_shared<bool>(false);
    return scenario{{[=] { g->leave(); },
                     [=] {
                       *entered = g->enter() != 0;
                       if (!*entered) *place = g->wait();
                     }},
                    [=] { return (*entered || g->granted(*place)) && g->most_inside <= 1 && g->consistent(); }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("admission, every order: a raised limit and who waits do not miss each other", "[limit][admission]") {
  const auto report = explore({.preemptions = 3}, [] {
    auto g = std::make_shared<stepped>(1U);
    g->enter();
    auto place = std::make_shared<stepped::place>();
    return scenario{{[=] {
                       g->limit.store(2);
                       g->protocol.settle(g->limits, g->wake);
                     },
                     [=] { *place = g->wait(); }},
                    [=] { return g->granted(*place) && g->most_inside <= 2 && g->consistent(); }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("admission, every order: two leave and two wait", "[limit][admission]") {
  const auto report = explore({.preemptions = 1}, [] {
    auto g = std::make_shared<stepped>(2U);
    g->enter();
    g->enter();
    auto places = std::make_shared<std::array<stepped::place, 2>>();
    return scenario{
        {[=] { g->leave(); }, [=] { g->leave(); }, [=] { (*places)[0] = g->wait(0); },
         [=] { (*places)[1] = g->wait(1); }},
        [=] { return g->granted((*places)[0]) && g->granted((*places)[1]) && g->most_inside <= 2 && g->consistent(); }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("admission, every order: who gives up when it is served passes its place on", "[limit][admission]") {
  const auto report = explore({.preemptions = 3}, [] {
    auto g = std::make_shared<stepped>(1U);
    g->enter();
    const auto first = g->wait();
    const auto second = g->wait();
    return scenario{{[=] { g->leave(); },
                     [=] {
                       if (!g->protocol.withdraw(first)) g->leave();
                       g->protocol.finish(first);
                     }},
                    [=] { return g->granted(second) && g->most_inside <= 1 && g->consistent(); }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("admission, every order: a newcomer does not overtake", "[limit][admission]") {
  const auto report = explore({.preemptions = 3}, [] {
    auto g = std::make_shared<stepped>(1U);
    g->enter();
    const auto waiting = g->wait(1);
    auto overtaken = std::make_shared<bool>(false);
    return scenario{{[=] { g->leave(); },
                     [=] {
                       if (g->enter(1) != 0 && !g->granted(waiting)) *overtaken = true;
                     }},
                    [=] { return !*overtaken && g->granted(waiting) && g->consistent(); }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("admission, every order: a waiter is let in or displaced, never both", "[limit][admission]") {
  const auto report = explore({.preemptions = 3}, [] {
    auto g = std::make_shared<stepped>(1U, 1U);
    g->enter();
    const auto low = g->wait(2);
    auto high = std::make_shared<stepped::place>();
    return scenario{{[=] { g->leave(); }, [=] { *high = g->wait(0); }}, [=] {
                      if (!g->consistent() || g->most_inside > 1) return false;
                      // The low one was let in and not counted off yet: then there seemed to be no place to wait.
                      if (!*high) return g->granted(low);
                      // Exactly one is in: the low one before the other waited, or the high one.
                      const bool low_in = g->granted(low);
                      const bool high_in = g->granted(*high);
                      return low_in != high_in && (low_in || g->displaced(low)) && g->order.size() <= 2;
                    }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("admission, every order: joining, leaving and giving up at once", "[limit][admission]") {
  const auto report = explore({.preemptions = 2}, [] {
    auto g = std::make_shared<stepped>(1U);
    g->enter();
    const auto old = g->wait(0);
    auto place = std::make_shared<stepped::place>();
    return scenario{{[=] { g->leave(); }, [=] { *place = g->wait(0); },
                     [=] {
                       if (!g->protocol.withdraw(old)) g->leave();
                       g->protocol.finish(old);
                     }},
                    [=] { return g->granted(*place) && g->most_inside <= 1 && g->consistent(); }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}
