#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/hazard_slots.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::hazard_domain;
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

TEST_CASE("a stalled reader holds back a bounded number of objects", "[core][hazard]") {
  static hazard_domain& domain = hazard_domain::make_immortal();
  static std::atomic<std::size_t> alive{0};
  struct counted : banyan::hazard_pointer_obj_base<counted> {
    counted() { alive.fetch_add(1); }
    ~counted() { alive.fetch_sub(1); }
  };
  auto* const pinned = new counted;
  hazard_slots<1> stalled{domain};
  stalled.publish(0, pinned);
  pinned->retire(domain);
  std::size_t most = 0;
  for (int i = 0; i < 100000; ++i) {
    (new counted)->retire(domain);
    most = std::max(most, alive.load());
  }
  CHECK(most <= std::max<std::size_t>(1000, 2 * domain.slots()));
  domain.reclaim();
  CHECK(alive == 1);
  stalled.clear(0);
  domain.reclaim();
  CHECK(alive == 0);
}

TEST_CASE("chains whose deleters retire the next link do not recurse", "[core][hazard]") {
  static hazard_domain& domain = hazard_domain::make_immortal();
  static std::size_t deleted = 0;
  static int depth = 0;
  static int deepest = 0;
  struct link : banyan::hazard_pointer_obj_base<link> {
    ~link() {
      ++deleted;
      deepest = std::max(deepest, ++depth);
      if (next != nullptr) next->retire(domain);
      --depth;
    }
    link* next = nullptr;
  };
  constexpr std::size_t chains = 2000;
  constexpr std::size_t length = 30;
  std::vector<link*> heads(chains, nullptr);
  for (link*& head : heads) {
    for (std::size_t i = 0; i < length; ++i) {
      auto* const one = new link;
      one->next = head;
      head = one;
    }
  }
  for (link* const head : heads) head->retire(domain);
  for (std::size_t i = 0; i < length; ++i) domain.reclaim();
  CHECK(deleted == chains * length);
  CHECK(deepest == 1);
}

// A reader whose store became visible only by the barrier, at the last moment: the barrier itself publishes it.
struct publishing_barrier {
  static inline banyan::detail::hazard_slot* slot = nullptr;
  static inline const void* address = nullptr;
  [[nodiscard]] static bool light() noexcept { return true; }
  static void heavy() noexcept { slot->store(reinterpret_cast<std::uintptr_t>(address)); }
};

TEST_CASE("the barrier comes between unlinking and the scan", "[core][hazard]") {
  banyan::detail::hazard_records<publishing_barrier> records;
  banyan::detail::retired_objects retired;
  auto* const record = records.take_record();
  REQUIRE(record != nullptr);
  static int freed = 0;
  struct object : banyan::detail::retired_node {
    object() {
      retired_address = this;
      reclaim_retired = [](banyan::detail::retired_node&) noexcept { ++freed; };
    }
  } node;
  publishing_barrier::slot = &record->slots[3];
  publishing_barrier::address = &node;
  retired.push(node, 0, records);
  retired.reclaim(*record, records);
  CHECK(freed == 0);
  publishing_barrier::address = nullptr;
  retired.reclaim(*record, records);
  CHECK(freed == 1);
  delete record;
}

TEST_CASE("a source that changes after the hazard was published is loaded again", "[core][hazard]") {
  int a = 0;
  int b = 0;
  int c = 0;
  std::atomic<int*> source{&a};
  std::vector<const int*> published_in_turn;
  const int* const got = banyan::detail::load_protected(source, [&](const int* p) {
    published_in_turn.push_back(p);
    if (p == &a) source = &b;  // a writer comes in between
    if (p == &b) source = &c;
  });
  CHECK(got == &c);
  CHECK(published_in_turn == std::vector<const int*>{&a, &b, &c});
}

TEST_CASE("without asymmetric barrier reader and scan meet in each record", "[core][hazard]") {
  banyan::detail::hazard_records<banyan::detail::symmetric_barrier> records;
  auto* const first = records.take_record();
  auto* const second = records.take_record();
  auto* const overflow = records.take_overflow();
  REQUIRE(second != nullptr);
  REQUIRE(overflow != nullptr);
  const std::uint32_t before = first->meeting;
  records.publish(first->slots[0], first->meeting, &records);
  CHECK(first->meeting == before + 1);
  records.publish(*overflow, records.meeting_of(*overflow), &records);
  const std::uint32_t met = records.meeting_of(*overflow);
  const std::uint32_t other = second->meeting;
  records.synchronize();
  CHECK(first->meeting == before + 2);
  CHECK(second->meeting == other + 1);
  CHECK(records.meeting_of(*overflow) == met + 1);
  std::size_t seen = 0;
  records.for_each_hazard([&](const void* p) { seen += p == &records ? 1U : 0U; });
  CHECK(seen == 2);
  delete reinterpret_cast<banyan::detail::overflow_slot*>(overflow);
  delete second;
  delete first;
}

// Two threads that each store and then load what the other stores, in lockstep: how often neither saw the other's.
// `reader_barrier` and `other_barrier` are what stands between store and load.
template <class ReaderBarrier, class OtherBarrier>
std::uint64_t both_missed(int rounds, ReaderBarrier reader_barrier, OtherBarrier other_barrier) {
  struct alignas(128) word {
    std::atomic<int> value{0};
  };
  word a;
  word b;
  word reader_at;
  word other_at;
  std::uint64_t missed = 0;
  int reader_saw = 0;
  const auto wait_for = [](const word& place, int round) {
    for (int spins = 0; place.value.load(std::memory_order_acquire) < round; ++spins) {
      if (spins > 1000) std::this_thread::yield();
    }
  };
  // Each waits a while, now longer, now shorter, so that the two come to their stores together now and then.
  const auto linger = [](int turns) {
    for (int i = 0; i < turns; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
  };
  // What is loaded lies in the cache while the store still waits for its line: then the load is done long before.
  const auto warm = [](const word& place) { (void)place.value.load(std::memory_order_relaxed); };
  std::thread reader([&] {
    for (int round = 1; round <= rounds; ++round) {
      reader_at.value.store(2 * round - 1, std::memory_order_release);
      wait_for(other_at, 2 * round - 1);
      warm(b);
      linger(round % 32);
      a.value.store(round, std::memory_order_relaxed);
      reader_barrier();
      reader_saw = b.value.load(std::memory_order_relaxed);
      reader_at.value.store(2 * round, std::memory_order_release);
      wait_for(other_at, 2 * round);
    }
  });
  for (int round = 1; round <= rounds; ++round) {
    other_at.value.store(2 * round - 1, std::memory_order_release);
    wait_for(reader_at, 2 * round - 1);
    warm(a);
    linger(round / 32 % 32);
    b.value.store(round, std::memory_order_relaxed);
    other_barrier();
    const int saw = a.value.load(std::memory_order_relaxed);
    wait_for(reader_at, 2 * round);
    if (saw != round && reader_saw != round) ++missed;
    other_at.value.store(2 * round, std::memory_order_release);
  }
  reader.join();
  return missed;
}

TEST_CASE("of one that meets and one that synchronizes, at least one sees the other's store", "[core][hazard]") {
  hazard_domain& domain = hazard_domain::make_immortal();
  const auto meet = [&domain] {
    static thread_local hazard_domain::thread_record& mine = domain.local();
    domain.meet(mine);
  };
  CHECK(both_missed(20000, meet, [&] { domain.synchronize(); }) == 0);
}

TEST_CASE("so it is without asymmetric barrier", "[core][hazard]") {
  banyan::detail::hazard_records<banyan::detail::symmetric_barrier> records;
  const std::unique_ptr<banyan::detail::hazard_record> record{records.take_record()};
  REQUIRE(record != nullptr);
  CHECK(both_missed(
            200000, [&] { records.meet(record->meeting); }, [&] { records.synchronize(); }) == 0);
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("without a barrier both can miss: the tests above are able to fail", "[core][hazard]") {
  if (std::thread::hardware_concurrency() < 2) return;
  const auto none = [] { std::atomic_signal_fence(std::memory_order_seq_cst); };
  std::uint64_t missed = 0;
  for (int attempt = 0; attempt < 100 && missed == 0; ++attempt) missed = both_missed(20000, none, none);
  CHECK(missed > 0);
}
#endif

TEST_CASE("meeting is a read-modify-write only where there is no asymmetric barrier", "[core][hazard]") {
  banyan::detail::hazard_records<banyan::detail::symmetric_barrier> symmetric;
  banyan::detail::hazard_records<publishing_barrier> asymmetric;
  std::atomic<std::uint32_t> meeting{7};
  asymmetric.meet(meeting);
  CHECK(meeting == 7);
  symmetric.meet(meeting);
  CHECK(meeting == 8);
}

TEST_CASE("without memory a scope that must not throw says that it has no slots", "[core][hazard]") {
  using banyan::testing::fail_nth_allocation;
  static_assert(std::is_nothrow_constructible_v<hazard_slots<1>, std::nothrow_t, hazard_domain&>);
  static hazard_domain& domain = hazard_domain::make_immortal();
  int object = 0;
  {
    const fail_nth_allocation no_memory{1, fail_nth_allocation::all};
    const hazard_slots<2> no_record{std::nothrow, domain};
    const bool has = static_cast<bool>(no_record);
    const banyan::testing::unfailing_section checks;
    CHECK_FALSE(has);
    CHECK(domain.slots() == 0);
  }
  {
    hazard_slots<2> first{std::nothrow, domain};
    REQUIRE(static_cast<bool>(first));
    hazard_slots<5> second{std::nothrow, domain};
    REQUIRE(static_cast<bool>(second));
    second.publish(4, &object);
    bool one_fits = false;
    bool two_fit = false;
    bool thrown = false;
    {
      const fail_nth_allocation no_memory{1, fail_nth_allocation::all};
      const hazard_slots<2> two{std::nothrow, domain};
      two_fit = static_cast<bool>(two);
#if defined(__cpp_exceptions)
      try {
        const hazard_slots<2> insisting{domain};
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
#endif
      hazard_slots<1> one{std::nothrow, domain};
      one_fits = static_cast<bool>(one);
    }
    CHECK(one_fits);
    CHECK_FALSE(two_fit);
    CHECK(thrown);
    // What failed has given nothing back that others use, and kept nothing.
    CHECK(published(domain) == std::set<const void*>{&object});
    CHECK(domain.local().used.load() == 0x7f);
    hazard_slots<2> outside{std::nothrow, domain};
    REQUIRE(static_cast<bool>(outside));
    outside.publish(1, &domain);
    CHECK(published(domain) == std::set<const void*>{&object, &domain});
  }
  CHECK(published(domain).empty());
  CHECK(domain.local().used.load() == 0);
}

TEST_CASE("records are reused: ten thousand short threads need a handful", "[core][hazard]") {
  static hazard_domain& domain = hazard_domain::make_immortal();
  int object = 0;
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 10000; ++i) {
    std::thread([&] {
      hazard_slots<2> hazards{domain};
      hazards.publish(0, &object);
      seen.insert(hazards.record().index());
    }).join();
  }
  CHECK(seen == std::set<std::uint32_t>{0});
  CHECK(published(domain).empty());
}

TEST_CASE("indices of living threads differ and are dense", "[core][hazard]") {
  static hazard_domain& domain = hazard_domain::make_immortal();
  constexpr std::size_t count = 32;
  std::vector<std::uint32_t> index(count);
  std::atomic<std::size_t> arrived{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      index[i] = domain.local().index();
      ++arrived;
      while (arrived < count) std::this_thread::yield();
    });
  }
  for (auto& t : threads) t.join();
  const std::set<std::uint32_t> different(index.begin(), index.end());
  CHECK(different.size() == count);
  CHECK(*different.rbegin() == count - 1);
}

TEST_CASE("a thread that exits while its thread-locals still use the domain", "[core][hazard]") {
  static hazard_domain& domain = hazard_domain::make_immortal();
  struct late {
    ~late() {
      hazard_slots<1> global;
      global.publish(0, this);
      hazard_slots<1> own{domain};
      own.publish(0, this);
      ++*uses;
    }
    int* uses = nullptr;
  };
  int uses = 0;
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 100; ++i) {
    std::thread([&] {
      thread_local late before;  // constructed before the domain's exit hook, destroyed after it
      before.uses = &uses;
      seen.insert(domain.local().index());
      thread_local late after;
      after.uses = &uses;
    }).join();
  }
  CHECK(uses == 200);
  CHECK(seen == std::set<std::uint32_t>{0});
}

// Runs `f` in a child process and returns its exit code, or minus the signal that ended it.
template <class F>
int in_child(F f) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) f();
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_CASE("use from static destructors and exit handlers", "[core][hazard]") {
  const int code = in_child([] {
    hazard_domain::global().local();
    std::atexit([] {
      int object = 0;
      hazard_slots<3> hazards;
      hazards.publish(2, &object);
      hazard_domain::global().synchronize();
      const bool seen = published(hazard_domain::global()).count(&object) == 1;
      hazard_domain::global().reclaim();
      ::_exit(seen ? 42 : 1);
    });
    std::exit(2);
  });
  CHECK(code == 42);
}

TEST_CASE("after fork the child goes on and does not free what others had pinned", "[core][hazard]") {
  static hazard_domain& domain = hazard_domain::make_immortal();
  static std::atomic<int> freed{0};
  struct object : banyan::hazard_pointer_obj_base<object> {
    ~object() { ++freed; }
  };
  auto* const pinned_elsewhere = new object;
  std::atomic<bool> pinned{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    hazard_slots<1> hazards{domain};
    hazards.publish(0, pinned_elsewhere);
    pinned = true;
    while (!done) std::this_thread::yield();
  });
  while (!pinned) std::this_thread::yield();
  pinned_elsewhere->retire(domain);
  const int code = in_child([] {
    (new object)->retire(domain);
    domain.reclaim();
    if (freed != 1) ::_exit(1);
    // Deep enough for the threshold, twice.
    for (int i = 0; i < 3000; ++i) (new object)->retire(domain);
    domain.reclaim();
    ::_exit(freed == 3001 && domain.asymmetric() == hazard_domain::global().asymmetric() ? 0 : 2);
  });
  CHECK(code == 0);
  domain.reclaim();
  CHECK(freed == 0);
  done = true;
  other.join();
  domain.reclaim();
  CHECK(freed == 1);
}

TEST_CASE("a signal handler pins inside a pin", "[core][hazard]") {
  static std::atomic<int> wrong{0};
  static std::atomic<int> handled{0};
  static int in_handler = 0;
  hazard_domain::global().local();
  struct sigaction action {};
  action.sa_handler = [](int) {
    hazard_slots<2> hazards;
    hazards.publish(1, &in_handler);
    bool seen = false;
    hazard_domain::global().for_each_hazard([&](const void* p) { seen = seen || p == &in_handler; });
    if (!seen) ++wrong;
    ++handled;
  };
  struct sigaction before {};
  REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  const pthread_t me = ::pthread_self();
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    while (!stop) {
      ::pthread_kill(me, SIGUSR1);
      std::this_thread::yield();
    }
  });
  int object = 0;
  std::uint64_t scopes = 0;
  while (handled < 100) {
    hazard_slots<2> hazards;
    hazards.publish(0, &object);
    hazard_slots<1> inner;
    inner.publish(0, &object);
    ++scopes;
  }
  stop = true;
  sender.join();
  REQUIRE(::sigaction(SIGUSR1, &before, nullptr) == 0);
  CAPTURE(scopes);
  CHECK(wrong == 0);
  CHECK(published(hazard_domain::global()).empty());
  CHECK(hazard_domain::global().local().used.load() == 0);
}

TEST_CASE("whoever stops, others go on reading, replacing and reclaiming", "[core][hazard]") {
  for (const bool asymmetric : {true, false}) {
    hazard_domain& domain = hazard_domain::make_immortal(asymmetric);
    std::atomic<canary*> current{new canary};
    std::atomic<std::uint64_t> dead{0};
    const auto result =
        banyan::testing::stop_a_thread({.workers = 4, .rounds = 60, .operations = 20}, [&](std::size_t) {
          {
            hazard_slots<2> hazards{domain};
            const canary* const p = properly(hazards, current);
            if (p->word.load(std::memory_order_relaxed) != canary::alive) ++dead;
          }
          current.exchange(new canary, std::memory_order_acq_rel)->retire([](canary* c) { delete c; }, domain);
          domain.reclaim();
        });
    INFO(result.describe());
    CHECK(result.passed());
    CHECK(dead == 0);
    delete current.load();
  }
}

}  // namespace
