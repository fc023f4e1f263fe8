// Connection pools over an embedded database, a SQLite file in WAL mode: one for readers, and one of a single
// connection for writers, as SQLite lets one write at a time. Prints what requests cost when each opens the file for
// itself, and with the pools; connections in the pools keep their prepared statements.
#include <algorithm>
#include <atomic>
#include <banyan/adapters/sqlite.hpp>
#include <banyan/pool.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using banyan::steady_clock;

constexpr int products = 10'000;
constexpr int reading_threads = 6;
constexpr int writing_threads = 4;
constexpr int reads = 500;   // of each thread
constexpr int orders = 100;  // of each thread

/// What a request for reading needs: a connection, and its statement, compiled once.
struct reader {
  explicit reader(const std::string& file) : database(file, {.read_only = true}) {}

  std::string name_of(int product) {
    by_id.reset();
    by_id.bind(1, product);
    if (!by_id.step()) throw std::runtime_error("no such product");
    std::string name{by_id.text(0)};
    by_id.reset();  // or the transaction would stay open, and the log could not be cut
    return name;
  }

  banyan::sqlite_connection database;
  banyan::sqlite_statement by_id = database.prepare("select name from product where id = ?");
};

struct writer {
  explicit writer(const std::string& file) : database(file, {.busy_timeout = 10s}) {
    database.exec("pragma synchronous = normal");
  }

  void order(int product) {
    // Immediate: it is going to write, so it takes its turn now. One that began by reading could be refused later.
    database.exec("begin immediate");
    insert.run(product);
    take.run(product);
    database.exec("commit");
  }

  banyan::sqlite_connection database;
  banyan::sqlite_statement insert = database.prepare("insert into purchase (product) values (?)");
  banyan::sqlite_statement take = database.prepare("update product set stock = stock - 1 where id = ?");
};

/// A folder for the database, removed at the end.
struct temporary_folder {
  temporary_folder() { std::filesystem::create_directory(path); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("banyan_sqlite_pool_" + std::to_string(std::random_device{}()));
};

void create_tables(const std::string& file) {
  banyan::sqlite_connection database(file);
  database.exec(
      "pragma journal_mode = wal;"
      "create table product (id integer primary key, name text not null, stock integer not null);"
      "create table purchase (id integer primary key, product integer not null);"
      "begin");
  banyan::sqlite_statement insert = database.prepare("insert into product values (?, ?, 1000)");
  for (int id = 1; id <= products; ++id) insert.run(id, "product number " + std::to_string(id));
  database.exec("commit");
}

double ms(std::chrono::duration<double, std::milli> d) { return d.count(); }

struct outcome {
  std::chrono::nanoseconds reading{};  // until the last reader had finished
  std::chrono::nanoseconds writing{};
  std::chrono::nanoseconds longest_order{};
  int busy = 0;  // requests that SQLite refused in the end
};

/// All threads at once: `read(product)` and `write(product)` are the requests.
template <class Read, class Write>
outcome run(Read read, Write write) {
  const auto start = steady_clock::now();
  std::atomic<int> busy = 0;
  std::atomic<std::int64_t> longest = 0;
  std::vector<std::future<steady_clock::time_point>> readers;  // when each was done
  std::vector<std::future<steady_clock::time_point>> writers;
  for (int t = 0; t < writing_threads; ++t) {
    writers.push_back(std::async(std::launch::async, [&, t] {
      for (int i = 0; i < orders; ++i) {
        const auto began = steady_clock::now();
        try {
          write((t * orders + i) % products + 1);
        } catch (const banyan::sqlite_error& error) {
          if (error.code() != SQLITE_BUSY) throw;
          ++busy;
        }
        const std::int64_t took = std::chrono::nanoseconds(steady_clock::now() - began).count();
        for (auto most = longest.load(); took > most && !longest.compare_exchange_weak(most, took);) continue;
      }
      return steady_clock::now();
    }));
  }
  for (int t = 0; t < reading_threads; ++t) {
    readers.push_back(std::async(std::launch::async, [&, t] {
      for (int i = 0; i < reads; ++i) read((t * reads + i * 7) % products + 1);
      return steady_clock::now();
    }));
  }
  outcome result;
  for (auto& each : readers) result.reading = std::max<std::chrono::nanoseconds>(result.reading, each.get() - start);
  for (auto& each : writers) result.writing = std::max<std::chrono::nanoseconds>(result.writing, each.get() - start);
  result.longest_order = std::chrono::nanoseconds(longest);
  result.busy = busy;
  return result;
}

void print(const char* how, const outcome& o) {
  std::printf("%-18s  %d reads in %6.0f ms   %d orders in %6.0f ms, the longest %6.1f ms, %d refused\n", how,
              reading_threads * reads, ms(o.reading), writing_threads * orders, ms(o.writing), ms(o.longest_order),
              o.busy);
}

void print(const char* what, const banyan::pool_stats& s) {
  std::printf("  %s: %llu opened, %llu lent, %llu of these after a wait, 99 of 100 within %.2f ms\n", what,
              static_cast<unsigned long long>(s.created), static_cast<unsigned long long>(s.borrowed),
              static_cast<unsigned long long>(s.waited), ms(s.acquire_times.quantile(0.99)));
}

template <class Lease>
auto& checked(Lease& lease) {
  if (!lease) throw std::runtime_error(lease.error().message());
  return **lease;
}

}  // namespace

int main() try {
  const temporary_folder folder;
  const std::string file = (folder.path / "shop.db").string();
  create_tables(file);

  print("opened each time",
        run([&](int product) { reader(file).name_of(product); }, [&](int product) { writer(file).order(product); }));

  banyan::connection_pool<reader> readers{
      [&] { return reader(file); }, {.min = 4, .max = 4, .on_return = [](reader& r) { r.database.reset_session(); }}};
  banyan::connection_pool<writer> writers{
      [&] { return writer(file); }, {.min = 1, .max = 1, .on_return = [](writer& w) { w.database.reset_session(); }}};
  print("pooled", run(
                      [&](int product) {
                        auto r = readers.acquire();
                        checked(r).name_of(product);
                      },
                      [&](int product) {
                        auto w = writers.acquire();
                        checked(w).order(product);
                      }));
  print("readers", readers.stats());
  print("writers", writers.stats());

  // Each order took one from the stock, once.
  banyan::sqlite_connection database(file);
  banyan::sqlite_statement sums =
      database.prepare("select (select count(*) from purchase), (select count(*) * 1000 - sum(stock) from product)");
  if (!sums.step()) return EXIT_FAILURE;
  std::printf("%lld orders in the database, %lld taken from the stock\n", static_cast<long long>(sums.integer(0)),
              static_cast<long long>(sums.integer(1)));
  return sums.integer(0) == sums.integer(1) ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "sqlite_pool: %s\n", error.what());
  return EXIT_FAILURE;
}
