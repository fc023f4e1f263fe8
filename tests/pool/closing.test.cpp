#include <banyan/pool/detail/lending.hpp>

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
using lending = banyan::detail::lending<scheduled_atomic>;
using threads = std::vector<std::function<void()>>;

// One item and what a pool does with it: who is told that the pool is closed disposes of what is idle.
struct closing_pool {
  closing_pool() : nooks(2), idle(18), waiting(16), places(1), protocol{{nooks, idle, waiting, places}, {}} {}

  void heed(std::uint32_t attention) {
    if ((attention & lending::closed) == 0) return;
    while (protocol.take_any(0) != lending::none) ++disposed;
  }
  void put(std::uint32_t near) { heed(protocol.put(0, near, wake)); }
  void take(std::uint32_t near) {
    const auto got = protocol.take(near, wake);
    if (got.item != lending::none) ++((got.attention & lending::closed) != 0 ? disposed : lent);
    heed(got.attention);
  }
  lending::ticket wait(std::uint32_t near) {
    const auto place = protocol.prepare_to_wait();
    heed(protocol.join(place, false, near, wake));
    return place;
  }
  void leave(lending::ticket place) {
    if (protocol.leave(place)) protocol.finish(place);
  }
  void close() {
    protocol.close(wake);
    heed(lending::closed);
  }
  // The one item is disposed of, or lent to somebody who brings it back later.
  bool right(std::vector<lending::ticket> waiters) {
    for (const auto& each : waiters) {
      const auto given = protocol.given(each);
      if (given && *given == 0) ++lent;
    }
    const bool nothing_idle = protocol.take_any(0) == lending::none;
    return nothing_idle && lent + disposed == 1 && protocol.waiting() == 0;
  }

  std::vector<lending::nook> nooks;
  std::vector<lending::list::entry> idle;
  std::vector<lending::list::entry> waiting;
  std::vector<scheduled_atomic<std::uint64_t>> places;
  lending protocol;
  int disposed = 0;
  int lent = 0;
  std::function<void(lending::ticket, std::uint32_t)> wake = [](lending::ticket, std::uint32_t) {};
};

using shared = std::shared_ptr<closing_pool>;
using tickets = std::shared_ptr<std::vector<lending::ticket>>;

template <class Make>
void in_every_order(unsigned preemptions, Make make) {
  const auto report = explore({.preemptions = preemptions}, [&] {
    const auto pool = std::make_shared<closing_pool>();
    const auto waiters = std::make_shared<std::vector<lending::ticket>>();
    return scenario{make(pool, waiters), [=] { return pool->right(*waiters); }};
  });
  INFO("schedule " << report.schedule << ", runs " << report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

}  // namespace

TEST_CASE("pool closing: nothing idle is left behind, in every order of a few steps", "[pool][lending]") {
  SECTION("while somebody joins the waiters and one is idle") {
    in_every_order(3, [](const shared& p, const tickets& w) {
      p->put(0);
      return threads{[=] { w->push_back(p->wait(1)); }, [=] { p->close(); }};
    });
  }
  SECTION("while one gives back and one waits") {
    in_every_order(2, [](const shared& p, const tickets& w) {
      return threads{[=] { p->put(0); }, [=] { w->push_back(p->wait(1)); }, [=] { p->close(); }};
    });
  }
  SECTION("while one takes from a suspended pool") {
    in_every_order(3, [](const shared& p, const tickets&) {
      p->put(0);
      p->protocol.suspend();
      return threads{[=] { p->take(1); }, [=] { p->close(); }};
    });
  }
  SECTION("while one resumes and somebody waits") {
    in_every_order(3, [](const shared& p, const tickets& w) {
      p->put(0);
      p->protocol.suspend();
      w->push_back(p->wait(0));
      return threads{[=] { p->heed(p->protocol.resume(0, p->wake)); }, [=] { p->close(); }};
    });
  }
}

TEST_CASE("pool waiting: leaving before one has joined, in every order", "[pool][lending]") {
  // Another, who knows the ticket, takes it out between the preparation and the joining; a third gives back.
  const auto report = explore({.preemptions = 3}, [] {
    const auto p = std::make_shared<closing_pool>();
    const auto place = std::make_shared<lending::ticket>(p->protocol.prepare_to_wait());
    return scenario{threads{[=] { p->heed(p->protocol.join(*place, false, 1, p->wake)); }, [=] { p->leave(*place); },
                            [=] { p->put(0); }},
                    [=] {
                      const auto given = p->protocol.given(*place);
                      const bool was_given = given && *given == 0;
                      const bool is_idle = p->protocol.take_any(0) == 0;
                      return p->disposed == 0 && was_given != is_idle && p->protocol.waiting() == 0;
                    }};
  });
  INFO("schedule " << report.schedule << ", runs " << report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}
