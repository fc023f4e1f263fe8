#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/shard/live_reshard.hpp>
#include <banyan/shard/reshard_access.hpp>

#include "live_reshard_fibers.hpp"
#include "support/linearizability.hpp"
#include "support/seed.hpp"

/// A world in which keys move: two stores, processes that read and write, a driver; one thread, a seeded schedule. Any
/// call of a store and any save may be the point where others run, where an error is reported (before the effect, after
/// it, or with an effect that comes later), or where the process dies.
namespace banyan::testing {

struct process_died {};

enum class fate { well, fails_before, fails_after, fails_and_comes_late, dies_before, dies_after };

struct reshard_faults {
  std::uint64_t errors_in_1000 = 0;
  std::uint64_t deaths_in_1000 = 0;         // of any process at any call
  std::uint64_t driver_deaths_in_1000 = 0;  // of the driver, at any of its calls
};

class reshard_world;

/// A store of numbers by number.
class simulated_store {
 public:
  using key_type = int;
  using value_type = int;
  using error_type = std::string;
  using record = reshard_record<int>;

  explicit simulated_store(reshard_world& world) : world_{world} {}

  expected<record, std::string> read(int key);
  expected<bool, std::string> put_if(int key, std::uint64_t version, const record& given);
  expected<reshard_page<int, int>, std::string> scan(const std::string& cursor, std::size_t limit);

  [[nodiscard]] record peek(int key) const {
    const auto found = records.find(key);
    return found == records.end() ? record{} : found->second;
  }
  bool apply(int key, std::uint64_t version, const record& given) {
    if (peek(key).version != version) return false;
    records[key] = given;
    return true;
  }

  std::map<int, record> records;

 private:
  reshard_world& world_;
};

/// A number that is written, read, or both at once; 0 is no value.
struct cell_model {
  enum class kind { read, write, update };
  struct operation {
    kind what = kind::read;
    int key = 0;
    int value = 0;
  };
  using result = int;  // what was seen; of no meaning for a write
  using state = int;

  [[nodiscard]] int initial() const { return 0; }
  [[nodiscard]] bool apply(int& now, const operation& called, const int* seen) const {
    const bool fits = called.what == kind::write || seen == nullptr || *seen == now;
    if (called.what != kind::read) now = called.value;
    return fits;
  }
  [[nodiscard]] std::string describe(const operation& called, const int* seen) const {
    const std::string name = called.what == kind::read ? "read" : called.what == kind::write ? "write" : "update";
    return name + "(" + std::to_string(called.key) + ", " + std::to_string(called.value) + ") -> " +
           (seen == nullptr ? "?" : std::to_string(*seen));
  }
};

class reshard_world {
 public:
  static constexpr int keys = 6;
  static constexpr std::size_t processes = 2;
  static constexpr std::size_t workers = 2;  // of each process

  reshard_world(std::uint64_t seed, reshard_faults faults)
      : random{seed}, source{*this}, target{*this}, faults_{faults}, recorder_{processes * workers + 1, 200} {
    for (int key = 0; key < keys; ++key) {
      if (!random.chance(2, 3)) continue;  // some keys were there before anything began
      const std::size_t call = recorder_.begin(processes * workers, {cell_model::kind::write, key, fresh_value()});
      source.records[key] = {1 + random.below(3), last_value_};
      recorder_.end(processes * workers, call, 0);
    }
  }

  /// Runs until all has settled. Which phase that was; what went wrong is in `complaint`.
  reshard_phase run() {
    for (std::size_t p = 0; p < processes; ++p) start(p);
    fiber driver{[this] { drive(); }};
    const std::uint64_t driver_weight = 1 + random.below(12);
    for (std::uint64_t turn = 0; turn < 200'000 && complaint.empty(); ++turn) {
      const std::uint64_t draw = random.below(16 + driver_weight);
      if (draw < 12) {
        let_work(random.below(processes));
      } else if (draw < 15) {
        tell(random.below(processes));
      } else if (draw < 16) {
        come_late();
      } else if (!driver.finished()) {
        driver.resume();
      }
      if (driver.finished() && all_idle()) break;
    }
    if (complaint.empty() && !(driver.finished() && all_idle())) complaint = "never ends";
    ending_ = true;
    while (!all_idle() || !driver.finished()) {  // after a complaint: unwind what is under way
      for (std::size_t p = 0; p < processes; ++p) let_work(p);
      if (!driver.finished()) driver.resume();
    }
    while (!late_.empty()) come_late();
    if (complaint.empty()) look_around();
    return state().phase;
  }

  [[nodiscard]] linearizability_report judge() const {
    return check_by_key(cell_model{}, recorder_.calls(), [](const auto& called) { return called.key; });
  }

  /// The point before the effect of a call, and what will become of it.
  fate before_effect(std::string_view) {
    fiber::pause();
    if (ending_ || (acting_ < processes && process_of_[acting_].dying)) throw process_died{};
    fate drawn = fate::well;
    if (in_peace_) return drawn;
    if (random.chance(faults_.errors_in_1000, 1000)) {
      constexpr std::array kinds{fate::fails_before, fate::fails_after, fate::fails_and_comes_late};
      drawn = kinds[random.below(kinds.size())];
    } else if (random.chance(faults_.deaths_in_1000 + (acting_ == processes ? faults_.driver_deaths_in_1000 : 0),
                             1000)) {
      drawn = random.chance(1, 2) ? fate::dies_before : fate::dies_after;
    }
    if (drawn == fate::dies_before) die();
    return drawn;
  }
  void after_effect(fate drawn) {
    if (drawn == fate::dies_after) die();
    fiber::pause();
    if (ending_ || (acting_ < processes && process_of_[acting_].dying)) throw process_died{};
  }
  void later(std::function<void()> effect) { late_.push_back(std::move(effect)); }

  random_source random;
  simulated_store source;
  simulated_store target;
  std::string complaint;
  std::uint64_t restarts = 0;
  std::uint64_t repaired = 0;
  bool roll_back_wanted = false;
  reshard_phase roll_back_at = reshard_phase::prepared;

 private:
  using access_type = reshard_access<simulated_store>;
  struct process {
    std::unique_ptr<access_type> access;
    std::vector<std::unique_ptr<fiber>> fibers;
    bool dying = false;
  };

  int fresh_value() { return last_value_ = ++values_; }

  void complain(std::string what) {
    if (complaint.empty()) complaint = std::move(what);
  }

  [[noreturn]] void die() {
    if (acting_ < processes) process_of_[acting_].dying = true;
    throw process_died{};
  }

  [[nodiscard]] reshard_state state() const {
    if (saved_.empty()) return {};
    const auto parsed = parse_reshard_state(saved_);
    return parsed ? *parsed : reshard_state{};
  }

  void start(std::size_t p) {
    process& one = process_of_[p];
    one.fibers.clear();
    one.dying = false;
    one.access = std::make_unique<access_type>(source, target, 1);
    one.access->adopt(state().announcement());
    for (std::size_t w = 0; w < workers; ++w) {
      one.fibers.push_back(std::make_unique<fiber>([this, p, w] { work(p, w); }));
    }
  }

  void let_work(std::size_t p) {
    process& one = process_of_[p];
    acting_ = p;
    if (one.dying) {
      bool gone = true;
      for (auto& each : one.fibers) {
        if (!each->finished()) each->resume();
        gone = gone && each->finished();
      }
      if (gone && !ending_) {
        ++restarts;
        start(p);
      }
    } else if (auto& chosen = one.fibers[random.below(workers)]; !chosen->finished()) {
      chosen->resume();
    }
    acting_ = processes;
  }

  void tell(std::size_t p) {
    process& one = process_of_[p];
    if (one.dying || announced_.step == 0) return;
    if (one.access->adopt(announced_) == reshard_adoption::left_behind) complain("left behind");
  }

  void come_late() {
    if (late_.empty()) return;
    const std::size_t which = random.below(late_.size());
    late_[which]();
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(which));
  }

  [[nodiscard]] bool all_idle() const {
    for (const process& one : process_of_) {
      if (one.dying && !ending_) return false;
      for (const auto& each : one.fibers) {
        if (!each->finished()) return false;
      }
    }
    return true;
  }

  void work(std::size_t p, std::size_t w) {
    try {
      while (!ending_ && calls_[p * workers + w] < 36 && (!settled_ || calls_[p * workers + w] < 12)) {
        ++calls_[p * workers + w];
        call(p, p * workers + w, static_cast<int>(random.below(keys)));
        for (std::uint64_t rest = random.below(8); rest > 0 && !ending_; --rest) fiber::pause();
        if (process_of_[p].dying) return;
      }
    } catch (const process_died&) {
    }
  }

  void call(std::size_t p, std::size_t thread, int key) {
    access_type& access = *process_of_[p].access;
    const std::uint64_t kind = random.below(8);
    ++busy_[static_cast<std::size_t>(key)];
    const struct leave {
      int& count;
      ~leave() { --count; }
    } leaving{busy_[static_cast<std::size_t>(key)]};
    if (kind < 3) {
      const std::size_t begun = recorder_.begin(thread, {cell_model::kind::read, key, 0});
      const auto got = access.read(key);
      if (got) return recorder_.end(thread, begun, got->value_or(0));
      return judge_fault(got.error().fault);
    }
    const int value = kind < 5 ? 0 : fresh_value();
    if (kind < 7) {
      const std::size_t begun = recorder_.begin(thread, {cell_model::kind::write, key, value});
      const auto done = value == 0 ? access.erase(key) : access.put(key, value);
      if (done) return recorder_.end(thread, begun, 0);
      return judge_fault(done.error().fault);
    }
    const std::size_t begun = recorder_.begin(thread, {cell_model::kind::update, key, value});
    int seen = 0;
    const auto done = access.update(key, [&](const std::optional<int>& now) {
      seen = now.value_or(0);
      return std::optional<int>{value};
    });
    if (done) return recorder_.end(thread, begun, seen);
    judge_fault(done.error().fault);
  }

  void judge_fault(reshard_fault fault) {
    const bool expected = fault == reshard_fault::source_failed || fault == reshard_fault::target_failed;
    if (!expected) complain("a call was refused: " + std::to_string(static_cast<int>(fault)));
    if (faults_.errors_in_1000 == 0) complain("a call failed without a fault");
  }

  bool save(std::uint64_t revision, std::string_view text) {
    const fate drawn = before_effect("save");
    const auto store = [this, revision, kept = std::string{text}] {
      if (revision <= state().revision) return false;
      saved_ = kept;
      return true;
    };
    bool stored = false;
    if (drawn == fate::fails_and_comes_late) {
      later(store);
    } else if (drawn != fate::fails_before) {
      stored = store();
    }
    after_effect(drawn);
    return stored && drawn == fate::well;
  }

  void drive() {
    while (!ending_) {
      try {
        const auto keep = [this](std::uint64_t revision, std::string_view text) { return save(revision, text); };
        const reshard_options options{.generation = 1, .batch = 1 + random.below(3)};
        live_reshard reshard =
            saved_.empty()
                ? live_reshard<simulated_store, simulated_store, decltype(keep)>{source, target, keep, options}
                : live_reshard<simulated_store, simulated_store, decltype(keep)>{source, target, keep, options,
                                                                                 state()};
        bool goes_on = true;
        while (goes_on && !reshard.settled() && !ending_) goes_on = drive_on(reshard);
        if (!goes_on) continue;
        settled_ = reshard.settled();
        repaired = reshard.state().repaired;
        return;
      } catch (const process_died&) {
        ++restarts;
      }
    }
  }

  // False when the driver has to be replaced.
  template <class Reshard>
  bool drive_on(Reshard& reshard) {
    announced_ = reshard.announcement();
    fiber::pause();
    const auto all_settled = [&] {
      for (process& one : process_of_) {
        if (one.dying || one.access->settled_step() != announced_.step) return false;
      }
      return true;
    };
    const auto in_order = [](const auto& result) {
      return result.has_value() || result.error().fault != reshard_fault::save_failed;
    };
    if (!reshard.state().confirmed && all_settled() && !in_order(reshard.confirm(announced_.step))) return false;
    // Who is in a hurry gets nowhere.
    if (random.chance(1, 8) && !in_order(reshard.advance())) return false;
    const auto progress = reshard.step();
    if (!progress) return in_order(progress);
    if (*progress == reshard_progress::waiting) return true;
    if (*progress == reshard_progress::conflicts) complain("a conflict where there is none");
    if (roll_back_wanted && reshard.phase() == roll_back_at && random.chance(1, 3)) {
      return in_order(reshard.roll_back());
    }
    if (*progress == reshard_progress::ready) {
      compare_stores(reshard.phase());
      if (random.chance(1, 3)) return in_order(reshard.advance());
    }
    return true;
  }

  // Where nothing fails, the passes leave the target as the source is, but for keys that are being written.
  void compare_stores(reshard_phase phase) {
    const bool passed = phase == reshard_phase::backfill || phase == reshard_phase::verify;
    if (!passed || faults_.errors_in_1000 + faults_.deaths_in_1000 != 0) return;
    for (int key = 0; key < keys; ++key) {
      if (busy_[static_cast<std::size_t>(key)] != 0) continue;
      const auto here = source.peek(key);
      const auto there = target.peek(key);
      if (here.version != there.version || here.value != there.value) {
        complain("after " + std::string{to_string(phase)} + " key " + std::to_string(key) + " differs");
      }
    }
  }

  // Everybody reads everything once more, in peace.
  void look_around() {
    in_peace_ = true;
    ending_ = false;
    for (std::size_t p = 0; p < processes; ++p) {
      for (int key = 0; key < keys; ++key) {
        const std::size_t begun = recorder_.begin(processes * workers, {cell_model::kind::read, key, 0});
        const auto got = process_of_[p].access->read(key);
        if (!got) return complain("a last read failed");
        recorder_.end(processes * workers, begun, got->value_or(0));
        const auto& place = state().phase == reshard_phase::done ? target : source;
        if (place.peek(key).value.value_or(0) != got->value_or(0)) complain("the last read was from the wrong place");
      }
    }
  }

  const reshard_faults faults_;
  history_recorder<cell_model::operation, int> recorder_;
  std::array<process, processes> process_of_{};
  std::array<int, processes * workers> calls_{};
  std::array<int, keys> busy_{};
  std::vector<std::function<void()>> late_;
  std::string saved_;
  reshard_announcement announced_{};
  std::size_t acting_ = processes;  // whose fiber runs; `processes` for the driver's
  int values_ = 0;
  int last_value_ = 0;
  bool ending_ = false;
  bool settled_ = false;
  bool in_peace_ = false;
};

inline expected<reshard_record<int>, std::string> simulated_store::read(int key) {
  const fate drawn = world_.before_effect("read");
  const record found = peek(key);
  world_.after_effect(drawn);
  if (drawn != fate::well) return unexpected{std::string{"read"}};
  return found;
}

inline expected<bool, std::string> simulated_store::put_if(int key, std::uint64_t version, const record& given) {
  const fate drawn = world_.before_effect("put");
  bool stored = false;
  if (drawn == fate::fails_and_comes_late) {
    world_.later([this, key, version, given] { apply(key, version, given); });
  } else if (drawn != fate::fails_before) {
    stored = apply(key, version, given);
  }
  world_.after_effect(drawn);
  if (drawn != fate::well) return unexpected{std::string{"put"}};
  return stored;
}

inline expected<reshard_page<int, int>, std::string> simulated_store::scan(const std::string& cursor,
                                                                           std::size_t limit) {
  const fate drawn = world_.before_effect("scan");
  reshard_page<int, int> page;
  auto at = cursor.empty() ? records.begin() : records.upper_bound(std::atoi(cursor.c_str()));
  for (; at != records.end() && page.records.size() < limit; ++at) page.records.emplace_back(at->first, at->second);
  if (at != records.end()) page.next = std::to_string(page.records.back().first);
  world_.after_effect(drawn);
  if (drawn != fate::well) return unexpected{std::string{"scan"}};
  return page;
}

}  // namespace banyan::testing
