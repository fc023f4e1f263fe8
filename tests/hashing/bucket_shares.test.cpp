#include <banyan/hashing/detail/bucket_shares.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::detail::bucket_shares;
using banyan::testing::random_source;

// Owners by a name that stays, in the order of their numbers.
struct member {
  int name;
  double weight;
};

constexpr int pieces = 15;  // bits of a hash that are looked up: more than any table here has

std::vector<int> names(const bucket_shares& shares, const std::vector<member>& members) {
  std::vector<int> found(std::size_t{1} << pieces, -1);
  for (std::size_t i = 0; i < found.size() && !members.empty(); ++i) {
    found[i] = members.at(shares.find(std::uint64_t{i} << (64 - pieces))).name;
  }
  return found;
}

// How far the shares are from the weights, in buckets; an owner may have one where its weight is worth less.
double worst(const bucket_shares& shares, const std::vector<member>& members) {
  std::vector<double> counts(members.size());
  const int shift = 64 - std::countr_zero(shares.buckets());
  for (std::uint64_t i = 0; i < shares.buckets(); ++i) ++counts[shares.find(i << shift)];
  double total = 0;
  for (const member& each : members) total += each.weight;
  double off = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const double wanted = members[i].weight / total * static_cast<double>(shares.buckets());
    if (counts[i] < 1) return 1e9;
    off = std::max(off, std::abs(counts[i] - std::max(wanted, 1.0)));
  }
  return off;
}

// Any history: keys move to the owner that comes or gains, from the one that goes or loses, and not otherwise; shares
// stay as the weights say.
TEST_CASE("bucket shares: a change moves what it must and nothing else", "[hashing][bucket_shares]") {
  const std::uint64_t seed = banyan::testing::derived_seed("bucket shares: movement");
  for (const bool equal : {true, false}) {
    random_source random{seed + (equal ? 0 : 1)};
    std::vector<member> members;
    bucket_shares shares;
    const auto weight = [&] { return equal ? 1.0 : 0.2 + static_cast<double>(random.below(40)) / 10; };
    std::vector<int> before = names(shares, members);
    for (int step = 0; step < 300; ++step) {
      CAPTURE(seed, equal, step, members.size());
      const std::uint64_t what = members.size() < 2 ? 0 : random.below(members.size() < 25 ? 4 : 3);
      int changed = step;
      bool gains = true;
      if (what == 0 || what == 3) {
        members.push_back({step, weight()});
        shares.add(members.back().weight, 50 * members.size());
      } else {
        const auto at = static_cast<std::uint32_t>(random.below(members.size()));
        changed = members[at].name;
        if (what == 1) {
          gains = false;
          members.erase(members.begin() + at);
          shares.remove(at);
        } else {
          const double old = std::exchange(members[at].weight, weight());
          gains = members[at].weight >= old;
          shares.reweigh(at, members[at].weight);
        }
      }
      REQUIRE(shares.owners() == members.size());
      REQUIRE(shares.buckets() <= std::size_t{1} << pieces);
      REQUIRE(shares.buckets() >= 50 * members.size());
      const std::vector<int> after = names(shares, members);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < after.size(); ++i) {
        if (before[i] != after[i] && before[i] != -1 && (gains ? after[i] : before[i]) != changed) ++wrong;
      }
      REQUIRE(wrong == 0);
      REQUIRE(worst(shares, members) < (equal ? 1 : 2));
      before = after;
    }
  }
}

// Changes taken back in the opposite order, another owner in the place of one that went, and the number of buckets
// doubled meanwhile.
TEST_CASE("bucket shares: changes taken back leave no trace", "[hashing][bucket_shares]") {
  const std::uint64_t seed = banyan::testing::derived_seed("bucket shares: undo");
  CAPTURE(seed);
  random_source random{seed};
  for (int round = 0; round < 30; ++round) {
    std::vector<member> members;
    std::vector<double> weights;
    for (int i = 0; i < 12; ++i) {
      members.push_back({i, 1.0 + static_cast<double>(random.below(3))});
      weights.push_back(members.back().weight);
    }
    bucket_shares shares;
    shares.assign(weights, 30 * members.size());
    const std::size_t buckets = shares.buckets();
    struct step {
      std::uint64_t what;
      member who;
      std::vector<int> before;
    };
    std::vector<step> steps;
    const auto number = [&](int name) {
      std::uint32_t at = 0;
      while (members[at].name != name) ++at;
      return at;
    };
    for (int i = 0; i < 6; ++i) {
      // None of these takes back one before it, and together they move less than all buckets.
      const std::uint64_t what = random.below(3);
      const auto originals =
          std::count_if(members.begin(), members.end(), [](const member& m) { return m.name < 100; });
      const auto at = static_cast<std::uint32_t>(random.below(static_cast<std::uint64_t>(originals)));
      steps.push_back({what, members[at], names(shares, members)});
      if (what == 0) {
        members.push_back({100 + i, 2.5});
        steps.back().who = members.back();
        shares.add(2.5, 30 * members.size());
      } else if (what == 1) {
        members.erase(members.begin() + at);
        shares.remove(at);
      } else {
        members[at].weight += 0.7;
        shares.reweigh(at, members[at].weight);
      }
    }
    for (; !steps.empty(); steps.pop_back()) {
      const step& last = steps.back();
      if (last.what == 0) {
        const std::uint32_t at = number(last.who.name);
        members.erase(members.begin() + at);
        shares.remove(at);
      } else if (last.what == 1) {
        members.push_back(last.who);
        shares.add(last.who.weight, 30 * members.size());
      } else {
        members[number(last.who.name)].weight = last.who.weight;
        shares.reweigh(number(last.who.name), last.who.weight);
      }
      CAPTURE(round, steps.size(), last.what, last.who.name, last.who.weight, shares.buckets());
      REQUIRE((names(shares, members) == last.before));
    }
    CHECK(shares.buckets() >= buckets);
  }
}

// What is remembered is bounded, and the last change always is.
TEST_CASE("bucket shares: the history does not grow without end", "[hashing][bucket_shares]") {
  bucket_shares shares;
  shares.assign(std::vector<double>(400, 1.0), 400 * 100);
  const auto remember = [&] {
    for (int i = 0; i < 2000; ++i) {
      shares.remove(static_cast<std::uint32_t>(i) % 300);
      shares.remove(7);
      shares.add(1.5, 400 * 100);
      shares.add(1, 400 * 100);
    }
  };
  remember();
  const std::size_t once = shares.memory();
  CHECK(once < 65'536 * 2 + 2 * 16'384 * 8 + 400 * 40 + 20'000);
  remember();
  CHECK(shares.memory() <= once + once / 4);
  std::vector<member> members;
  for (int i = 0; i < 400; ++i) members.push_back({i, 1});
  const std::vector<int> before = names(shares, members);
  shares.add(300, 400 * 100);  // moves more than is remembered of older ones
  shares.remove(400);
  CHECK((names(shares, members) == before));
}

TEST_CASE("bucket shares: more owners than 16 bits can number", "[hashing][bucket_shares]") {
  bucket_shares shares;
  shares.assign(std::vector<double>(65'530, 1.0), 0);
  CHECK(shares.buckets() == 65'536);
  for (int i = 0; i < 12; ++i) shares.add(1, 0);
  CHECK(shares.owners() == 65'542);
  CHECK(shares.buckets() == 131'072);
  std::vector<int> seen(65'542);
  for (std::uint64_t i = 0; i < 131'072; ++i) ++seen[shares.find(i << 47)];
  CHECK(*std::min_element(seen.begin(), seen.end()) >= 1);
  CHECK(*std::max_element(seen.begin(), seen.end()) <= 2);
  for (int i = 0; i < 12; ++i) shares.remove(65'541 - static_cast<std::uint32_t>(i));
  for (std::uint64_t i = 0; i < 131'072; ++i) REQUIRE(shares.find(i << 47) < 65'530);
}

TEST_CASE("bucket shares: no weight is too light for a bucket", "[hashing][bucket_shares]") {
  std::vector<member> members;
  for (int i = 0; i < 20; ++i) members.push_back({i, 1});
  bucket_shares shares;
  shares.assign(std::vector<double>(20, 1.0), 0);
  members.push_back({20, 1e5});
  shares.add(1e5, 0);
  CHECK(shares.buckets() == 32);
  CHECK(worst(shares, members) < 32);
  members[3].weight = 1e7;
  shares.reweigh(3, 1e7);
  CHECK(worst(shares, members) < 32);
  members.push_back({21, 1e-9});
  shares.add(1e-9, 0);
  CHECK(worst(shares, members) < 32);
  std::vector<double> uneven(60, 1e-3);
  uneven.push_back(1e6);
  shares.assign(uneven, 0);
  members.clear();
  for (std::size_t i = 0; i < uneven.size(); ++i) members.push_back({static_cast<int>(i), uneven[i]});
  CHECK(worst(shares, members) < 64);
}

// 512 buckets among 5: some have 103, a share being 102.4.
TEST_CASE("bucket shares: a weight that grows a little costs its owner nothing", "[hashing][bucket_shares]") {
  for (std::uint32_t which = 0; which < 5; ++which) {
    bucket_shares shares;
    shares.assign(std::vector<double>(5, 1.0), 512);
    std::vector<member> members;
    for (int i = 0; i < 5; ++i) members.push_back({i, 1});
    const std::vector<int> before = names(shares, members);
    for (const double weight : {1.0, 1.0001}) shares.reweigh(which, weight);
    const std::vector<int> after = names(shares, members);
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (before[i] != after[i]) REQUIRE(after[i] == static_cast<int>(which));
    }
  }
}

TEST_CASE("bucket shares of nobody and of one", "[hashing][bucket_shares]") {
  bucket_shares shares;
  CHECK(shares.find(0) == banyan::detail::no_node);
  CHECK(shares.find(~std::uint64_t{0}) == banyan::detail::no_node);
  shares.add(3, 0);
  CHECK(shares.find(0) == 0);
  CHECK(shares.find(~std::uint64_t{0}) == 0);
  shares.reweigh(0, 5);
  CHECK(shares.find(12345) == 0);
  shares.remove(0);
  CHECK(shares.find(1) == banyan::detail::no_node);
  CHECK(shares.buckets() == 0);
}

}  // namespace
