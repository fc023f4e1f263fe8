#include <banyan/core/detail/claim_list.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

template <template <class> class Atomic = std::atomic>
struct line {
  using list_type = banyan::detail::claim_list<Atomic>;
  using ticket = typename list_type::ticket;

  explicit line(std::size_t count) : entries(count), list{entries} {}

  ticket back(std::uint32_t value) {
    const ticket t = list.prepare(value);
    if (t) list.push_back(t);
    return t;
  }
  ticket front(std::uint32_t value) {
    const ticket t = list.prepare(value);
    if (t) list.push_front(t);
    return t;
  }
  // Claims for one who brought something and has gone: the entry is done with at once.
  std::optional<std::uint32_t> claim() {
    const auto got = list.claim_first();
    if (!got) return std::nullopt;
    list.finish(got->owner);
    return got->value;
  }

  std::vector<typename list_type::entry> entries;
  list_type list;
};

}  // namespace

TEST_CASE("claim_list: first in, first claimed, from both ends", "[core][claim_list]") {
  line<> l{16};
  CHECK_FALSE(l.list.has_live());
  CHECK_FALSE(l.claim().has_value());
  l.back(1);
  l.back(2);
  l.front(0);
  l.back(3);
  CHECK(l.list.has_live());
  for (std::uint32_t expected = 0; expected < 4; ++expected) CHECK(l.claim() == expected);
  CHECK_FALSE(l.claim().has_value());
  l.front(7);
  l.front(8);
  l.back(6);
  CHECK(l.claim() == 8U);
  CHECK(l.claim() == 7U);
  CHECK(l.claim() == 6U);
}

TEST_CASE("claim_list: what the claimer leaves reaches the owner, and a withdrawn entry is not claimed",
          "[core][claim_list]") {
  line<> l{16};
  const auto a = l.back(10);
  const auto b = l.back(11);
  const auto c = l.back(12);
  CHECK_FALSE(l.list.given(a).has_value());
  CHECK(l.list.withdraw(b));
  CHECK_FALSE(l.list.withdraw(b));
  l.list.finish(b);
  auto got = l.list.claim_first(100);
  REQUIRE(got);
  CHECK((got->owner == a && got->value == 10));
  CHECK(l.list.given(a) == 100U);
  CHECK_FALSE(l.list.withdraw(a));
  l.list.finish(a);
  got = l.list.claim_first(101);
  REQUIRE(got);
  CHECK(got->owner == c);
  l.list.finish(c);
  // A ticket of an earlier turn does nothing to a later one.
  for (int i = 0; i < 20; ++i) {
    const auto later = l.back(1);
    CHECK_FALSE(l.list.withdraw(a));
    CHECK_FALSE(l.list.withdraw(b));
    CHECK(l.list.withdraw(later));
    l.list.finish(later);
  }
}

TEST_CASE("claim_list: entries run out, and come back", "[core][claim_list]") {
  line<> l{4};
  std::vector<line<>::ticket> all;
  for (std::uint32_t i = 0; i < 3; ++i) all.push_back(l.back(i));
  CHECK((all[0] && all[1] && all[2]));
  CHECK_FALSE(l.list.prepare(9));
  CHECK(l.claim() == 0U);
  CHECK(l.back(3));
}

TEST_CASE("claim_list: those who give up in the middle do not use the entries up", "[core][claim_list]") {
  line<> l{600};
  std::vector<line<>::ticket> patient;
  for (std::uint32_t i = 0; i < 100; ++i) {
    patient.push_back(l.back(i));
    for (int k = 0; k < 1'000; ++k) {
      const auto impatient = l.back(1'000);
      REQUIRE(impatient);
      REQUIRE(l.list.withdraw(impatient));
      l.list.finish(impatient);
    }
  }
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(l.claim() == i);
  CHECK_FALSE(l.list.has_live());
}

TEST_CASE("claim_list: as a deque would do it", "[core][claim_list]") {
  const std::uint64_t seed = banyan::testing::derived_seed("claim_list against a deque");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  line<> l{4'096};
  struct waiting {
    line<>::ticket ticket;
    std::uint32_t value;
  };
  std::deque<waiting> model;
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    switch (random.below(5)) {
      case 0:
        if (model.size() < 500) model.push_back({l.back(i), i});
        break;
      case 1:
        if (model.size() < 500) model.push_front({l.front(i), i});
        break;
      case 2:
        if (!model.empty()) {
          const auto at = model.begin() + static_cast<std::ptrdiff_t>(random.below(model.size()));
          REQUIRE(l.list.withdraw(at->ticket));
          l.list.finish(at->ticket);
          model.erase(at);
        }
        break;
      default: {
        const auto got = l.claim();
        REQUIRE(got.has_value() == !model.empty());
        if (got) {
          REQUIRE(*got == model.front().value);
          model.pop_front();
        }
      }
    }
    REQUIRE(l.list.has_live() == !model.empty());
  }
}

// In every order of steps with few changes of thread: everything pushed is claimed or withdrawn once, and none is lost.
TEST_CASE("claim_list: every order of a few steps", "[core][claim_list]") {
  struct shared_state {
    line<scheduled_atomic> l{8};
    std::array<std::optional<std::uint32_t>, 4> claimed{};
    std::array<line<scheduled_atomic>::ticket, 4> tickets{};
    std::array<bool, 4> withdrawn{};

    bool each_once() {
      std::vector<std::uint32_t> seen;
      for (const auto& c : claimed) {
        if (c) seen.push_back(*c);
      }
      while (const auto rest = l.claim()) seen.push_back(*rest);
      for (std::uint32_t i = 0; i < 4; ++i) {
        if (withdrawn[i]) seen.push_back(i);
      }
      std::set<std::uint32_t> distinct(seen.begin(), seen.end());
      std::size_t pushed = 0;
      for (const auto& t : tickets) pushed += t ? 1 : 0;
      if (seen.size() != pushed || distinct.size() != pushed) return false;
      // All entries but the last spent one have come back: seven of eight are ours, one may stay linked.
      std::size_t left = 0;
      while (l.list.prepare(0)) ++left;
      return left >= 6;
    }
  };
  const auto run = [](unsigned preemptions, auto make_threads) {
    const auto report = explore({.preemptions = preemptions}, [&] {
      auto s = std::make_shared<shared_state>();
      return scenario{make_threads(s), [s] { return s->each_once(); }};
    });
    INFO("schedule " << report.schedule << ", runs " << report.runs);
    CHECK(report.passed);
    CHECK(report.complete);
  };
  using state = std::shared_ptr<shared_state>;
  using threads = std::vector<std::function<void()>>;
  SECTION("two bring, one claims twice") {
    run(2, [](const state& s) {
      return threads{[s] { s->tickets[0] = s->l.back(0); }, [s] { s->tickets[1] = s->l.back(1); },
                     [s] {
                       s->claimed[0] = s->l.claim();
                       s->claimed[1] = s->l.claim();
                     }};
    });
  }
  SECTION("one gives up while another claims, and a third comes") {
    run(3, [](const state& s) {
      s->tickets[0] = s->l.back(0);
      s->tickets[1] = s->l.back(1);
      return threads{[s] {
                       s->withdrawn[0] = s->l.list.withdraw(s->tickets[0]);
                       if (s->withdrawn[0]) s->l.list.finish(s->tickets[0]);
                     },
                     [s] { s->claimed[0] = s->l.claim(); }, [s] { s->tickets[2] = s->l.back(2); }};
    });
  }
  SECTION("two claim what follows each other, then the entries are used again") {
    run(3, [](const state& s) {
      s->tickets[0] = s->l.back(0);
      s->tickets[1] = s->l.back(1);
      s->tickets[2] = s->l.back(2);
      return threads{[s] {
                       s->claimed[0] = s->l.claim();
                       s->tickets[3] = s->l.back(3);
                     },
                     [s] {
                       s->claimed[1] = s->l.claim();
                       s->claimed[2] = s->l.claim();
                     }};
    });
  }
  SECTION("an entry leaves and is the last one again, while another is about to unlink it") {
    run(2, [](const state& s) {
      s->tickets[0] = s->l.back(0);
      s->tickets[1] = s->l.back(1);
      s->withdrawn[0] = s->l.list.withdraw(s->tickets[0]);
      s->l.list.finish(s->tickets[0]);
      return threads{[s] {
                       s->claimed[0] = s->l.claim();
                       s->tickets[3] = s->l.back(3);
                     },
                     [s] {
                       s->claimed[1] = s->l.claim();
                       s->tickets[2] = s->l.back(2);
                       s->claimed[2] = s->l.claim();
                     }};
    });
  }
  SECTION("both ends of an empty list") {
    run(3, [](const state& s) {
      return threads{[s] {
                       s->tickets[0] = s->l.front(0);
                       s->tickets[1] = s->l.front(1);
                     },
                     [s] { s->tickets[2] = s->l.back(2); }, [s] { s->claimed[0] = s->l.claim(); }};
    });
  }
  SECTION("last in, first out, by two") {
    run(3, [](const state& s) {
      s->tickets[0] = s->l.front(0);
      return threads{[s] {
                       s->claimed[0] = s->l.claim();
                       s->tickets[1] = s->l.front(1);
                     },
                     [s] {
                       s->claimed[1] = s->l.claim();
                       s->tickets[2] = s->l.front(2);
                     }};
    });
  }
}

TEST_CASE("claim_list: many threads, each entry once, in order", "[core][claim_list]") {
  constexpr std::uint32_t each = 20'000;
  line<> l{1'024};
  std::vector<std::atomic<int>> seen(3 * each);
  std::atomic<bool> out_of_order{false};
  std::atomic<std::uint32_t> claimed{0};
  std::atomic<std::uint32_t> withdrawn{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (std::uint32_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint32_t i = 0; i < each; ++i) {
          auto ticket = l.list.prepare(t * each + i);
          while (!ticket) {
            std::this_thread::yield();
            ticket = l.list.prepare(t * each + i);
          }
          l.list.push_back(ticket);
          if (i % 3 == 0 && l.list.withdraw(ticket)) {
            seen[t * each + i].fetch_add(1);
            withdrawn.fetch_add(1);
            l.list.finish(ticket);
          }
        }
      });
    }
    for (int c = 0; c < 2; ++c) {
      threads.emplace_back([&] {
        std::array<std::uint32_t, 3> last{};
        while (claimed.load() + withdrawn.load() < 3 * each) {
          const auto got = l.claim();
          if (!got) continue;
          claimed.fetch_add(1);
          seen[*got].fetch_add(1);
          const std::uint32_t number = *got % each + 1;
          if (number <= last[*got / each]) out_of_order = true;
          last[*got / each] = number;
        }
      });
    }
  }
  CHECK_FALSE(out_of_order);
  CHECK_FALSE(l.list.has_live());
  for (const auto& count : seen) REQUIRE(count.load() == 1);
}

TEST_CASE("claim_list: a thread stopped anywhere does not stop the others", "[core][claim_list]") {
  line<> l{4'096};
  std::array<std::atomic<std::uint32_t>, 4> turn{};
  const auto result =
      banyan::testing::stop_a_thread({.workers = 4, .mode = banyan::testing::stop_mode::several}, [&](std::size_t w) {
        const std::uint32_t n = turn[w].fetch_add(1);
        const auto t = n % 5 == 0 ? l.front(n) : l.back(n);
        if (t && n % 3 == 0 && l.list.withdraw(t)) {
          l.list.finish(t);
        } else {
          (void)l.claim();
        }
      });
  INFO(result.describe());
  CHECK(result.passed());
}
