// Cache-aside over a real SQLite file: a service looks products up by number, and a cache in front of the database
// keeps the ones in demand. Prints how often it helped, and what a hit and a miss cost.
#include <sqlite3.h>

#include <algorithm>
#include <banyan/cache.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int rows = 100'000;
constexpr std::size_t capacity = 5'000;
constexpr int lookups = 200'000;

class product_database {
 public:
  explicit product_database(std::filesystem::path file) : file_(std::move(file)) {
    std::filesystem::remove(file_);
    check(sqlite3_open(file_.c_str(), &database_));
    execute("PRAGMA synchronous = OFF; CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
    execute("BEGIN");
    sqlite3_stmt* insert = prepare("INSERT INTO product VALUES (?, 'product number ' || ?)");
    for (int id = 0; id < rows; ++id) {
      check(sqlite3_bind_int(insert, 1, id));
      check(sqlite3_bind_int(insert, 2, id));
      if (sqlite3_step(insert) != SQLITE_DONE) fail();
      check(sqlite3_reset(insert));
    }
    sqlite3_finalize(insert);
    execute("COMMIT");
    select_ = prepare("SELECT name FROM product WHERE id = ?");
  }

  product_database(const product_database&) = delete;
  product_database& operator=(const product_database&) = delete;

  ~product_database() {
    sqlite3_finalize(select_);
    sqlite3_close(database_);
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }

  std::string name_of(int id) {
    check(sqlite3_bind_int(select_, 1, id));
    if (sqlite3_step(select_) != SQLITE_ROW) fail();
    std::string name = reinterpret_cast<const char*>(sqlite3_column_text(select_, 0));
    check(sqlite3_reset(select_));
    return name;
  }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error(sqlite3_errmsg(database_)); }
  void check(int result) const {
    if (result != SQLITE_OK) fail();
  }
  void execute(const char* sql) const { check(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr)); }
  sqlite3_stmt* prepare(const char* sql) const {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr));
    return statement;
  }

  std::filesystem::path file_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
};

/// Products in demand: the share of a product falls with its rank r about as 1 / r (Zipf's law).
class demand {
 public:
  explicit demand(std::uint64_t seed) : random_(seed) {}
  int next() {
    const double rank = std::exp(uniform_(random_) * std::log(static_cast<double>(rows)));
    // Ranks are strewn over the numbers: 7919 has no factor in common with the number of rows.
    return static_cast<int>(static_cast<std::int64_t>(rank) * 7919 % rows);
  }

 private:
  std::mt19937_64 random_;
  std::uniform_real_distribution<double> uniform_{0.0, 1.0};
};

double median(std::vector<double>& times) {
  if (times.empty()) return 0;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

int main() try {
  const auto file =
      std::filesystem::temp_directory_path() / ("banyan_cache_aside_" + std::to_string(std::random_device{}()) + ".db");
  product_database database(file);
  banyan::tinylfu_cache<int, std::string> cache{{.capacity = capacity}};

  demand products(20261122);
  std::vector<double> hit_times;
  std::vector<double> miss_times;
  std::size_t letters = 0;  // uses what was looked up, so that no lookup can be left out
  for (int i = 0; i < lookups; ++i) {
    const int id = products.next();
    bool missed = false;
    const auto start = std::chrono::steady_clock::now();
    const std::string name = cache.get_or_load(id, [&](int key) {
      missed = true;
      return database.name_of(key);
    });
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    (missed ? miss_times : hit_times).push_back(time.count());
    letters += name.size();
  }

  std::printf("%d rows in SQLite, %zu in the cache, %d lookups, %zu letters read\n", rows, capacity, lookups, letters);
  std::printf("hit ratio    %6.1f %%\n", 100 * cache.stats().hit_ratio());
  std::printf("hit, median  %6.2f us\n", median(hit_times) / 1000);
  std::printf("miss, median %6.2f us\n", median(miss_times) / 1000);
} catch (const std::exception& error) {
  std::fprintf(stderr, "cache_aside_sqlite: %s\n", error.what());
  return 1;
}
