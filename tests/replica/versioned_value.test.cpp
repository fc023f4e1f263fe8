#include <banyan/replica/versioned_value.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"
#include "support/throwing.hpp"

namespace {

using banyan::version_vector;
using banyan::versioned_value;
using items = std::set<std::string>;

items both(const items& a, const items& b) {
  items whole = a;
  whole.insert(b.begin(), b.end());
  return whole;
}

std::vector<std::uint64_t> values_of(const versioned_value<std::uint64_t, 4>& copy) {
  std::vector<std::uint64_t> all;
  for (const auto& each : copy.siblings()) all.push_back(each.value);
  std::ranges::sort(all);
  return all;
}

// What every copy has seen, and what every write had seen.
struct causality {
  std::vector<std::set<std::uint64_t>> seen_by;
  std::vector<std::set<std::uint64_t>> seen_before;

  std::uint64_t write(std::size_t copy) {
    const std::uint64_t number = seen_before.size();
    seen_before.push_back(seen_by[copy]);
    seen_by[copy].insert(number);
    return number;
  }
  void merge(std::size_t to, std::size_t from) { seen_by[to].insert(seen_by[from].begin(), seen_by[from].end()); }
  // The writes that no other of those seen had seen.
  [[nodiscard]] std::vector<std::uint64_t> standing(std::size_t copy) const {
    std::vector<std::uint64_t> all;
    for (const std::uint64_t one : seen_by[copy]) {
      if (std::ranges::none_of(seen_by[copy], [&](std::uint64_t by) { return seen_before[by].contains(one); }))
        all.push_back(one);
    }
    return all;
  }
};

}  // namespace

TEST_CASE("versioned_value: newer replaces, equal does nothing, concurrent stands beside", "[replica][versioned]") {
  versioned_value<items> here;
  CHECK(here.empty());
  REQUIRE(here.write({"book"}, 1));
  versioned_value<items> there;
  REQUIRE(there.merge(here));
  CHECK(there.value(both) == items{"book"});
  REQUIRE(there.merge(here));
  CHECK_FALSE(there.conflicting());
  REQUIRE(there.write({"book", "pen"}, 2));
  REQUIRE(there.merge(here));  // an old copy
  CHECK(there.value(both) == items{"book", "pen"});
  REQUIRE(here.write({"lamp"}, 1));
  REQUIRE(here.merge(there));
  REQUIRE(here.conflicting());
  CHECK(here.value(both) == items{"book", "lamp", "pen"});
  REQUIRE(here.write(here.value(both), 1));
  REQUIRE(there.merge(here));
  CHECK_FALSE(there.conflicting());
  CHECK(there.value(both) == items{"book", "lamp", "pen"});
  CHECK(there.version() == here.version());
}

TEST_CASE("versioned_value: no write is lost but to one that had seen it, and all copies end equal",
          "[replica][versioned]") {
  const std::uint64_t seed = banyan::testing::derived_seed("versioned values, random writes and merges");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 200; ++round) {
    constexpr std::size_t copies = 4;
    std::vector<versioned_value<std::uint64_t, 4>> all(copies);
    causality oracle{.seen_by = std::vector<std::set<std::uint64_t>>(copies), .seen_before = {}};
    const auto merge = [&](std::size_t to, std::size_t from) {
      REQUIRE(all[to].merge(all[from]));
      oracle.merge(to, from);
      REQUIRE(values_of(all[to]) == oracle.standing(to));
    };
    for (int step = 0; step < 40; ++step) {
      const std::size_t one = random.below(copies);
      if (random.chance(1, 3)) {
        REQUIRE(all[one].write(oracle.write(one), one));
        REQUIRE(values_of(all[one]) == oracle.standing(one));
      } else {
        merge(one, random.below(copies));
      }
    }
    // All meet in a random order, some of them twice, until each knows of each.
    const auto apart = [&] {
      return std::ranges::any_of(all, [&](const auto& each) { return each.version() != all[0].version(); });
    };
    while (apart()) merge(random.below(copies), random.below(copies));
    for (std::size_t i = 1; i < copies; ++i) {
      REQUIRE(values_of(all[i]) == values_of(all[0]));
      if (all[0].empty()) continue;
      // A function for which order matters.
      const auto mixed = [](std::uint64_t a, std::uint64_t b) { return 3 * a + b; };
      REQUIRE(all[i].value(mixed) == all[0].value(mixed));
    }
  }
}

TEST_CASE("versioned_value: values merged at once would differ for good", "[replica][versioned]") {
  // What this is built not to be.
  class merged_at_once {
   public:
    void write(items given, std::uint64_t node) {
      value_ = std::move(given);
      REQUIRE(version_.increment(node));
    }
    void merge(const merged_at_once& other) {
      const auto order = version_ <=> other.version_;
      if (order == std::partial_ordering::less) value_ = other.value_;
      if (order == std::partial_ordering::unordered) value_ = both(value_, other.value_);
      REQUIRE(version_.merge(other.version_));
    }
    [[nodiscard]] const auto& version() const { return version_; }
    [[nodiscard]] items value(items (*)(const items&, const items&)) const { return value_; }

   private:
    items value_;
    version_vector<4> version_;
  };
  const auto meet = []<class Value>(Value book) {
    // "book" is replaced by "lamp", and "pen" is written elsewhere at the same time.
    Value pen;
    book.write({"book"}, 1);
    pen.write({"pen"}, 2);
    Value lamp = book;
    lamp.write({"lamp"}, 1);
    Value x = book;
    x.merge(pen);
    x.merge(lamp);
    Value y = pen;
    y.merge(lamp);
    CHECK(x.version() == y.version());
    return std::vector{x.value(both), y.value(both)};
  };
  const items wanted{"lamp", "pen"};
  // And nobody will ever know, since the versions are equal.
  CHECK(meet(merged_at_once{}) == std::vector{items{"book", "lamp", "pen"}, wanted});
  CHECK(meet(versioned_value<items>{}) == std::vector{wanted, wanted});
}

TEST_CASE("versioned_value: written back by several, a union stays as it is, and a sum does not",
          "[replica][versioned]") {
  const auto written_back = [](auto function) {
    versioned_value<int> a;
    REQUIRE(a.write(5, 1));
    versioned_value<int> b = a;
    REQUIRE(a.write(6, 1));  // 5 and 1 more
    REQUIRE(b.write(7, 2));  // 5 and 2 more
    std::vector<int> seen;
    for (int round = 0; round < 3; ++round) {
      const versioned_value<int> before = a;
      REQUIRE(a.merge(b));
      REQUIRE(b.merge(before));
      REQUIRE(a.value(function) == b.value(function));
      seen.push_back(a.value(function));
      REQUIRE(a.write(a.value(function), 1));  // both at the same time
      REQUIRE(b.write(b.value(function), 2));
    }
    return seen;
  };
  CHECK(written_back([](int x, int y) { return std::max(x, y); }) == std::vector{7, 7, 7});
  CHECK(written_back([](int x, int y) { return x + y; }) == std::vector{13, 26, 52});  // not 8: and it does not end
}

TEST_CASE("versioned_value: what throws changes nothing", "[replica][versioned]") {
  using banyan::testing::tracked;
  versioned_value<tracked> a;
  versioned_value<tracked> b;
  REQUIRE(a.write(tracked{1}, 1));
  REQUIRE(b.write(tracked{2}, 2));
  REQUIRE(b.write(tracked{3}, 2));
  const auto version = a.version();
  int faults = 0;
  for (const auto kind : {banyan::testing::fault_kind::copy, banyan::testing::fault_kind::move}) {
    for (const bool writing : {false, true}) {
      for (std::uint64_t n = 1; n <= 20; ++n) {
        versioned_value<tracked> copy = a;
        tracked given{4};
        bool threw = false;
        {
          const banyan::testing::throw_at fault{kind, n};
          try {
            static_cast<void>(writing ? copy.write(std::move(given), 1) : copy.merge(b));
          } catch (const banyan::testing::injected_fault&) {
            threw = true;
          }
        }
        if (!threw) break;
        ++faults;
        CHECK(copy.version() == version);
        REQUIRE(copy.siblings().size() == 1);
        CHECK(copy.siblings()[0].value == tracked{1});
      }
    }
  }
  CHECK(faults > 3);
  REQUIRE(a.merge(b));
  CHECK_THROWS_AS(a.value([](const tracked&, const tracked&) -> tracked { throw std::runtime_error{"merge"}; }),
                  std::runtime_error);
  CHECK(a.siblings().size() == 2);
}

TEST_CASE("versioned_value: one node too many is refused and changes nothing", "[replica][versioned]") {
  versioned_value<int, 2> a;
  REQUIRE(a.write(1, 1));
  REQUIRE(a.write(2, 2));
  CHECK_FALSE(a.write(3, 3));
  versioned_value<int, 2> b;
  REQUIRE(b.write(4, 4));
  CHECK_FALSE(a.merge(b));
  REQUIRE(a.siblings().size() == 1);
  CHECK(a.siblings()[0].value == 2);
  CHECK(a.write(5, 1));
}

TEST_CASE("versioned_value: from the network", "[replica][versioned]") {
  using value = versioned_value<int, 4>;
  value a;
  value b;
  REQUIRE(a.write(1, 1));
  REQUIRE(b.write(2, 2));
  REQUIRE(a.merge(b));
  const auto parts = [](const value& from) {
    return std::vector<value::sibling>(from.siblings().begin(), from.siblings().end());
  };
  auto mixed = parts(a);
  std::ranges::reverse(mixed);
  const auto made = value::from_parts(a.version(), mixed);
  REQUIRE(made);
  CHECK(made->siblings()[0].value == 1);
  CHECK(made->version() == a.version());
  CHECK(value::from_parts({}, {}));
  CHECK_FALSE(value::from_parts(a.version(), {}));
  CHECK_FALSE(value::from_parts({}, parts(a)));
  CHECK_FALSE(value::from_parts(a.version(), {{.value = 1, .node = 1, .write = 2}}));  // not written yet
  CHECK_FALSE(value::from_parts(a.version(), {{.value = 1, .node = 1, .write = 0}}));
  CHECK_FALSE(value::from_parts(a.version(), {{.value = 1, .node = 9, .write = 1}}));
  CHECK_FALSE(value::from_parts(a.version(), {{1, 1, 1}, {2, 1, 1}}));
  // What its node has replaced since: taken in, two copies that have met would differ for good.
  REQUIRE(a.write(3, 1));
  CHECK_FALSE(value::from_parts(a.version(), {{.value = 1, .node = 1, .write = 1}}));
  CHECK(value::from_parts(a.version(), parts(a)));
}

TEST_CASE("versioned_value: one that was moved from is not written yet", "[replica][versioned]") {
  using value = versioned_value<int, 4>;
  value a;
  value b;
  REQUIRE(a.write(1, 1));
  REQUIRE(b.write(2, 2));
  REQUIRE(b.merge(a));
  const value kept = std::move(b);
  CHECK(b.empty());
  CHECK(b.version() == value::version_type{});
  REQUIRE(a.merge(b));  // as if it had seen the write of `a` replaced, and had nothing in its place
  REQUIRE(a.siblings().size() == 1);
  CHECK(a.siblings()[0].value == 1);
  b = std::move(a);
  CHECK(a.empty());
  CHECK(a.version() == value::version_type{});
  CHECK(b.siblings().size() == 1);
  b = kept;
  CHECK(b.siblings().size() == 2);
  value& itself = b;
  b = itself;
  REQUIRE(b.merge(itself));
  CHECK(b.siblings().size() == 2);
  CHECK(b.version() == kept.version());
}

TEST_CASE("versioned_value: an assignment that throws changes nothing", "[replica][versioned]") {
  using banyan::testing::tracked;
  versioned_value<tracked> a;
  versioned_value<tracked> b;
  REQUIRE(a.write(tracked{1}, 1));
  REQUIRE(b.write(tracked{2}, 2));
  const auto version = a.version();
  {
    const banyan::testing::throw_at fault{banyan::testing::fault_kind::copy, 1};
    CHECK_THROWS_AS(a = b, banyan::testing::injected_fault);
  }
  CHECK(a.version() == version);
  REQUIRE(a.siblings().size() == 1);
  CHECK(a.siblings()[0].value == tracked{1});
}
