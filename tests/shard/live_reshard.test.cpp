#include <banyan/shard/live_reshard.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/reshard_access.hpp>
#include <banyan/shard/reshard_shards.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::reshard_adoption;
using banyan::reshard_fault;
using banyan::reshard_phase;
using banyan::reshard_progress;
using record = banyan::reshard_record<std::string>;
using clock_type = banyan::basic_manual_clock<struct reshard_test_clock>;
using time_point = clock_type::time_point;

// As plain as a store can be. `during` runs inside each call.
struct plain_store {
  using key_type = int;
  using value_type = std::string;
  using error_type = std::string;

  banyan::expected<record, std::string> read(int key) {
    if (during) during();
    if (broken) return banyan::unexpected{std::string{"broken"}};
    const auto found = rows.find(key);
    return found == rows.end() ? record{} : found->second;
  }
  banyan::expected<bool, std::string> put_if(int key, std::uint64_t version, const record& given) {
    if (during) during();
    if (broken) return banyan::unexpected{std::string{"broken"}};
    record& there = rows[key];
    if (there.version != version || stubborn) return false;
    there = given;
    return true;
  }
  banyan::expected<banyan::reshard_page<int, std::string>, std::string> scan(const std::string& cursor,
                                                                             std::size_t limit) {
    if (broken) return banyan::unexpected{std::string{"broken"}};
    banyan::reshard_page<int, std::string> page;
    auto at = cursor.empty() ? rows.begin() : rows.upper_bound(std::stoi(cursor));
    for (; at != rows.end() && page.records.size() < limit; ++at) page.records.emplace_back(*at);
    if (at != rows.end()) page.next = std::to_string(page.records.back().first);
    return page;
  }

  std::map<int, record> rows{};
  bool broken = false;
  bool stubborn = false;
  std::function<void()> during{};
};

struct journal {
  bool operator()(std::uint64_t revision, std::string_view given) const {
    if (*refuses || revision <= *newest) return false;
    *newest = revision;
    *text = given;
    return true;
  }
  std::string* text;
  std::uint64_t* newest;
  bool* refuses;
};

using driver = banyan::live_reshard<plain_store, plain_store, journal, std::equal_to<>, clock_type>;

struct fixture {
  plain_store source;
  plain_store target;
  std::string text;
  std::uint64_t newest = 0;
  bool refuses = false;
  time_point now{};
  banyan::reshard_access<plain_store> access{source, target, 1};

  journal save() { return {&text, &newest, &refuses}; }
  driver make(banyan::reshard_options options = {}) { return driver{source, target, save(), options}; }
  driver resume(banyan::reshard_options options = {}) {
    return driver{source, target, save(), options, *banyan::parse_reshard_state(text)};
  }

  // Tells, confirms, works, until the phase is ready.
  void finish_phase(driver& reshard) {
    access.adopt(reshard.announcement());
    REQUIRE(access.settled_step() == reshard.step_number());
    REQUIRE(reshard.confirm(reshard.step_number()));
    for (;;) {
      const auto progress = reshard.step(now);
      REQUIRE(progress);
      if (*progress != reshard_progress::worked) return;
    }
  }
  void go_to(driver& reshard, reshard_phase phase) {
    while (reshard.phase() != phase) {
      finish_phase(reshard);
      REQUIRE(reshard.advance());
    }
    access.adopt(reshard.announcement());
  }
};

TEST_CASE("live_reshard goes from source to target, phase by phase") {
  fixture f;
  for (int key = 0; key < 250; ++key) f.source.rows[key] = {1, "old " + std::to_string(key)};
  driver reshard = f.make();
  CHECK(reshard.phase() == reshard_phase::prepared);
  CHECK(f.access.read(1).error().fault == reshard_fault::no_phase);
  CHECK(*reshard.step(f.now) == reshard_progress::waiting);
  CHECK(reshard.advance().error().fault == reshard_fault::not_ready);
  f.go_to(reshard, reshard_phase::dual_write);
  CHECK(*f.access.put(3, "new") == 2);
  CHECK(f.target.rows.at(3).value == "new");
  CHECK(*f.access.erase(4) == 2);
  CHECK_FALSE(f.target.rows.at(4).value.has_value());
  f.go_to(reshard, reshard_phase::backfill);
  f.finish_phase(reshard);
  CHECK(reshard.state().copied == 248);
  CHECK(*reshard.step(f.now) == reshard_progress::ready);
  f.go_to(reshard, reshard_phase::cutover);
  CHECK(reshard.state().repaired == 0);
  CHECK(reshard.state().verified == 500);
  CHECK(**f.access.read(3) == "new");
  CHECK_FALSE(f.access.read(4)->has_value());
  CHECK(*f.access.put(5, "both") == 2);
  CHECK(f.source.rows.at(5).value == "both");
  f.go_to(reshard, reshard_phase::handover);
  CHECK(*f.access.put(6, "handed over") == banyan::generation_base(1) + 1);
  CHECK(f.source.rows.at(6).version == banyan::generation_base(1));
  CHECK(f.source.rows.at(6).value == "old 6");
  CHECK(*f.access.erase(1'000) == banyan::generation_base(1) + 1);  // one that never was
  CHECK(f.source.rows.at(1'000).version == banyan::generation_base(1));
  CHECK(reshard.roll_back().error().fault == reshard_fault::too_late);
  f.go_to(reshard, reshard_phase::done);
  CHECK_FALSE(reshard.settled());
  f.source.broken = true;
  CHECK(*f.access.put(5, "target only") == banyan::generation_base(1) + 1);
  CHECK(f.source.rows.at(5).value == "both");
  CHECK(**f.access.read(5) == "target only");
  CHECK(reshard.roll_back().error().fault == reshard_fault::too_late);
  f.finish_phase(reshard);
  CHECK(reshard.settled());
  CHECK(*reshard.step(f.now) == reshard_progress::settled);
  CHECK(reshard.advance().error().fault == reshard_fault::not_ready);
  f.source.broken = false;
  // The next one starts where this one ended.
  banyan::reshard_access<plain_store> next{f.target, f.source, 2};
  next.adopt({2, 1, reshard_phase::prepared});
  CHECK(*next.put(5, "on") == banyan::generation_base(1) + 2);
}

TEST_CASE("live_reshard goes back from every phase") {
  for (const auto from : {reshard_phase::prepared, reshard_phase::dual_write, reshard_phase::backfill,
                          reshard_phase::verify, reshard_phase::cutover}) {
    INFO(to_string(from));
    fixture f;
    f.source.rows[1] = {1, "one"};
    driver reshard = f.make();
    f.go_to(reshard, from);
    CHECK(f.access.put(2, "two"));
    CHECK(f.access.erase(1));
    const auto announced = reshard.roll_back();
    REQUIRE(announced);
    CHECK(*reshard.roll_back() == *announced);  // once more does nothing
    CHECK(announced->phase ==
          (from == reshard_phase::cutover ? reshard_phase::rolling_back : reshard_phase::rolled_back));
    f.target.broken = from != reshard_phase::cutover;  // nobody needs it any more
    f.go_to(reshard, reshard_phase::rolled_back);
    f.target.broken = true;
    CHECK(f.access.put(3, "three"));
    CHECK(**f.access.read(2) == "two");
    CHECK_FALSE(f.access.read(1)->has_value());
    f.finish_phase(reshard);
    CHECK(reshard.settled());
    CHECK(*reshard.roll_back() == reshard.announcement());
  }
}

TEST_CASE("a target that is down keeps nobody from writing before verify, and from verify on it does") {
  fixture f;
  driver reshard = f.make();
  f.go_to(reshard, reshard_phase::dual_write);
  f.target.broken = true;
  CHECK(f.access.put(1, "one"));
  CHECK(f.access.missed_by_target() == 1);
  f.target.broken = false;
  f.go_to(reshard, reshard_phase::verify);
  CHECK(f.target.rows.at(1).value == "one");  // the backfill
  f.target.broken = true;
  const auto refused = f.access.put(1, "two");
  CHECK(refused.error().fault == reshard_fault::target_failed);
  CHECK(*refused.error().cause == "broken");
  CHECK(f.access.read(1).error().fault == reshard_fault::target_failed);  // it would be unseen after the cutover
  f.target.broken = false;
  CHECK(**f.access.read(1) == "two");
  CHECK(f.target.rows.at(1).value == "two");
  f.source.broken = true;
  CHECK(f.access.read(1).error().fault == reshard_fault::source_failed);
  CHECK(f.access.put(1, "three").error().fault == reshard_fault::source_failed);
  f.access.adopt(reshard.announcement());
  CHECK(reshard.confirm(reshard.step_number()));
  CHECK(reshard.step(f.now).error().fault == reshard_fault::source_failed);
}

TEST_CASE("what was written past the library is a conflict, and no cutover comes before it is mended") {
  fixture f;
  f.source.rows[1] = {1, "one"};
  driver reshard = f.make();
  f.go_to(reshard, reshard_phase::verify);
  f.target.rows[1].value = "uno";            // same version, another value
  f.target.rows[7] = {3, "from elsewhere"};  // unknown to the source
  f.source.rows[8] = {0, "no version"};
  f.source.rows[9] = {banyan::generation_base(1) + 1, "a generation used before"};
  f.access.adopt(reshard.announcement());
  CHECK(reshard.confirm(reshard.step_number()));
  CHECK(*reshard.step(f.now) == reshard_progress::worked);
  CHECK(reshard.conflicts() == std::vector<int>{1, 8, 9});
  CHECK(*reshard.step(f.now) == reshard_progress::worked);
  CHECK(reshard.conflicts() == std::vector<int>{7});
  CHECK(*reshard.step(f.now) == reshard_progress::conflicts);
  CHECK(reshard.state().conflicts == 4);
  CHECK(reshard.advance().error().fault == reshard_fault::not_ready);
  CHECK(f.access.put(9, "x").error().fault == reshard_fault::version_used);
  f.target.rows.erase(7);
  f.source.rows.erase(8);
  f.source.rows.erase(9);
  f.target.rows[1].value = "one";
  CHECK(reshard.verify_again());
  f.finish_phase(reshard);
  CHECK(*reshard.step(f.now) == reshard_progress::ready);
  CHECK(reshard.advance());
  CHECK(reshard.verify_again().error().fault == reshard_fault::not_ready);
}

TEST_CASE("another driver goes on from the saved state, and only from the same reshard's") {
  fixture f;
  for (int key = 0; key < 10; ++key) f.source.rows[key] = {1, "x"};
  const banyan::reshard_options options{.generation = 1, .source_version = 4, .target_version = 5, .batch = 3};
  std::string half_way;
  {
    driver first = f.make(options);
    f.go_to(first, reshard_phase::backfill);
    CHECK(first.confirm(first.step_number()));
    CHECK(*first.step(f.now) == reshard_progress::worked);
    CHECK(*first.step(f.now) == reshard_progress::worked);
    half_way = f.text;
  }
  driver second = f.resume(options);
  CHECK(second.phase() == reshard_phase::backfill);
  CHECK(second.state().copied == 6);
  CHECK(second.state().cursor == "5");
  f.finish_phase(second);
  CHECK(second.state().copied == 10);
  CHECK(second.confirm(1));  // late news
  CHECK(second.confirm(99).error().fault == reshard_fault::another_driver);

  // One that has slept since then is refused by the journal, and changes nothing.
  driver sleeper{f.source, f.target, f.save(), options, *banyan::parse_reshard_state(half_way)};
  CHECK(sleeper.step(f.now).error().fault == reshard_fault::save_failed);
  CHECK(sleeper.phase() == reshard_phase::backfill);
  f.newest = 0;  // from now on it does nothing, whatever the journal would say
  CHECK(sleeper.step(f.now).error().fault == reshard_fault::save_failed);
  CHECK(sleeper.roll_back().error().fault == reshard_fault::save_failed);
  CHECK(sleeper.advance().error().fault == reshard_fault::save_failed);
  CHECK(sleeper.confirm(3).error().fault == reshard_fault::save_failed);
  CHECK(sleeper.verify_again().error().fault == reshard_fault::save_failed);
  CHECK(f.newest == 0);
  f.newest = second.state().revision;

  f.refuses = true;
  CHECK(second.advance().error().fault == reshard_fault::save_failed);
  CHECK(second.phase() == reshard_phase::backfill);
  f.refuses = false;
  driver third = f.resume(options);
  CHECK(third.advance()->phase == reshard_phase::verify);

  auto other = options;
  other.target_version = 6;
  CHECK_THROWS_AS(f.resume(other), std::invalid_argument);
  other = options;
  other.source_version = 3;
  CHECK_THROWS_AS(f.resume(other), std::invalid_argument);
  other = options;
  other.generation = 2;
  CHECK_THROWS_AS(f.resume(other), std::invalid_argument);
}

TEST_CASE("a saved state is read back, and nothing else is") {
  banyan::reshard_state state;
  state.generation = 7;
  state.source_version = std::numeric_limits<std::uint64_t>::max();
  state.step = 5;
  state.phase = reshard_phase::verify;
  state.pass = banyan::reshard_pass::over_target;
  state.cursor = std::string{"k\0\n=\xff ", 6};
  state.confirmed = true;
  const std::string text = to_text(state);
  REQUIRE(banyan::parse_reshard_state(text));
  CHECK(*banyan::parse_reshard_state(text) == state);
  int accepted = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ (1U << bit));
      if (banyan::parse_reshard_state(damaged)) ++accepted;
    }
    if (banyan::parse_reshard_state(text.substr(0, at))) ++accepted;
  }
  CHECK(accepted == 0);
  CHECK(banyan::parse_reshard_state("").error() == banyan::reshard_state_error::foreign);
  CHECK(banyan::parse_reshard_state("{\"phase\": 3}").error() == banyan::reshard_state_error::foreign);
  CHECK(banyan::parse_reshard_state(text + "\n").error() == banyan::reshard_state_error::damaged);
  // Well made, but by somebody else.
  const auto signed_as = [](std::string content) {
    const std::uint64_t check = banyan::xxhash64(content);
    content += " check=";
    banyan::detail::append_hex(content, check);
    return content;
  };
  CHECK(banyan::parse_reshard_state(signed_as("banyan-reshard 2 everything=else")).error() ==
        banyan::reshard_state_error::version);
  CHECK(banyan::parse_reshard_state(signed_as("banyan-reshard 1 generation=1")).error() ==
        banyan::reshard_state_error::damaged);
  std::string content = text.substr(0, text.rfind(" check="));
  CHECK(banyan::parse_reshard_state(signed_as(content)));
  content.replace(content.find("phase=3"), 7, "phase=9");
  CHECK(banyan::parse_reshard_state(signed_as(content)).error() == banyan::reshard_state_error::damaged);
}

TEST_CASE("bad options are refused") {
  fixture f;
  CHECK_THROWS_AS(f.make({.generation = 0}), std::invalid_argument);
  CHECK_THROWS_AS(f.make({.generation = 32'768}), std::invalid_argument);
  CHECK_THROWS_AS(f.make({.batch = 0}), std::invalid_argument);
  CHECK_THROWS_AS(f.make({.batch = std::numeric_limits<std::size_t>::max()}), std::invalid_argument);
  for (const double rate : {0.0, -1.0, -0.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(f.make({.keys_per_second = rate}), std::invalid_argument);
    driver good = f.make();
    CHECK_THROWS_AS(good.keys_per_second(rate), std::invalid_argument);
  }
  using access = banyan::reshard_access<plain_store>;
  CHECK_THROWS_AS((access{f.source, f.target, 0}), std::invalid_argument);
  CHECK_THROWS_AS((access{f.source, f.target, 32'768}), std::invalid_argument);
}

TEST_CASE("batches come at the rate asked for, and not in a pause") {
  fixture f;
  for (int key = 0; key < 100; ++key) f.source.rows[key] = {1, "x"};
  driver reshard = f.make({.batch = 10, .keys_per_second = 20});
  f.go_to(reshard, reshard_phase::backfill);
  CHECK(reshard.confirm(reshard.step_number()));
  time_point now = f.now + 1h;
  CHECK(*reshard.step(now) == reshard_progress::worked);
  CHECK(reshard.resumes_at() == now + 500ms);
  CHECK(*reshard.step(now + 499ms) == reshard_progress::throttled);
  CHECK(*reshard.step(now - 1h) == reshard_progress::throttled);  // time that goes back
  CHECK(reshard.state().copied == 10);
  now += 500ms;
  CHECK(*reshard.step(now) == reshard_progress::worked);
  reshard.pause(now + 10s);
  CHECK(*reshard.step(now + 9s) == reshard_progress::throttled);
  reshard.resume();
  CHECK(*reshard.step(now + 499ms) == reshard_progress::throttled);  // the rate still holds
  CHECK(*reshard.step(now + 500ms) == reshard_progress::worked);
  reshard.pause();
  CHECK(*reshard.step(now + 24h) == reshard_progress::throttled);
  reshard.resume();
  reshard.keys_per_second(std::numeric_limits<double>::infinity());
  CHECK(*reshard.step(now + 24h) == reshard_progress::worked);
  CHECK(*reshard.step(now + 24h) == reshard_progress::worked);
}

TEST_CASE("a process takes up phases in order, and settles when its calls have") {
  fixture f;
  f.source.rows[1] = {1, "one"};
  auto& access = f.access;
  CHECK(access.settled_step() == 0);
  CHECK(access.adopt({1, 3, reshard_phase::backfill}) == reshard_adoption::adopted);  // it joined late
  CHECK(access.adopt({1, 3, reshard_phase::backfill}) == reshard_adoption::known);
  CHECK(access.adopt({1, 2, reshard_phase::dual_write}) == reshard_adoption::known);
  CHECK(access.settled_step() == 3);
  f.source.during = [&] {
    f.source.during = nullptr;
    CHECK(access.adopt({1, 4, reshard_phase::verify}) == reshard_adoption::adopted);
    CHECK(access.settled_step() == 0);
    CHECK_FALSE(access.wait_settled(4, banyan::steady_clock::now()));
    CHECK(access.adopt({1, 5, reshard_phase::cutover}) == reshard_adoption::not_yet);
  };
  CHECK(**access.read(1) == "one");
  CHECK(f.target.rows.empty());  // still by the rule of the phase it began under
  CHECK(access.settled_step() == 4);
  CHECK(access.wait_settled(4, banyan::steady_clock::now()));
  CHECK(access.adopt({1, 6, reshard_phase::handover}) == reshard_adoption::left_behind);
  CHECK(access.read(1).error().fault == reshard_fault::left_behind);
  CHECK(access.put(1, "x").error().fault == reshard_fault::left_behind);
  CHECK(access.adopt({1, 5, reshard_phase::cutover}) == reshard_adoption::left_behind);
  banyan::reshard_access<plain_store> other{f.source, f.target, 2};
  CHECK(other.adopt({1, 5, reshard_phase::cutover}) == reshard_adoption::known);
  CHECK(other.read(1).error().fault == reshard_fault::no_phase);
  CHECK(other.adopt({3, 1, reshard_phase::prepared}) == reshard_adoption::left_behind);
}

TEST_CASE("who never gets through says so, and who throws has written nothing") {
  fixture f;
  f.access.adopt({1, 1, reshard_phase::prepared});
  f.source.stubborn = true;
  CHECK(f.access.put(1, "x").error().fault == reshard_fault::contended);
  f.source.stubborn = false;
  CHECK_THROWS_AS(
      f.access.update(
          1, [](const std::optional<std::string>&) -> std::optional<std::string> { throw std::runtime_error{"no"}; }),
      std::runtime_error);
  CHECK(f.source.rows[1].version == 0);
  CHECK(f.access.adopt({1, 2, reshard_phase::dual_write}) == reshard_adoption::adopted);
  CHECK(f.access.settled_step() == 2);  // the call that threw has ended
  int calls = 0;
  f.source.during = [&] {
    if (++calls == 2) f.source.rows[1] = {1, "another was first"};
  };
  CHECK(*f.access.update(1, [](const std::optional<std::string>& seen) {
    return std::optional{seen.value_or("nothing") + " and me"};
  }) == 2);
  CHECK(f.target.rows.at(1).value == "another was first and me");
}

TEST_CASE("shards behind routers are one store each way, and keys that stay are left alone") {
  plain_store shards[4];
  const auto old_router = banyan::hash_router<int>::numbered(3);
  const auto new_router = old_router.add(3);
  banyan::reshard_shards<banyan::hash_router<int>, plain_store> before{
      old_router, {{0, &shards[0]}, {1, &shards[1]}, {2, &shards[2]}}, "no shard"};
  banyan::reshard_shards<banyan::hash_router<int>, plain_store> after{
      new_router, {{0, &shards[0]}, {1, &shards[1]}, {2, &shards[2]}, {3, &shards[3]}}, "no shard"};
  using view = decltype(before);
  const auto moves = [&](int key) { return old_router.route(key) != new_router.route(key); };
  int moving = 0;
  for (int key = 0; key < 400; ++key) {
    CHECK(*before.put_if(key, 0, {1, std::to_string(key)}));
    moving += moves(key) ? 1 : 0;
  }
  CHECK(moving > 60);
  CHECK(moving < 140);
  fixture f;
  const banyan::reshard_options options{.source_version = old_router.version(), .target_version = new_router.version()};
  banyan::reshard_access<view> access{before, after, 1, moves};
  banyan::live_reshard<view, view, journal, std::equal_to<>, clock_type> reshard{before, after, f.save(), options,
                                                                                 moves};
  while (!reshard.settled()) {
    access.adopt(reshard.announcement());
    CHECK(reshard.confirm(reshard.step_number()));
    const auto progress = reshard.step(f.now);
    REQUIRE(progress);
    if (*progress == reshard_progress::ready) CHECK(reshard.advance());
  }
  CHECK(reshard.state().copied == static_cast<std::uint64_t>(moving));
  CHECK(shards[3].rows.size() == static_cast<std::size_t>(moving));
  for (int key = 0; key < 400; ++key) CHECK(**access.read(key) == std::to_string(key));
  // A scan leaves out what is there and should not be: 400 keys in the new view, each once, though the old copies stay.
  for (const view* each : {&before, &after}) {
    std::map<int, int> seen;
    std::string cursor;
    do {
      auto page = each->scan(cursor, 17);
      REQUIRE(page);
      for (const auto& [key, row] : page->records) ++seen[key];
      cursor = page->next;
    } while (!cursor.empty());
    CHECK(seen.size() == 400);
    for (const auto& [key, times] : seen) CHECK(times == 1);
  }
  for (const char* foreign : {"x", "7:", "1", ":", "99999999999:"}) CHECK_FALSE(before.scan(foreign, 5));
  using ranges = banyan::reshard_shards<banyan::range_router<int>, plain_store>;
  CHECK_THROWS_AS((ranges{banyan::range_router<int>{{10}}, {{0, &shards[0]}}, "no shard"}), std::invalid_argument);
  CHECK_THROWS_AS((ranges{banyan::range_router<int>{{10}}, {{0, &shards[0]}, {1, nullptr}}, "no shard"}),
                  std::invalid_argument);
}

}  // namespace
