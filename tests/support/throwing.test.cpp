#include "support/throwing.hpp"

#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace banyan::testing;

/// Room for three objects, filled by hand. The planted fault: it forgets what it has when a copy throws.
template <class T, bool Careful>
class three {
 public:
  explicit three(const T& value) {
#if defined(__cpp_exceptions)
    try {
      for (; size_ < 3; ++size_) new (place(size_)) T(value);
    } catch (...) {
      if (Careful) destroy();
      throw;
    }
#else
    for (; size_ < 3; ++size_) new (place(size_)) T(value);
#endif
  }
  ~three() { destroy(); }
  three(const three&) = delete;
  three& operator=(const three&) = delete;

 private:
  void* place(std::size_t i) { return bytes_ + i * sizeof(T); }
  void destroy() {
    while (size_ > 0) std::launder(static_cast<T*>(place(--size_)))->~T();
  }

  std::size_t size_ = 0;
  alignas(T) unsigned char bytes_[3 * sizeof(T)];
};

}  // namespace

TEST_CASE("tracked objects count their lives and keep their values") {
  const auto alive = tracked_instances();
  const auto misuses = tracked_misuses();
  {
    tracked a{7};
    tracked b = a;
    tracked c = std::move(a);
    CHECK(tracked_instances() == alive + 3);
    CHECK(b == c);
    CHECK(a.value() == tracked::moved_from);
    c = b;
    b = tracked{9};
    CHECK(c < b);
    move_only_tracked d{4};
    move_only_tracked e{std::move(d)};
    CHECK(e.value() == 4);
    auto aligned = std::make_unique<over_aligned_tracked>(5);
    CHECK(reinterpret_cast<std::uintptr_t>(aligned.get()) % 128 == 0);
    CHECK(tracked_instances() == alive + 6);
  }
  CHECK(tracked_instances() == alive);
  CHECK(tracked_misuses() == misuses);
}

TEST_CASE("tracked objects notice being moved by copying bytes") {
  alignas(tracked) unsigned char bytes[sizeof(tracked)];
  tracked original{3};
  const auto misuses = tracked_misuses();
  std::memcpy(bytes, static_cast<const void*>(&original), sizeof(tracked));
  CHECK(std::launder(reinterpret_cast<tracked*>(bytes))->value() == 3);
  CHECK(tracked_misuses() == misuses + 1);
}

TEST_CASE("tracked objects notice being destroyed twice") {
  alignas(tracked) unsigned char bytes[sizeof(tracked)];
  const auto misuses = tracked_misuses();
  const auto alive = tracked_instances();
  auto* object = new (bytes) tracked{3};
  object->~tracked();
  // Hides where the pointer comes from: the compiler rightly warns of what this test does on purpose.
  asm volatile("" : "+r"(object) : : "memory");
  object->~tracked();
  CHECK(tracked_misuses() == misuses + 1);
  CHECK(tracked_instances() == alive - 1);
  // Balance the books for the tests that follow.
  new (bytes) tracked{3};
}

#if defined(__cpp_exceptions)

TEST_CASE("throw_at throws at the n-th event of its kind only") {
  tracked original{1};
  const throw_at guard{fault_kind::copy, 2};
  CHECK_NOTHROW(tracked{original});
  CHECK_FALSE(guard.fired());
  CHECK_THROWS_AS(tracked{original}, injected_fault);
  CHECK(guard.fired());
  CHECK_NOTHROW(tracked{original});
  CHECK_NOTHROW(tracked{std::move(original)});
}

TEST_CASE("each kind of event can throw") {
  tracked a{1};
  const tracked b{2};
  const auto throws = [](fault_kind kind, auto&& function) {
    const throw_at guard{kind, 1};
    try {
      function();
    } catch (const injected_fault& fault) {
      return fault.kind == kind;
    }
    return false;
  };
  CHECK(throws(fault_kind::construct, [] { tracked{3}; }));
  CHECK(throws(fault_kind::copy, [&] { a = b; }));
  CHECK(throws(fault_kind::move, [&] { tracked{std::move(a)}; }));
  CHECK(a.value() == 1);
  CHECK(throws(fault_kind::move, [&] { a = tracked{4}; }));
  CHECK(throws(fault_kind::compare, [&] { static_cast<void>(a == b); }));
  CHECK(throws(fault_kind::compare, [&] { static_cast<void>(a < b); }));
  CHECK(throws(fault_kind::compare, [] { throwing_equal{}(1, 2); }));
  CHECK(throws(fault_kind::compare, [] { throwing_less{}(1, 2); }));
  CHECK(throws(fault_kind::hash, [&] { throwing_hash{}(a); }));
  CHECK(throws(fault_kind::hash, [] { throwing_hash{}(std::string{"a"}); }));
  CHECK(throws(fault_kind::call, [] { fault_point(fault_kind::call); }));
  CHECK(colliding_hash{}(a) == colliding_hash{}(b));
  CHECK(throwing_hash{}(a) != throwing_hash{}(b));
}

TEST_CASE("for_every_fault passes containers that clean up") {
  const fault_kind kind =
      GENERATE(fault_kind::construct, fault_kind::copy, fault_kind::move, fault_kind::compare, fault_kind::hash);
  const auto report = for_every_fault(kind, [] {
    std::vector<tracked> vector;
    for (int i = 0; i < 4; ++i) vector.push_back(tracked{i});
    const std::vector<over_aligned_tracked> aligned(3);
    std::unordered_map<tracked, tracked, throwing_hash, throwing_equal> map;
    for (int i = 0; i < 4; ++i) map.insert_or_assign(vector[static_cast<std::size_t>(i % 3)], tracked{i});
    std::map<tracked, move_only_tracked> sorted;
    for (int i = 0; i < 4; ++i) sorted.try_emplace(tracked{i}, i);
    const three<tracked, true> careful{vector.front()};
  });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(report.faults >= 4);
  CHECK(report.survived == 0);
}

TEST_CASE("for_every_fault catches a container that forgets its elements") {
  const auto report = for_every_fault(fault_kind::copy, [] {
    const tracked value{1};
    const three<tracked, false> careless{value};
  });
  INFO(report.describe());
  CHECK_FALSE(report.clean());
  CHECK(report.faults == 3);
  CHECK(report.leaked == 0 + 1 + 2);
  detail::tracked_alive.fetch_sub(report.leaked);  // balance the books for the tests that follow
}

#endif
