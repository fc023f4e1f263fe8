#include <banyan/cluster/detail/endpoint_state.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include <banyan/cluster/cluster.hpp>

#include "support/catch.hpp"

/// The protocol by which the last user of an endpoint finds out that it is the last: one side put between any two steps
/// of the other, and two sides in lockstep.

namespace {

using banyan::detail::endpoint_state;
using banyan::detail::flight_cell;
using banyan::detail::stripes;
using settled = endpoint_state::settled;

struct endpoint {
  std::array<flight_cell, 3> cells{};
  stripes all{2};
  endpoint_state state{cells.data(), all};

  template <class Meet>
  bool begin(std::uint32_t mine, Meet meet) {
    return endpoint_state::try_begin(cells.data(), all, mine, meet);
  }
  template <class Meet>
  bool end(std::uint32_t mine, Meet meet) {
    return endpoint_state::end(cells.data(), all, mine, meet);
  }
};

constexpr auto nothing = [] {};

struct told : banyan::detail::drain_waiter {
  int times = 0;
  bool drained = false;
  told() {
    finished = [](drain_waiter& waiter, bool result) noexcept {
      auto& self = static_cast<told&>(waiter);
      ++self.times;
      self.drained = result;
    };
  }
};

}  // namespace

TEST_CASE("an endpoint is drained between any two steps of a use") {
  endpoint one;
  one.state.list();
  told waiter;
  settled drainer = settled::busy;
  const auto drain = [&] {
    one.state.set_attention(endpoint_state::draining);
    one.state.wait(waiter);
    drainer = one.state.settle();
  };
  SECTION("before it begins") {
    drain();
    CHECK(drainer == settled::idle);
    CHECK_FALSE(one.begin(0, nothing));
    CHECK(one.end(0, nothing));
    CHECK(one.state.settle() == settled::idle);
  }
  SECTION("while it begins") {
    CHECK_FALSE(one.begin(0, drain));  // counted when the drainer looks
    CHECK(drainer == settled::busy);
    CHECK(waiter.times == 0);
    CHECK(one.end(0, nothing));
    CHECK(one.state.settle() == settled::idle);
  }
  SECTION("within it") {
    CHECK(one.begin(1, nothing));
    drain();
    CHECK(drainer == settled::busy);
    CHECK(one.end(0, nothing));  // by another thread
    CHECK(one.state.settle() == settled::idle);
  }
  SECTION("while it ends") {
    CHECK(one.begin(0, nothing));
    CHECK(one.end(0, drain));  // not counted any more when the drainer looks
    CHECK(drainer == settled::idle);
    CHECK(one.state.settle() == settled::idle);
  }
  SECTION("after it") {
    CHECK(one.begin(2, nothing));
    CHECK_FALSE(one.end(2, nothing));
    drain();
    CHECK(drainer == settled::idle);
  }
  CHECK(waiter.times == 1);
  CHECK(waiter.drained);
  CHECK(one.state.in_flight() == 0);
}

TEST_CASE("a removed endpoint has one last user, whoever comes between") {
  endpoint one;
  one.state.list();
  int lasts = 0;
  const auto settle = [&] { lasts += one.state.settle() == settled::last ? 1 : 0; };
  const auto unlist = [&] {
    if (one.state.unlist()) settle();
  };
  CHECK(one.begin(0, nothing));
  CHECK(one.begin(1, nothing));
  one.state.set_attention(endpoint_state::removed);
  settle();
  SECTION("unlisted first") {
    unlist();
    CHECK(one.end(0, [&] {
      if (one.end(1, nothing)) settle();
    }));
    settle();
  }
  SECTION("unlisted while the last use ends") {
    CHECK(one.end(1, nothing));
    settle();
    CHECK(one.end(0, unlist));
    settle();
  }
  SECTION("unlisted last") {
    CHECK(one.end(0, nothing));
    settle();
    CHECK(one.end(1, nothing));
    settle();
    unlist();
  }
  CHECK(lasts == 1);
}

TEST_CASE("an endpoint that serves again is not drained any more") {
  endpoint one;
  told waiter;
  CHECK(one.begin(0, nothing));
  one.state.set_attention(endpoint_state::draining);
  one.state.wait(waiter);
  CHECK(one.state.settle() == settled::busy);
  one.state.clear_attention(endpoint_state::draining);
  one.state.tell_waiters(false);
  CHECK(waiter.times == 1);
  CHECK_FALSE(waiter.drained);
  CHECK_FALSE(one.end(0, nothing));
  CHECK(one.state.settle() == settled::busy);
}

TEST_CASE("a record is not freed under a thread that has ended its use and looks at it") {
  // The other side runs to its end between the count and the look, and frees what nobody protects.
  std::atomic<int> alive{0};
  struct counted {
    std::atomic<int>* count;
    ~counted() { count->fetch_sub(1); }
  };
  alive.fetch_add(1);
  auto terms = std::make_shared<banyan::detail::cluster_terms>();
  terms->domain = &banyan::hazard_domain::global();
  auto* const record = new banyan::detail::valued_endpoint<std::unique_ptr<counted>>{
      std::make_unique<counted>(counted{&alive}), "name", terms};
  // counted's temporary went, too
  alive.store(1);
  banyan::detail::record_ref listing{record};
  REQUIRE(banyan::detail::try_begin_use(*record));
  record->state().set_attention(endpoint_state::removed);
  int alive_between = -1;
  banyan::detail::end_use(*record, [&] {
    listing = {};  // unlisted, nothing in flight: this is the end, and the record is retired
    banyan::hazard_domain::global().reclaim();
    alive_between = alive.load();
  });
  CHECK(alive_between == 1);
  banyan::hazard_domain::global().reclaim();
  CHECK(alive.load() == 0);
}

TEST_CASE("of two uses that end at the same moment, at least one finds that all is over") {
  // Without the read-modify-writes of `settle`, each may see the other's use still counted.
  constexpr int rounds = 100'000;
  // Where others need the processors, a round takes as long as theirs do, and the two seldom meet: then fewer will do.
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  std::array<banyan::padded<std::atomic<int>>, 2> ready{};
  std::atomic<endpoint*> shared{nullptr};
  std::atomic<int> idle{0};
  const auto meet_at = [&](int me, int step) {
    ready[static_cast<std::size_t>(me)]->store(step, std::memory_order_release);
    for (int spins = 0; ready[static_cast<std::size_t>(1 - me)]->load(std::memory_order_acquire) < step; ++spins) {
      if (spins > 1000) std::this_thread::yield();
    }
  };
  const auto end_one = [&](int me, endpoint& one, int step, int linger) {
    meet_at(me, step);
    (void)one.state.in_flight();  // both cells in the cache: the look comes long before the store gets out
    meet_at(me, step + 1);
    // Now longer, now shorter, so that the two come to their stores together now and then.
    for (int i = 0; i < linger; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    if (one.end(static_cast<std::uint32_t>(me), nothing) && one.state.settle() == settled::idle) idle.fetch_add(1);
    meet_at(me, step + 2);
  };
  int missed = 0;
  std::thread other([&] {
    for (int round = 0; round < rounds; ++round) {
      meet_at(1, 5 * round + 1);
      endpoint* const one = shared.load();
      if (one == nullptr) return;
      end_one(1, *one, 5 * round + 2, round % 32);
      meet_at(1, 5 * round + 5);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    endpoint one;
    one.state.list();
    one.state.set_attention(endpoint_state::draining);
    one.cells[0].in_flight.store(1);
    one.cells[1].in_flight.store(1);
    idle.store(0);
    const bool over = round % 100 == 99 && std::chrono::steady_clock::now() > enough;
    shared.store(over ? nullptr : &one);
    meet_at(0, 5 * round + 1);
    if (over) break;
    end_one(0, one, 5 * round + 2, round / 32 % 32);
    missed += idle.load() == 0 ? 1 : 0;
    meet_at(0, 5 * round + 5);
  }
  other.join();
  CHECK(missed == 0);
}
