#include <banyan/cluster/detail/probe_loop.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/cluster/health_checker_options.hpp>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::health_checker_options;
using banyan::detail::probe_outcome;
using banyan::detail::probe_question;
using banyan::testing::joining_thread;
using banyan::testing::random_source;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using time_point = test_clock::time_point;
constexpr time_point start{};

constexpr endpoint_id a{1};
constexpr endpoint_id b{2};
constexpr endpoint_id c{3};
constexpr endpoint_id d{4};

// Whose members answer what `ask` says, and who keeps what it hears.
struct group {
  using answer = int;

  std::vector<endpoint_id> members(time_point) {
    if (members_throw) throw std::runtime_error{"no list"};
    return ids;
  }
  probe_question<int> question(endpoint_id id, time_point) {
    if (question_throws) throw std::runtime_error{"no question"};
    if (left.count(id) != 0) return nullptr;
    asked.push_back(id);
    return [this, id] { return ask(id); };
  }
  void take(std::span<const probe_outcome<int>> outcomes, time_point) {
    for (const auto& each : outcomes) heard.emplace_back(each.id, each.answer);
    if (on_take) on_take();
  }

  std::vector<endpoint_id> ids{};
  std::function<std::optional<int>(endpoint_id)> ask = [](endpoint_id) { return 1; };
  std::function<void()> on_take{};
  std::set<endpoint_id> left{};
  bool members_throw = false;
  bool question_throws = false;
  std::vector<endpoint_id> asked{};
  std::vector<std::pair<endpoint_id, std::optional<int>>> heard{};
};

using loop_type = banyan::detail::probe_loop<group, test_clock>;
using heard_type = std::vector<std::pair<endpoint_id, std::optional<int>>>;

// Driven by hand, in line, exactly.
health_checker_options by_hand() {
  return {.interval = 10s, .jitter = 0, .timeout = 2s, .executor = banyan::inline_executor{}, .background = false};
}

// Runs what it got when it is told to.
struct held_executor {
  void execute(banyan::task work) {
    if (refuses) throw std::runtime_error{"no"};
    waiting.push_back(std::move(work));
  }
  banyan::task next() {
    banyan::task first = std::move(waiting.front());
    waiting.pop_front();
    return first;
  }
  void run_one() { next()(); }
  std::deque<banyan::task> waiting;
  bool refuses = false;
};

health_checker_options held_by(held_executor& held) {
  auto options = by_hand();
  options.executor = banyan::any_executor{std::ref(held)};
  return options;
}

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::sleep_for(100us);
}

}  // namespace

TEST_CASE("probe_loop: asks each member at once, then every interval, however the time goes") {
  group all{.ids = {a, b}};
  loop_type loop{all, by_hand()};
  loop.run_due(start);
  CHECK(all.heard == heard_type{{a, 1}, {b, 1}});
  all.ids.push_back(c);
  loop.run_due(start + 4s);
  CHECK(all.asked == std::vector{a, b, c});
  loop.run_due(start + 4s);
  loop.run_due(start - 1h);
  loop.run_due(start + 9s);
  CHECK(all.asked.size() == 3);
  loop.run_due(start + 10s);
  CHECK(all.asked == std::vector{a, b, c, a, b});
  loop.run_due(start + 14s);
  CHECK(all.asked.back() == c);
  loop.run_due(start + 24h);  // once, not once for each interval
  CHECK(all.asked.size() == 9);
  all.ids.push_back(d);
  loop.run_due(start + 1h);  // counts as 24 h
  loop.run_due(start + 2h);
  CHECK(all.asked.size() == 10);
  loop.run_due(time_point::max());
  loop.run_due(time_point::max());
  CHECK(all.asked.size() == 14);
  CHECK(loop.stats().passed == 14);
  CHECK(loop.stats().endpoints == 4);
}

TEST_CASE("probe_loop: intervals vary by the jitter, and the first is any part of one") {
  group all;
  for (std::uint64_t i = 1; i <= 100; ++i) all.ids.push_back(endpoint_id{i});
  auto options = by_hand();
  options.jitter = 0.25;
  options.seed = 7;
  loop_type loop{all, options};
  std::map<endpoint_id, std::vector<int>> times;
  for (int tick = 0; tick <= 1000; ++tick) {  // of a tenth of a second
    loop.run_due(start + tick * 100ms);
    for (const endpoint_id id : std::exchange(all.asked, {})) times[id].push_back(tick);
  }
  int early = 0;
  std::set<int> gaps;
  for (const auto& [id, at] : times) {
    REQUIRE(at.size() >= 8);
    CHECK(at[0] == 0);
    CHECK(at[1] <= 100);
    if (at[1] < 50) ++early;
    for (std::size_t i = 2; i < at.size(); ++i) {
      CHECK(at[i] - at[i - 1] >= 75);
      CHECK(at[i] - at[i - 1] <= 126);
      gaps.insert(at[i] - at[i - 1]);
    }
  }
  CHECK(early > 30);
  CHECK(early < 70);
  CHECK(gaps.size() > 40);
}

TEST_CASE("probe_loop: a member that leaves while it is probed is heard of, and its room is free again") {
  group all{.ids = {a}};
  held_executor held;
  auto options = held_by(held);
  options.max_probes = 1;
  loop_type loop{all, options};
  loop.run_due(start);
  all.ids = {b};
  loop.run_due(start + 1s);
  CHECK(all.asked == std::vector{a});
  held.run_one();
  loop.run_due(start + 1s);
  CHECK(all.heard == heard_type{{a, 1}});
  CHECK(all.asked == std::vector{a, b});
  // One that comes again while its probe is under way gets another only afterwards: ids are never used twice, but a
  // list of members may be.
  all.ids = {};
  loop.run_due(start + 1s);
  all.ids = {b};
  loop.run_due(start + 1s);
  CHECK(held.waiting.size() == 1);
  held.run_one();
  loop.run_due(start + 1s);
  CHECK(all.heard.size() == 2);
  // One that has left before it could be asked counts as nothing.
  all.ids = {b, c};
  all.left = {c};
  loop.run_due(start + 2s);
  all.ids = {b};
  loop.run_due(start + 3s);
  CHECK(loop.stats().not_run == 0);
  CHECK(loop.stats().failed == 0);
}

TEST_CASE("probe_loop: a probe that throws has no answer; one that the executor refuses or drops says nothing") {
  group all{.ids = {a}};
  held_executor held;
  loop_type loop{all, held_by(held)};
  all.ask = [](endpoint_id) -> std::optional<int> { throw 1; };
  loop.run_due(start);
  held.run_one();
  loop.run_due(start);
  CHECK(all.heard == heard_type{{a, std::nullopt}});
  held.refuses = true;
  loop.run_due(start + 10s);
  held.refuses = false;
  loop.run_due(start + 20s);
  held.waiting.clear();
  loop.run_due(start + 20s);
  CHECK(loop.stats().not_run == 2);
  CHECK(all.heard.size() == 1);
  all.ask = [](endpoint_id) { return 5; };
  loop.run_due(start + 30s);
  held.run_one();
  loop.run_due(start + 30s);
  CHECK(all.heard.back() == std::pair{a, std::optional{5}});
}

TEST_CASE("probe_loop: what the subject throws is let through, and nothing is lost or heard twice") {
  group all{.ids = {a, b}};
  loop_type loop{all, by_hand()};
  all.members_throw = true;
  CHECK_THROWS_AS(loop.run_due(start), std::runtime_error);
  all.members_throw = false;
  all.question_throws = true;
  CHECK_THROWS_AS(loop.run_due(start), std::runtime_error);
  all.question_throws = false;
  CHECK(all.asked.empty());
  all.on_take = [&] {
    if (!all.heard.empty()) throw std::runtime_error{"cannot be told"};
  };
  CHECK_THROWS_AS(loop.run_due(start), std::runtime_error);
  CHECK(all.heard.size() == 2);
  all.on_take = nullptr;
  loop.run_due(start);
  CHECK(all.asked == std::vector{a, b});
  CHECK(all.heard.size() == 2);
}

TEST_CASE("probe_loop: whoever is called by it may call it") {
  group all{.ids = {a, b}};
  loop_type loop{all, by_hand()};
  int calls = 0;
  const auto again = [&] {
    loop.run_due(start + 1h);
    calls += loop.stats().endpoints == 2 ? 1 : 0;
  };
  all.on_take = again;
  all.ask = [&](endpoint_id) {
    again();
    return 1;
  };
  loop.run_due(start);
  CHECK(all.asked == std::vector{a, b});
  CHECK(calls == 4);  // twice by a probe, once before and once after
}

TEST_CASE("probe_loop: a probe that hangs fails once, then once an interval, also with a timeout of several") {
  for (const auto timeout : {2s, 10s, 35s}) {
    group all{.ids = {a}};
    held_executor held;
    auto options = held_by(held);
    options.timeout = timeout;
    loop_type loop{all, options};
    std::size_t wrong = 0;
    all.ask = [&](endpoint_id) {
      for (auto now = start; now <= start + 100s; now += 1s) {
        loop.run_due(now);
        loop.run_due(now);
        // The next interval begins at 10 s, or when it is late, if that is later.
        const auto first = std::max<std::chrono::nanoseconds>(timeout, 10s);
        std::size_t expected = now < start + timeout ? 0 : 1;
        if (now > start + first) expected += static_cast<std::size_t>((now - start - first) / 10s);
        if (timeout < 10s && now >= start + 10s) ++expected;
        if (all.heard.size() != expected) ++wrong;
      }
      return 1;
    };
    loop.run_due(start);
    held.run_one();
    loop.run_due(start + 100s);
    CHECK(wrong == 0);
    CHECK(all.heard.back() == std::pair{a, std::optional<int>{}});  // what it says in the end does not count
    CHECK(loop.stats().timed_out == 1);
    CHECK(loop.stats().passed == 0);
    CHECK(all.asked.size() == 1);
  }
}

TEST_CASE("probe_loop: what a probe waits for its executor does not count, also since the last look") {
  group all{.ids = {a}};
  held_executor held;
  loop_type loop{all, held_by(held)};  // times out after 2 s
  std::vector<std::uint64_t> timed_out;
  all.ask = [&](endpoint_id) {
    for (const auto now : {start + 3s, start + 4s, start + 5s - 1ns, start + 5s}) {
      loop.run_due(now);
      timed_out.push_back(loop.stats().timed_out);
    }
    return 1;
  };
  loop.run_due(start);
  loop.run_due(start + 1s);
  SECTION("told by the clock") {
    test_clock::set(start + 3s);
    held.run_one();
    CHECK(timed_out == std::vector<std::uint64_t>{0, 0, 0, 1});
  }
  SECTION("a clock that is behind what has been seen") {
    test_clock::set(start - 1h);
    held.run_one();
    CHECK(timed_out == std::vector<std::uint64_t>{1, 1, 1, 1});
  }
  SECTION("a clock that is ahead of who drives it") {
    test_clock::set(start + 1h);
    held.run_one();
    CHECK(timed_out == std::vector<std::uint64_t>{0, 0, 0, 1});
  }
  test_clock::set(start);
}

TEST_CASE("probe_loop: those who have waited longest are first") {
  group all{.ids = {a, b, c, d}};
  held_executor held;
  auto options = held_by(held);
  options.max_probes = 1;
  loop_type loop{all, options};
  for (int i = 0; i < 9; ++i) {
    loop.run_due(start + i * 6s);
    held.run_one();
  }
  CHECK(all.asked == std::vector{a, b, c, d, a, b, c, d, a});
}

TEST_CASE("probe_loop: once it has ended no probe begins, also when one hangs") {
  group all{.ids = {a, b, c}};
  held_executor held;
  std::atomic<bool> inside{false};
  std::atomic<bool> open{false};
  std::atomic<int> asked{0};
  const auto token = std::make_shared<int>(0);
  all.ask = [&, token](endpoint_id) {
    ++asked;
    inside = true;
    wait_for(open);
    return 1;
  };
  std::optional<joining_thread> other;
  {
    auto options = held_by(held);
    options.timeout = 1ms;
    loop_type loop{all, options};
    loop.run_due(start);
    REQUIRE(held.waiting.size() == 3);
    other.emplace([work = held.next()]() mutable { work(); });
    wait_for(inside);
  }
  open = true;
  other.reset();
  held.run_one();           // not run
  held.waiting.pop_back();  // dropped
  CHECK(asked == 1);
}

TEST_CASE("probe_loop: its end waits for the probe under way, but not for one that is late") {
  group all{.ids = {a}};
  held_executor held;
  std::atomic<bool> inside{false};
  std::atomic<bool> open{false};
  std::atomic<bool> returned{false};
  all.ask = [&](endpoint_id) {
    inside = true;
    wait_for(open);
    std::this_thread::sleep_for(5ms);
    returned = true;
    return 1;
  };
  auto options = held_by(held);
  options.timeout = 24h;
  auto loop = std::make_unique<loop_type>(all, options);
  loop->run_due(start);
  REQUIRE(held.waiting.size() == 1);
  const joining_thread other{[work = held.next()]() mutable { work(); }};
  wait_for(inside);
  SECTION("under way") {
    const joining_thread opener{[&] {
      std::this_thread::sleep_for(5ms);
      open = true;
    }};
    loop.reset();
    CHECK(returned);
  }
  SECTION("late") {
    loop->run_due(start + 24h);
    CHECK(loop->stats().hanging == 1);
    loop.reset();
    CHECK_FALSE(returned);
    open = true;
  }
}

TEST_CASE("probe_loop: a question is let go of before its answer is heard, and when it is not asked any more") {
  struct noted {
    using answer = int;
    std::vector<endpoint_id> members(time_point) { return {a}; }
    probe_question<int> question(endpoint_id, time_point) {
      return [held = token] { return *held; };
    }
    void take(std::span<const probe_outcome<int>> outcomes, time_point) {
      if (!outcomes.empty()) uses = token.use_count();
    }
    std::shared_ptr<int> token = std::make_shared<int>(1);
    long uses = 0;
  } one;
  held_executor held;
  {
    banyan::detail::probe_loop<noted, test_clock> loop{one, held_by(held)};
    loop.run_due(start);
    banyan::task first = held.next();
    first();
    loop.run_due(start);
    CHECK(one.uses == 1);
    loop.run_due(start + 10s);
  }
  CHECK(one.token.use_count() == 2);
  held.waiting.clear();
  CHECK(one.token.use_count() == 1);
}

namespace {

// Drives a loop at random and says what is wrong. Single-threaded: a probe that takes long is one that looks around
// while it runs, and runs others meanwhile.
struct random_run {
  explicit random_run(std::uint64_t seed) : random{seed} {
    for (std::uint64_t id = 1; id <= 4; ++id) all.ids.push_back(endpoint_id{id});
    all.ask = [this](endpoint_id) { return ask(); };
    options = by_hand();
    options.executor = banyan::any_executor{std::ref(*this)};
    options.jitter = one_in(2) ? 0.2 : 0;
    options.seed = seed;
    options.max_probes = 1 + static_cast<std::uint32_t>(random() % 3);
    options.max_hanging = 1 + static_cast<std::uint32_t>(random() % 3);
    loop.emplace(all, options);
  }
  random_run(const random_run&) = delete;
  random_run& operator=(const random_run&) = delete;
  ~random_run() { test_clock::set(start); }

  void execute(banyan::task work) {
    if (one_in(20)) throw std::runtime_error{"no"};
    waiting.emplace_back(all.asked.back(), std::move(work));
  }

  void step() {
    now += std::chrono::milliseconds{random() % 6'000};
    if (one_in(8)) all.ids.push_back(endpoint_id{next_id++});
    if (one_in(8) && !all.ids.empty()) all.ids.erase(all.ids.begin() + index(all.ids.size()));
    look();
    if (one_in(2)) run_any();
  }

  void look() {
    const std::size_t before = all.asked.size();
    loop->run_due(now);
    for (std::size_t i = before; i < all.asked.size(); ++i) check_time(all.asked[i]);
    std::set<endpoint_id> under_way{running.begin(), running.end()};
    for (const auto& each : waiting) under_way.insert(each.first);
    const auto stats = loop->stats();
    looked = now;
    expect(under_way.size() == waiting.size() + running.size(), "two probes of a member at a time");
    expect(stats.running + stats.hanging == under_way.size(), "probes under way are miscounted");
    expect(stats.running <= options.max_probes, "too many at a time");
    expect(stats.hanging < options.max_hanging || all.asked.size() == before, "a probe began while too many hang");
    expect(stats.passed + stats.failed == all.heard.size(), "more or less is heard than counted");
  }

  void run_any() {
    if (waiting.empty()) return;
    const auto at = waiting.begin() + index(waiting.size());
    auto [id, work] = std::move(*at);
    waiting.erase(at);
    if (one_in(10)) return;  // dropped
    running.push_back(id);
    if (!calm && one_in(2)) now += std::chrono::milliseconds{random() % 3'000};
    test_clock::set(now);
    work();
    running.pop_back();
  }

  std::optional<int> ask() {
    const int mine = ++serial;
    const time_point since = now;
    while (!calm && running.size() < 5 && one_in(2)) {
      now += std::chrono::milliseconds{random() % 3'000};
      look();
      run_any();
    }
    if (one_in(8)) throw std::runtime_error{"no answer"};
    if (one_in(8)) return std::nullopt;
    if (looked < since + options.timeout) in_time.insert(mine);
    return mine;
  }

  // All are asked within an interval once nothing hangs and probes return.
  void end() {
    calm = true;
    for (int round = 0; round < 2; ++round) {
      const std::size_t before = all.asked.size();
      now += 13s;
      do {
        while (!waiting.empty()) run_any();
        look();
      } while (!waiting.empty());
      const std::set<endpoint_id> asked{all.asked.begin() + static_cast<std::ptrdiff_t>(before), all.asked.end()};
      expect(std::includes(asked.begin(), asked.end(), all.ids.begin(), all.ids.end()), "a member is not asked");
    }
    for (const auto& [id, answer] : all.heard)
      expect(!answer || in_time.erase(*answer) == 1, "an answer is heard twice, or that came too late");
    expect(in_time.empty(), "an answer is not heard");
  }

  void check_time(endpoint_id id) {
    auto& times = asked_at[id];
    const auto shortest = options.jitter > 0 ? 8s - 1ms : 10s;
    expect(times.size() < (options.jitter > 0 ? 2U : 1U) || now - times.back() >= shortest, "asked too early");
    times.push_back(now);
  }

  void expect(bool holds, const char* what) {
    if (!holds && wrong == nullptr) wrong = what;
  }
  bool one_in(std::uint64_t n) { return random() % n == 0; }
  std::ptrdiff_t index(std::size_t size) { return static_cast<std::ptrdiff_t>(random() % size); }

  random_source random;
  group all;
  health_checker_options options;
  std::optional<loop_type> loop;
  time_point now = start;
  std::uint64_t next_id = 5;
  time_point looked = start;
  int serial = 0;
  std::set<int> in_time;
  bool calm = false;
  const char* wrong = nullptr;
  std::vector<std::pair<endpoint_id, banyan::task>> waiting;
  std::vector<endpoint_id> running;
  std::map<endpoint_id, std::vector<time_point>> asked_at;
};

}  // namespace

TEST_CASE("probe_loop: one probe of a member at a time, so many of all, each in its time, whatever comes when") {
  for (std::uint64_t round = 0; round < 300; ++round) {
    const std::uint64_t seed = banyan::testing::derived_seed("probe_loop model", round);
    random_run run{seed};
    for (int i = 0; i < 100; ++i) run.step();
    run.end();
    INFO("seed " << seed << ": " << (run.wrong != nullptr ? run.wrong : "nothing"));
    REQUIRE(run.wrong == nullptr);
  }
}

namespace {

// Members that come and go, asked by several threads at once. Notes what must not be.
struct crowd {
  using answer = int;

  std::vector<endpoint_id> members(banyan::steady_clock::time_point) {
    if (random() % 16 == 0) throw std::runtime_error{"no list"};
    const std::lock_guard lock{lock_};
    return ids;
  }
  probe_question<int> question(endpoint_id id, banyan::steady_clock::time_point) {
    if (random() % 16 == 0) return nullptr;
    return [this, id, kind = random() % 8]() -> std::optional<int> {
      std::atomic<int>& inside = counts[id.value() % counts.size()];
      if (inside.fetch_add(1) != 0) wrong = true;
      if (ended) wrong = true;
      asked.fetch_add(1);
      for (std::uint64_t i = 0; i < kind * 50; ++i) std::this_thread::yield();
      if (ended) wrong = true;
      inside.fetch_sub(1);
      if (kind == 0) throw std::runtime_error{"no answer"};
      return 1;
    };
  }
  void take(std::span<const probe_outcome<int>> outcomes, banyan::steady_clock::time_point) {
    heard.fetch_add(outcomes.size());
  }
  void change(std::uint64_t chance) {
    const std::lock_guard lock{lock_};
    if (chance % 2 == 0 && ids.size() < 8 && next_id < counts.size()) ids.push_back(endpoint_id{next_id++});
    if (chance % 2 == 1 && ids.size() > 1) ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(chance % ids.size()));
  }

  explicit crowd(std::uint64_t seed) : random{seed} {}

  std::mutex lock_;
  std::vector<endpoint_id> ids{a, b};
  std::uint64_t next_id = 3;
  random_source random;  // of the loop
  std::array<std::atomic<int>, 4'096> counts{};
  std::atomic<std::size_t> asked{0};
  std::atomic<std::size_t> heard{0};
  std::atomic<bool> ended{false};
  std::atomic<bool> wrong{false};
};

// Two threads that run what comes.
class two_threads {
 public:
  void execute(banyan::task work) {
    const std::lock_guard lock{lock_};
    waiting_.push_back(std::move(work));
  }
  ~two_threads() { ended_ = true; }

 private:
  void run() {
    while (!ended_) {
      std::optional<banyan::task> next;
      {
        const std::lock_guard lock{lock_};
        if (!waiting_.empty()) {
          next = std::move(waiting_.front());
          waiting_.pop_front();
        }
      }
      if (next)
        (*next)();
      else
        std::this_thread::sleep_for(50us);
    }
  }

  std::mutex lock_;
  std::deque<banyan::task> waiting_;
  std::atomic<bool> ended_{false};
  joining_thread first_{[this] { run(); }};
  joining_thread second_{[this] { run(); }};
};

}  // namespace

TEST_CASE("probe_loop: on a thread of its own, with members that come and go, until it ends at any time") {
  random_source random{banyan::testing::derived_seed("probe_loop threads")};
  two_threads threads;
  for (int round = 0; round < 40; ++round) {
    crowd all{random()};
    {
      banyan::detail::probe_loop<crowd, banyan::steady_clock> loop{
          all,
          health_checker_options{
              .interval = 1ms, .timeout = 24h, .max_probes = 3, .executor = banyan::any_executor{std::ref(threads)}}};
      const std::size_t enough = random() % 30;
      while (all.heard < enough) {
        all.change(random());
        if (random() % 4 == 0) {
          try {
            loop.run_due();
          } catch (const std::runtime_error&) {  // as the subject does at times
          }
        }
        (void)loop.stats();
        std::this_thread::yield();
      }
    }
    all.ended = true;
    REQUIRE_FALSE(all.wrong);
  }
}

TEST_CASE("probe_loop: goes on when memory was short") {
  const auto report = banyan::testing::for_every_failing_allocation([] {
    std::size_t passed = 0;
    struct quiet {
      using answer = int;
      std::vector<endpoint_id> members(time_point) { return {a, b}; }
      probe_question<int> question(endpoint_id, time_point) {
        return [] { return 1; };
      }
      void take(std::span<const probe_outcome<int>> outcomes, time_point) { *passed += outcomes.size(); }
      std::size_t* passed;
    } subject{&passed};
    auto options = by_hand();
    banyan::detail::probe_loop<quiet, test_clock> loop{subject, options};
    for (int i = 0; i < 8; ++i) {
      try {
        loop.run_due(start + i / 2 * 10s);  // twice each: what the first could not take, the second does
      } catch (const std::bad_alloc&) {     // and again
      }
    }
    const auto stats = loop.stats();
    if (stats.running != 0 || stats.passed != passed) throw std::logic_error{"a probe is lost"};
    if (passed < 6) throw std::logic_error{"the loop has stopped"};
  });
  INFO(report.describe());
  CHECK(report.clean());
}
