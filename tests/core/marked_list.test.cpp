#include <banyan/core/detail/marked_list.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <vector>

#include "support/catch.hpp"

namespace {

using banyan::detail::marked_link;
using banyan::detail::marked_list;

struct element : marked_link {
  explicit element(int k) : key{k} {}
  int key;
};

// Runs something else at the moment when the walk is about to protect an element: another thread's step, at the worst
// time, always.
struct hazards {
  std::function<void(const void*)> interfere;
  std::array<const void*, 2> protects{};
  void publish(std::size_t i, const void* p) {
    protects[i] = p;
    if (interfere) interfere(p);
  }
};

struct fixture {
  marked_list list;
  marked_list::unlinked out;
  hazards quiet;

  element* find(int key, hazards& with, element* fresh = nullptr) {
    return static_cast<element*>(list.find_or_append(
        with, out, fresh, [&](const marked_link& link) { return static_cast<const element&>(link).key == key; }));
  }
  element* find(int key) { return find(key, quiet); }
  void add(element& e) { REQUIRE(find(e.key, quiet, &e) == nullptr); }
  std::vector<int> unlinked() const {
    std::vector<int> keys;
    for (const marked_link* link = out.first; link != nullptr; link = link->next_unlinked) {
      keys.push_back(static_cast<const element*>(link)->key);
    }
    return keys;
  }
};

TEST_CASE("append, find, leave", "[core][marked_list]") {
  fixture f;
  element a{1};
  element b{2};
  element c{3};
  f.add(a);
  f.add(b);
  f.add(c);
  element again{2};
  CHECK(f.find(2, f.quiet, &again) == &b);
  CHECK((f.quiet.protects[0] == &b || f.quiet.protects[1] == &b));
  CHECK(marked_list::mark_as_left(b));
  CHECK_FALSE(marked_list::mark_as_left(b));
  CHECK(f.find(3) == &c);
  CHECK(f.unlinked() == std::vector<int>{2});
  CHECK(f.find(2) == nullptr);
  f.add(again);
  CHECK(f.find(2) == &again);
  CHECK(f.find(1) == &a);
}

TEST_CASE("interference at each step of a walk", "[core][marked_list]") {
  fixture f;
  element a{1};
  element b{2};
  element c{3};
  f.add(a);
  f.add(b);
  f.add(c);
  hazards walker;
  bool once = true;

  SECTION("the element before leaves and is unlinked") {
    walker.interfere = [&](const void* p) {
      if (p != &b || !once) return;
      once = false;
      marked_list::mark_as_left(a);
      CHECK(f.find(99) == nullptr);
    };
    CHECK(f.find(3, walker) == &c);
    CHECK(f.unlinked() == std::vector<int>{1});
  }
  SECTION("the element itself leaves and is unlinked") {
    walker.interfere = [&](const void* p) {
      if (p != &b || !once) return;
      once = false;
      marked_list::mark_as_left(b);
      CHECK(f.find(99) == nullptr);
    };
    CHECK(f.find(2, walker) == nullptr);
    CHECK(f.unlinked() == std::vector<int>{2});
  }
  SECTION("the element leaves, is freed, and its memory becomes an element with the key that is sought") {
    walker.interfere = [&](const void* p) {
      if (p != &b || !once) return;
      once = false;
      marked_list::mark_as_left(b);
      CHECK(f.find(99) == nullptr);
      f.out.first = nullptr;
      b.key = 3;
      b.next = 0;
    };
    CHECK(f.find(3, walker) == &c);
  }
  SECTION("somebody else appends the same key first") {
    element mine{4};
    element theirs{4};
    walker.interfere = [&](const void* p) {
      if (p != &c || !once) return;
      once = false;
      f.add(theirs);
    };
    CHECK(f.find(4, walker, &mine) == &theirs);
  }
  SECTION("the last element leaves while one is appended after it") {
    element mine{4};
    walker.interfere = [&](const void* p) {
      if (p != &c || !once) return;
      once = false;
      marked_list::mark_as_left(c);
    };
    CHECK(f.find(4, walker, &mine) == nullptr);
    CHECK(f.find(4) == &mine);
    CHECK(f.find(3) == nullptr);
    CHECK(f.unlinked() == std::vector<int>{3});
  }
  SECTION("two that follow each other leave") {
    walker.interfere = [&](const void* p) {
      if (p != &a || !once) return;
      once = false;
      marked_list::mark_as_left(a);
      marked_list::mark_as_left(b);
    };
    CHECK(f.find(3, walker) == &c);
    CHECK(f.unlinked().size() == 2);
  }
  CHECK_FALSE(once);
}

}  // namespace
