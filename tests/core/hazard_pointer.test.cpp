#include <banyan/core/hazard_pointer.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using banyan::hazard_domain;
using banyan::hazard_pointer;
using banyan::make_hazard_pointer;

struct node : banyan::hazard_pointer_obj_base<node> {
  explicit node(int v, int* count = nullptr) : value{v}, destroyed{count} {}
  ~node() {
    if (destroyed != nullptr) ++*destroyed;
  }
  int value;
  int* destroyed;
};

bool is_published(const void* wanted) {
  bool found = false;
  hazard_domain::global().for_each_hazard([&](const void* p) { found = found || p == wanted; });
  return found;
}

TEST_CASE("empty and full, move and swap", "[core][hazard_pointer]") {
  hazard_pointer nothing;
  CHECK(nothing.empty());
  hazard_pointer one = make_hazard_pointer();
  CHECK_FALSE(one.empty());
  int object = 0;
  one.reset_protection(&object);
  CHECK(is_published(&object));
  nothing = std::move(one);
  CHECK(one.empty());  // NOLINT(bugprone-use-after-move): empty is what a moved-from hazard pointer is
  CHECK(is_published(&object));
  hazard_pointer other;
  swap(other, nothing);
  CHECK(nothing.empty());
  other.reset_protection();
  CHECK_FALSE(is_published(&object));
  other.reset_protection(&object);
  other = hazard_pointer{};
  CHECK_FALSE(is_published(&object));
}

TEST_CASE("protect and try_protect", "[core][hazard_pointer]") {
  node a{1};
  node b{2};
  std::atomic<node*> source{&a};
  hazard_pointer h = make_hazard_pointer();
  CHECK(h.protect(source) == &a);
  CHECK(is_published(&a));
  node* p = &b;
  CHECK_FALSE(h.try_protect(p, source));
  CHECK(p == &a);
  CHECK_FALSE(is_published(&b));
  CHECK_FALSE(is_published(&a));
  CHECK(h.try_protect(p, source));
  CHECK(is_published(&a));
  source = nullptr;
  CHECK(h.protect(source) == nullptr);
  CHECK_FALSE(is_published(&a));
}

TEST_CASE("retire waits for the hazard and uses the deleter", "[core][hazard_pointer]") {
  int destroyed = 0;
  auto* const n = new node{1, &destroyed};
  std::atomic<node*> source{n};
  {
    hazard_pointer h = make_hazard_pointer();
    REQUIRE(h.protect(source) == n);
    source = nullptr;
    n->retire();
    hazard_domain::global().reclaim();
    CHECK(destroyed == 0);
    CHECK(n->value == 1);
  }
  hazard_domain::global().reclaim();
  CHECK(destroyed == 1);
}

struct counting_deleter {
  std::unique_ptr<int> weight;
  int* total = nullptr;
  template <class T>
  void operator()(T* object) const {
    *total += *weight;
    delete object;
  }
};
struct weighed : banyan::hazard_pointer_obj_base<weighed, counting_deleter> {};

TEST_CASE("deleters may be move-only and carry state", "[core][hazard_pointer]") {
  int total = 0;
  (new weighed)->retire(counting_deleter{std::make_unique<int>(7), &total});
  (new weighed)->retire(counting_deleter{std::make_unique<int>(5), &total});
  hazard_domain::global().reclaim();
  CHECK(total == 12);
}

TEST_CASE("many more hazard pointers than slots, released in any order", "[core][hazard_pointer]") {
  std::vector<int> objects(200);
  std::vector<hazard_pointer> hazards;
  for (const int& each : objects) {
    hazards.push_back(make_hazard_pointer());
    hazards.back().reset_protection(&each);
  }
  std::size_t seen = 0;
  hazard_domain::global().for_each_hazard([&](const void*) { ++seen; });
  CHECK(seen == objects.size());
  for (std::size_t i = 0; i < hazards.size(); i += 2) hazards[i] = hazard_pointer{};
  for (std::size_t i = 0; i < objects.size(); ++i) CHECK(is_published(&objects[i]) == (i % 2 == 1));
  const std::size_t slots = hazard_domain::global().slots();
  for (std::size_t i = 0; i < hazards.size(); i += 2) hazards[i] = make_hazard_pointer();
  CHECK(hazard_domain::global().slots() == slots);
  hazards.clear();
  CHECK(hazard_domain::global().local().used.load() == 0);
}

TEST_CASE("made on one thread, destroyed on another, its maker gone or not", "[core][hazard_pointer]") {
  int object = 0;
  const std::size_t slots_before = [] {
    std::thread([] { static_cast<void>(make_hazard_pointer()); }).join();
    return hazard_domain::global().slots();
  }();
  for (int i = 0; i < 1000; ++i) {
    hazard_pointer moved;
    std::thread([&] {
      hazard_pointer made = make_hazard_pointer();
      made.reset_protection(&object);
      moved = std::move(made);
    }).join();
    CHECK(is_published(&object));
    if (i % 2 == 0) {
      std::thread([&] { hazard_pointer ends_here = std::move(moved); }).join();
    } else {
      moved = hazard_pointer{};
    }
    REQUIRE_FALSE(is_published(&object));
  }
  // Slots that came back from elsewhere are used again.
  CHECK(hazard_domain::global().slots() == slots_before);
  std::thread([] {
    auto& record = hazard_domain::global().local();
    record.collect_returned();
    CHECK(record.used.load() == 0);
  }).join();
}

TEST_CASE("another thread does not touch the bits that belong to the owner", "[core][hazard_pointer]") {
  auto& record = hazard_domain::global().local();
  record.collect_returned();
  REQUIRE(record.used.load() == 0);
  hazard_pointer here = make_hazard_pointer();
  std::thread([&] { const hazard_pointer ends_here = std::move(here); }).join();
  CHECK(record.used.load() == 1);
  CHECK(record.returned.load() == 1);
  record.collect_returned();
  CHECK(record.used.load() == 0);
}

TEST_CASE("slots given back by another thread while the owner takes and gives back its own", "[core][hazard_pointer]") {
  constexpr int rounds = 20000;
  std::atomic<hazard_pointer*> handed{nullptr};
  std::atomic<bool> done{false};
  std::thread other([&] {
    for (;;) {
      const bool last = done;
      delete handed.exchange(nullptr);
      if (last) return;
    }
  });
  int wrong = 0;
  std::thread([&] {
    for (int i = 0; i < rounds; ++i) {
      delete handed.exchange(new hazard_pointer{make_hazard_pointer()});
      const int mine = i;
      banyan::hazard_slots<2> hazards;
      hazards.publish(1, &mine);
      hazard_pointer again = make_hazard_pointer();
      again.reset_protection(&wrong);
      if (!is_published(&mine)) ++wrong;
    }
    done = true;
    other.join();
    auto& record = hazard_domain::global().local();
    record.collect_returned();
    CHECK(record.used.load() == 0);
  }).join();
  CHECK(wrong == 0);
}

TEST_CASE("a hazard pointer in a thread-local outlives the thread's record", "[core][hazard_pointer]") {
  static int object = 0;
  for (int i = 0; i < 50; ++i) {
    std::thread([] {
      thread_local hazard_pointer kept;
      kept = make_hazard_pointer();
      kept.reset_protection(&object);
    }).join();
    REQUIRE_FALSE(is_published(&object));
  }
}

TEST_CASE("a copy of a retired object is an object of its own", "[core][hazard_pointer]") {
  int destroyed = 0;
  auto* const original = new node{1, &destroyed};
  auto* copy = new node{*original};
  original->retire();
  hazard_domain::global().reclaim();
  CHECK(destroyed == 1);
  copy->retire();
  hazard_domain::global().reclaim();
  CHECK(destroyed == 2);
}

// A Treiber stack, the classic victim of ABA and of use after free.
class stack {
 public:
  void push(int value) {
    auto* const fresh = new element{value, head_.load(std::memory_order_relaxed)};
    while (!head_.compare_exchange_weak(fresh->next, fresh, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }
  bool pop(int& value) {
    hazard_pointer h = make_hazard_pointer();
    for (;;) {
      element* top = h.protect(head_);
      if (top == nullptr) return false;
      element* const next = top->next;
      if (head_.compare_exchange_strong(top, next, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        value = top->value;
        top->retire();
        return true;
      }
    }
  }

 private:
  struct element : banyan::hazard_pointer_obj_base<element> {
    element(int v, element* n) : value{v}, next{n} {}
    int value;
    element* next;
  };
  std::atomic<element*> head_{nullptr};
};

TEST_CASE("a stack on hazard pointers loses and doubles nothing", "[core][hazard_pointer]") {
  constexpr int threads = 3;
  constexpr int each = 4000;
  stack s;
  std::vector<std::vector<int>> popped(threads);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        s.push(t * each + i);
        int value = 0;
        if (s.pop(value)) popped[static_cast<std::size_t>(t)].push_back(value);
      }
    });
  }
  for (auto& t : running) t.join();
  std::set<int> all;
  std::size_t count = 0;
  int rest = 0;
  while (s.pop(rest)) popped[0].push_back(rest);
  for (const auto& list : popped) {
    count += list.size();
    all.insert(list.begin(), list.end());
  }
  CHECK(count == threads * each);
  CHECK(all.size() == threads * each);
}

}  // namespace
