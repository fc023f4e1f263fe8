#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace {

using banyan::hazard_domain;
using banyan::hazard_pointer;
using banyan::hazard_slots;

// Lives in memory that is never freed, so that use after reclamation shows as a wrong canary on any build.
struct canary : banyan::hazard_pointer_obj_base<canary, void (*)(canary*)> {
  static constexpr std::uint64_t alive = 0x600dc0de600dc0de;
  std::atomic<std::uint64_t> word{alive};
};

std::set<const void*> published(const hazard_domain& domain) {
  std::set<const void*> all;
  domain.for_each_hazard([&](const void* p) { all.insert(p); });
  return all;
}

// Readers follow a pointer that a writer keeps changing; every object's canary must be alive while protected.
// `protect` is what is put to the test: the planted fault leaves out the publishing.
template <class Protect>
std::uint64_t dead_reads(hazard_domain& domain, int readers, int rounds, Protect protect) {
  std::vector<std::unique_ptr<canary>> arena(static_cast<std::size_t>(rounds) + 1);
  for (auto& each : arena) each = std::make_unique<canary>();
  std::atomic<canary*> current{arena[0].get()};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> dead{0};
  std::vector<std::thread> threads;
  for (int r = 0; r < readers; ++r) {
    threads.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        hazard_slots<2> hazards{domain};
        const canary* p = protect(hazards, current);
        for (int i = 0; i < 20; ++i) {
          if (p->word.load(std::memory_order_relaxed) != canary::alive) dead.fetch_add(1, std::memory_order_relaxed);
          if (i == 10) std::this_thread::yield();
        }
      }
    });
  }
  for (int i = 1; i <= rounds; ++i) {
    canary* const old = current.exchange(arena[static_cast<std::size_t>(i)].get(), std::memory_order_acq_rel);
    old->retire([](canary* c) { c->word.store(0, std::memory_order_relaxed); }, domain);
    if (i % 64 == 0) domain.reclaim();
    if (i % 256 == 0) std::this_thread::yield();
  }
  stop = true;
  for (auto& t : threads) t.join();
  domain.reclaim();
  return dead.load();
}

const canary* properly(hazard_slots<2>& hazards, const std::atomic<canary*>& source) {
  canary* p = source.load(std::memory_order_acquire);
  for (;;) {
    hazards.publish(1, p);
    canary* const again = source.load(std::memory_order_acquire);
    if (again == p) return p;
    p = again;
  }
}

TEST_CASE("a published hazard is seen until it is cleared", "[core][hazard]") {
  hazard_domain& domain = hazard_domain::global();
  int a = 0;
  int b = 0;
  {
    hazard_slots<2> hazards;
    hazards.publish(0, &a);
    hazards.publish(1, &b);
    domain.synchronize();
    CHECK(published(domain) == std::set<const void*>{&a, &b});
    hazards.clear(0);
    CHECK(published(domain) == std::set<const void*>{&b});
    hazards.publish(1, &a);
    CHECK(published(domain) == std::set<const void*>{&a});
    CHECK(&hazards.record() == &domain.local());
  }
  CHECK(published(domain).empty());
}

TEST_CASE("scopes nest beyond the record's slots", "[core][hazard]") {
  hazard_domain& domain = hazard_domain::global();
  std::vector<int> objects(100);
  const std::function<void(std::size_t)> nest = [&](std::size_t depth) {
    if (depth == objects.size()) {
      CHECK(published(domain).size() == objects.size());
      return;
    }
    hazard_slots<1> one;
    hazard_slots<3> three;
    one.publish(0, &objects[depth]);
    three.publish(2, &objects[depth]);
    nest(depth + 1);
  };
  nest(0);
  CHECK(published(domain).empty());
  const std::size_t slots = domain.slots();
  nest(0);
  CHECK(domain.slots() == slots);
}

TEST_CASE("what a reader names is not freed, in either form of the barrier", "[core][hazard]") {
  static hazard_domain& symmetric = hazard_domain::make_immortal(false);
  CHECK(dead_reads(hazard_domain::global(), 2, 20000, properly) == 0);
  CHECK(dead_reads(symmetric, 2, 20000, properly) == 0);
  CHECK_FALSE(symmetric.asymmetric());
}

TEST_CASE("the canaries catch a reader that publishes nothing", "[core][hazard]") {
  const auto carelessly = [](hazard_slots<2>&, const std::atomic<canary*>& source) {
    return static_cast<const canary*>(source.load(std::memory_order_acquire));
  };
  std::uint64_t dead = 0;
  for (int attempt = 0; attempt < 50 && dead == 0; ++attempt) {
    dead = dead_reads(hazard_domain::global(), 2, 20000, carelessly);
  }
  CHECK(dead > 0);
}

}  // namespace
