// A store over SQLite files, sharded by the hash of the key, grows from 3 to 4 shards while threads write. Half way
// through, the process that drives the move dies, and another goes on from the state that was saved. At the end every
// row is compared with what the writers know.
#include <sqlite3.h>

#include <array>
#include <atomic>
#include <banyan/core/random.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/live_reshard.hpp>
#include <banyan/shard/reshard_access.hpp>
#include <banyan/shard/reshard_shards.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr std::int64_t rows = 20'000;
constexpr int writers = 3;

/// One connection to one file.
class connection {
 public:
  explicit connection(const std::filesystem::path& file) {
    if (sqlite3_open(file.c_str(), &database_) != SQLITE_OK) fail();
    sqlite3_busy_timeout(database_, 10'000);
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() {
    for (sqlite3_stmt* each : prepared_) sqlite3_finalize(each);
    sqlite3_close(database_);
  }

  void run(const char* sql) const {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) != SQLITE_OK) fail();
    prepared_.push_back(statement);
    return statement;
  }
  [[nodiscard]] int changes() const { return sqlite3_changes(database_); }
  [[nodiscard]] std::string error() const { return sqlite3_errmsg(database_); }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error(sqlite3_errmsg(database_)); }
  sqlite3* database_ = nullptr;
  std::vector<sqlite3_stmt*> prepared_;
};

/// What live_reshard asks of a store, in SQL: one table, a version to each row, a null for what was deleted.
class sqlite_shard {
 public:
  using key_type = std::int64_t;
  using value_type = std::string;
  using error_type = std::string;
  using record = banyan::reshard_record<std::string>;

  explicit sqlite_shard(const std::filesystem::path& file) : connection_{file} {
    connection_.run("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT)");
    select_ = connection_.prepare("SELECT version, body FROM item WHERE id = ?");
    insert_ = connection_.prepare("INSERT INTO item VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    update_ = connection_.prepare("UPDATE item SET version = ?2, body = ?3 WHERE id = ?1 AND version = ?4");
    page_ = connection_.prepare("SELECT id, version, body FROM item WHERE id > ? ORDER BY id LIMIT ?");
  }

  banyan::expected<record, std::string> read(std::int64_t key) {
    const use statement{*this, select_};
    sqlite3_bind_int64(select_, 1, key);
    const int result = sqlite3_step(select_);
    if (result == SQLITE_DONE) return record{};
    if (result != SQLITE_ROW) return banyan::unexpected{connection_.error()};
    return row(select_, 0);
  }

  banyan::expected<bool, std::string> put_if(std::int64_t key, std::uint64_t version, const record& given) {
    sqlite3_stmt* const how = version == 0 ? insert_ : update_;
    const use statement{*this, how};
    sqlite3_bind_int64(how, 1, key);
    sqlite3_bind_int64(how, 2, static_cast<std::int64_t>(given.version));
    if (given.value) sqlite3_bind_text(how, 3, given.value->data(), static_cast<int>(given.value->size()), nullptr);
    if (version != 0) sqlite3_bind_int64(how, 4, static_cast<std::int64_t>(version));
    if (sqlite3_step(how) != SQLITE_DONE) return banyan::unexpected{connection_.error()};
    return connection_.changes() == 1;
  }

  banyan::expected<banyan::reshard_page<std::int64_t, std::string>, std::string> scan(const std::string& cursor,
                                                                                      std::size_t limit) {
    const use statement{*this, page_};
    sqlite3_bind_int64(page_, 1, cursor.empty() ? -1 : std::stoll(cursor));
    sqlite3_bind_int64(page_, 2, static_cast<std::int64_t>(limit));
    banyan::reshard_page<std::int64_t, std::string> page;
    int result = SQLITE_ROW;
    while ((result = sqlite3_step(page_)) == SQLITE_ROW) {
      page.records.emplace_back(sqlite3_column_int64(page_, 0), row(page_, 1));
    }
    if (result != SQLITE_DONE) return banyan::unexpected{connection_.error()};
    if (page.records.size() == limit) page.next = std::to_string(page.records.back().first);
    return page;
  }

 private:
  // A connection serves one thread at a time.
  struct use {
    use(sqlite_shard& of, sqlite3_stmt* which) : turn{of.one_at_a_time_}, statement{which} {}
    use(const use&) = delete;
    use& operator=(const use&) = delete;
    ~use() {
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    }
    std::lock_guard<std::mutex> turn;
    sqlite3_stmt* statement;
  };

  static record row(sqlite3_stmt* statement, int column) {
    record found{static_cast<std::uint64_t>(sqlite3_column_int64(statement, column)), std::nullopt};
    if (sqlite3_column_type(statement, column + 1) != SQLITE_NULL) {
      found.value = reinterpret_cast<const char*>(sqlite3_column_text(statement, column + 1));
    }
    return found;
  }

  connection connection_;
  std::mutex one_at_a_time_;
  sqlite3_stmt* select_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* update_ = nullptr;
  sqlite3_stmt* page_ = nullptr;
};

/// Where the driver saves its state: a row, replaced only by a later revision.
class journal {
 public:
  explicit journal(const std::filesystem::path& file) : connection_{file} {
    connection_.run("CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY, revision INTEGER, body TEXT)");
    save_ = connection_.prepare(
        "INSERT INTO state VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET revision = ?1, body = ?2 "
        "WHERE revision < ?1");
    load_ = connection_.prepare("SELECT body FROM state");
  }
  bool save(std::uint64_t revision, std::string_view text) {
    sqlite3_bind_int64(save_, 1, static_cast<std::int64_t>(revision));
    sqlite3_bind_text(save_, 2, text.data(), static_cast<int>(text.size()), nullptr);
    const bool done = sqlite3_step(save_) == SQLITE_DONE && connection_.changes() == 1;
    sqlite3_reset(save_);
    return done;
  }
  banyan::reshard_state load() {
    if (sqlite3_step(load_) != SQLITE_ROW) throw std::runtime_error("nothing saved");
    const auto state = banyan::parse_reshard_state(reinterpret_cast<const char*>(sqlite3_column_text(load_, 0)));
    sqlite3_reset(load_);
    if (!state) throw std::runtime_error("the saved state is damaged");
    return *state;
  }

 private:
  connection connection_;
  sqlite3_stmt* save_ = nullptr;
  sqlite3_stmt* load_ = nullptr;
};

using router = banyan::hash_router<std::int64_t>;
using shards = banyan::reshard_shards<router, sqlite_shard>;
using access = banyan::reshard_access<shards>;

/// Writes rows of its own, whose number is `which` modulo `writers`, and knows what they should be.
struct writer {
  void run(access& store, const std::atomic<bool>& stop) {
    banyan::splitmix64 random{which};
    while (!stop.load()) {
      const auto turn = static_cast<std::int64_t>(banyan::random_below(random, rows / writers));
      const std::int64_t id = turn * writers + static_cast<std::int64_t>(which);
      const bool deletes = banyan::random_below(random, 4) == 0;
      const std::string body = "item " + std::to_string(id) + ", change " + std::to_string(writes);
      const auto done = deletes ? store.erase(id) : store.put(id, body);
      if (!done) {
        ++failed;
        continue;
      }
      known[id] = deletes ? std::nullopt : std::optional{body};
      ++writes;
      // What has been written is what is read.
      const auto seen = store.read(id);
      if (!seen || *seen != known[id]) ++stale;
    }
  }

  std::uint64_t which = 0;
  std::map<std::int64_t, std::optional<std::string>> known{};
  std::uint64_t writes = 0;
  std::uint64_t failed = 0;
  std::uint64_t stale = 0;
};

template <class Result>
auto must(Result&& result) {
  if (!result) throw std::runtime_error("the driver failed: " + result.error().cause.value_or("not the store's fault"));
  return *std::forward<Result>(result);
}

class move {
 public:
  explicit move(const std::filesystem::path& folder)
      : files_{sqlite_shard{folder / "0.db"}, sqlite_shard{folder / "1.db"}, sqlite_shard{folder / "2.db"},
               sqlite_shard{folder / "3.db"}},
        journal_{folder / "journal.db"} {}

  int run() {
    fill();
    std::vector<writer> work(writers);
    std::atomic<bool> stop{false};
    store_.adopt({1, 1, banyan::reshard_phase::prepared});
    std::vector<std::thread> threads;
    for (int i = 0; i < writers; ++i) {
      work[static_cast<std::size_t>(i)].which = static_cast<std::uint64_t>(i);
      threads.emplace_back([&, i] { work[static_cast<std::size_t>(i)].run(store_, stop); });
    }
    try {
      drive();
    } catch (...) {
      stop.store(true);
      for (std::thread& each : threads) each.join();
      throw;
    }
    stop.store(true);
    for (std::thread& each : threads) each.join();
    return verify(work);
  }

 private:
  using driver = banyan::live_reshard<shards, shards, std::function<bool(std::uint64_t, std::string_view)>>;

  void fill() {
    std::int64_t moving = 0;
    for (std::int64_t id = 0; id < rows; ++id) {
      if (!before_.put_if(id, 0, {1, "item " + std::to_string(id)})) throw std::runtime_error("cannot fill");
      moving += moves_(id) ? 1 : 0;
    }
    std::printf("%lld rows on 3 shards; %.1f %% of them move to the fourth\n", static_cast<long long>(rows),
                100.0 * static_cast<double>(moving) / static_cast<double>(rows));
  }

  [[nodiscard]] banyan::reshard_options options() const {
    return {.source_version = old_.version(), .target_version = new_.version(), .batch = 200};
  }
  [[nodiscard]] std::function<bool(std::uint64_t, std::string_view)> save() {
    return [this](std::uint64_t revision, std::string_view text) { return journal_.save(revision, text); };
  }

  void drive() {
    {
      driver first{before_, after_, save(), options(), moves_};
      while (first.phase() != banyan::reshard_phase::backfill || first.state().copied < 1'000) go_on(first);
      std::printf("  the driver dies in %s, after %llu rows\n", to_string(first.phase()).data(),
                  static_cast<unsigned long long>(first.state().copied));
    }
    driver second{before_, after_, save(), options(), journal_.load(), moves_};
    std::printf("  another goes on from there, after %llu rows\n",
                static_cast<unsigned long long>(second.state().copied));
    while (!second.settled()) go_on(second);
    const auto& state = second.state();
    std::printf("  %s: %llu rows copied, %llu compared, %llu repaired, %llu conflicts\n", to_string(state.phase).data(),
                static_cast<unsigned long long>(state.copied), static_cast<unsigned long long>(state.verified),
                static_cast<unsigned long long>(state.repaired), static_cast<unsigned long long>(state.conflicts));
  }

  // There is one process here; else each would be told, and asked.
  void go_on(driver& reshard) {
    const std::uint64_t step = reshard.step_number();
    store_.adopt(reshard.announcement());
    if (!store_.wait_settled(step, banyan::steady_clock::now() + std::chrono::seconds{10}))
      throw std::runtime_error("a call hangs");
    if (!reshard.confirm(step)) throw std::runtime_error("cannot save");
    if (must(reshard.step()) != banyan::reshard_progress::ready) return;
    // Some time under each phase, for the writers to find what is wrong with it.
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    std::printf("  %s", to_string(reshard.phase()).data());
    std::printf(" -> %s\n", to_string(must(reshard.advance()).phase).data());
  }

  int verify(const std::vector<writer>& work) {
    std::map<std::int64_t, std::optional<std::string>> expected;
    std::uint64_t writes = 0;
    std::uint64_t wrong = 0;
    for (const writer& each : work) {
      expected.insert(each.known.begin(), each.known.end());
      writes += each.writes;
      wrong += each.stale + each.failed;
    }
    std::array<std::int64_t, 4> held{};
    for (std::int64_t id = 0; id < rows; ++id) {
      const auto changed = expected.find(id);
      const auto should = changed == expected.end() ? std::optional{"item " + std::to_string(id)} : changed->second;
      const auto is = after_.read(id);
      if (!is || is->value != should) ++wrong;
      if (is && is->value) ++held[new_.route(id)];
    }
    std::printf("%llu writes meanwhile to %zu rows; all %lld rows verified, %llu wrong\n",
                static_cast<unsigned long long>(writes), expected.size(), static_cast<long long>(rows),
                static_cast<unsigned long long>(wrong));
    std::printf("rows now: %lld, %lld, %lld, %lld\n", static_cast<long long>(held[0]), static_cast<long long>(held[1]),
                static_cast<long long>(held[2]), static_cast<long long>(held[3]));
    return wrong == 0 ? 0 : 1;
  }

  std::array<sqlite_shard, 4> files_;
  journal journal_;
  router old_ = router::consistent({0, 1, 2});
  router new_ = old_.add(3);
  std::function<bool(const std::int64_t&)> moves_ = [this](const std::int64_t& id) {
    return old_.route(id) != new_.route(id);
  };
  shards before_{old_, {{0, &files_[0]}, {1, &files_[1]}, {2, &files_[2]}}, "no shard"};
  shards after_{new_, {{0, &files_[0]}, {1, &files_[1]}, {2, &files_[2]}, {3, &files_[3]}}, "no shard"};
  access store_{before_, after_, 1, moves_};
};

}  // namespace

int main() try {
  const auto folder =
      std::filesystem::temp_directory_path() / ("banyan_sharded_" + std::to_string(std::random_device{}()));
  std::filesystem::create_directory(folder);
  struct remove_at_end {
    std::filesystem::path folder;
    ~remove_at_end() {
      std::error_code ignored;
      std::filesystem::remove_all(folder, ignored);
    }
  } const at_end{folder};
  return move{folder}.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "sharded_sqlite: %s\n", error.what());
  return 1;
}
