// A connection pool over a real PostgreSQL server, which this program starts for itself and kills on the way:
//
// 1. what a request costs with a connection of its own, and with one from the pool;
// 2. many threads on few connections, served in the order in which they come;
// 3. kill -9 of the server in between: what its users see, how soon they are served again, and that no connection is
//    lost, neither in the pool nor at the server.
//
// Where no PostgreSQL is installed, it says so and ends.
#include <algorithm>
#include <atomic>
#include <banyan/adapters/libpq.hpp>
#include <banyan/pool.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "private_postgres.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::pq_connection;
using banyan::steady_clock;
using pool_type = banyan::connection_pool<pq_connection>;

constexpr int accounts = 1'000;

double ms(std::chrono::duration<double, std::milli> d) { return d.count(); }

void create_tables(const std::string& conninfo) {
  pq_connection c = pq_connection::connect(conninfo);
  c.exec("create table account (id int primary key, balance int not null)");
  c.exec_params("insert into account select n, 100 from generate_series(1, $1::int) n", {std::to_string(accounts)});
}

/// What a request asks the database for.
int balance_of(pq_connection& c, int account) {
  const banyan::pq_result found = c.exec_params("select balance from account where id = $1", {std::to_string(account)});
  if (found.rows() != 1) throw std::runtime_error("no such account");
  return std::stoi(std::string(found.value(0, 0).value()));
}

/// The same, with a connection from the pool. False: it failed, and a service would tell its user so.
bool handle_request(pool_type& pool, int account) {
  auto c = pool.acquire();
  if (!c) return false;
  try {
    balance_of(**c, account);
    return true;
  } catch (const banyan::pq_error&) {
    if ((*c)->status() != CONNECTION_OK) c->discard();  // not only refused: broken
    return false;
  }
}

template <class F>
std::chrono::nanoseconds time_of(F f) {
  const auto start = steady_clock::now();
  f();
  return steady_clock::now() - start;
}

void compare_with_connection_each(pool_type& pool, const std::string& conninfo) {
  constexpr int requests = 100;
  const auto each = time_of([&] {
    for (int i = 0; i < requests; ++i) {
      pq_connection c = pq_connection::connect(conninfo);
      balance_of(c, i + 1);
    }
  });
  const auto pooled = time_of([&] {
    for (int i = 0; i < requests; ++i) {
      if (!handle_request(pool, i + 1)) throw std::runtime_error("a request failed");
    }
  });
  std::printf("%d requests, a connection each   %8.1f ms\n", requests, ms(each));
  std::printf("%d requests, pooled              %8.1f ms   %.0f times as fast\n\n", requests, ms(pooled),
              ms(each) / ms(pooled));
}

void print(const banyan::pool_stats& s) {
  std::printf(
      "  pool: %zu idle, %zu in use, %zu opening, %zu waiting; %llu created, %llu closed, %llu failed to open\n",
      s.idle, s.in_use, s.opening, s.waiting, static_cast<unsigned long long>(s.created),
      static_cast<unsigned long long>(s.closed_in_all()), static_cast<unsigned long long>(s.open_failures));
}

void many_threads(pool_type& pool) {
  constexpr int threads = 32;
  constexpr int requests = 100;  // of each thread
  std::atomic<int> failed = 0;
  const auto before = pool.stats();
  const auto time = time_of([&] {
    std::vector<std::future<void>> users;
    for (int t = 0; t < threads; ++t) {
      users.push_back(std::async(std::launch::async, [&pool, &failed, t] {
        for (int i = 0; i < requests; ++i) failed += handle_request(pool, (t * requests + i) % accounts + 1) ? 0 : 1;
      }));
    }
  });
  const auto after = pool.stats();
  std::printf("%d threads: %d requests in %.0f ms, %d failed, %llu had to wait\n", threads, threads * requests,
              ms(time), failed.load(), static_cast<unsigned long long>(after.waited - before.waited));
  std::printf("  time to a connection: half within %.2f ms, 99 of 100 within %.2f ms\n",
              ms(after.acquire_times.quantile(0.5)), ms(after.acquire_times.quantile(0.99)));
  print(after);
  std::printf("\n");
}

/// What happened to the requests that ended in the same tenth of a second.
struct tenth {
  std::atomic<int> answered = 0;
  std::atomic<int> failed = 0;
};

/// The time at which the first request was answered that began after `from`.
class first_answer {
 public:
  void watch_from(steady_clock::time_point from) { from_ = from.time_since_epoch().count(); }
  void answered(steady_clock::time_point now) {
    const auto from = from_.load();
    steady_clock::rep none = 0;
    if (from != 0 && now.time_since_epoch().count() >= from) {
      at_.compare_exchange_strong(none, now.time_since_epoch().count());
    }
  }
  [[nodiscard]] std::chrono::nanoseconds after() const { return steady_clock::duration(at_ - from_); }

 private:
  std::atomic<steady_clock::rep> from_ = 0;
  std::atomic<steady_clock::rep> at_ = 0;
};

void kill_the_server(pool_type& pool, private_postgres& server) {
  constexpr int threads = 16;
  std::vector<tenth> tenths(200);
  first_answer back;
  std::atomic<bool> stop = false;
  std::vector<std::future<void>> users;  // end when `stop` is set, also when something below throws
  struct setter {
    std::atomic<bool>& flag;
    ~setter() { flag = true; }
  } const at_the_end{stop};
  const auto start = steady_clock::now();
  for (int t = 0; t < threads; ++t) {
    users.push_back(std::async(std::launch::async, [&, t] {
      for (int i = t; !stop; ++i) {
        const bool answered = handle_request(pool, i % accounts + 1);
        const auto now = steady_clock::now();
        tenth& ended = tenths[std::min(static_cast<std::size_t>((now - start) / 100ms), tenths.size() - 1)];
        ++(answered ? ended.answered : ended.failed);
        if (answered) back.answered(now);
        std::this_thread::sleep_for(2ms);
      }
    }));
  }

  std::this_thread::sleep_for(500ms);
  server.kill();
  const auto killed = steady_clock::now();
  std::this_thread::sleep_for(1s);
  server.start();
  const auto started = steady_clock::now();
  back.watch_from(started);
  std::this_thread::sleep_for(1s);
  stop = true;
  users.clear();

  std::printf("kill -9 of the server after %.0f ms; it takes connections again after %.0f ms\n", ms(killed - start),
              ms(started - start));
  std::printf("  requests in each tenth of a second, answered (failed):\n ");
  for (std::size_t i = 0; i < tenths.size(); ++i) {
    const int answered = tenths[i].answered;
    const int failed = tenths[i].failed;
    if (start + i * 100ms > steady_clock::now() || (answered + failed == 0 && start + i * 100ms > started + 1s)) break;
    failed == 0 ? std::printf(" %d", answered) : std::printf(" %d (%d)", answered, failed);
  }
  std::printf("\n  first answer %.0f ms after the server takes connections again\n", ms(back.after()));
  print(pool.stats());
}

/// Whether as many connections are open as the pool knows of: counted by the server.
bool nothing_lost(pool_type& pool, const std::string& conninfo) {
  const auto s = pool.stats();
  pq_connection observer = pq_connection::connect(conninfo);
  const auto count = observer.exec(
      "select count(*) from pg_stat_activity where backend_type = 'client backend' and "
      "pid <> pg_backend_pid()");
  const auto open = static_cast<std::size_t>(std::stoul(std::string(count.value(0, 0).value())));
  std::printf("  server: %zu connections of the pool\n", open);
  return s.in_use == 0 && s.waiting == 0 && s.created - s.closed_in_all() == s.idle && open == s.idle;
}

}  // namespace

int main() try {
  private_postgres server;
  if (!server.missing().empty()) {
    std::printf("%s\n", server.missing().c_str());
    return EXIT_SUCCESS;
  }
  create_tables(server.conninfo());

  // So many connections are enough to keep a server of two cores busy.
  constexpr std::size_t connections = banyan::pool_size_for(2, 0);
  const std::string conninfo = server.conninfo() + " connect_timeout=2 tcp_user_timeout=2000";
  pool_type pool{[&] { return pq_connection::connect(conninfo); },
                 {.min = connections,
                  .max = connections,
                  .acquire_timeout = 5s,
                  .validate = [](pq_connection& c) { return c.is_alive(); },
                  .backoff_cap = 250ms,  // asks a server that is down four to eight times a second
                  .on_return = [](pq_connection& c) { c.end_transaction(); }}};

  compare_with_connection_each(pool, conninfo);
  many_threads(pool);
  kill_the_server(pool, server);
  const bool kept = nothing_lost(pool, conninfo);
  const bool closed = pool.close(2s);
  std::printf("%s\n", kept && closed ? "no connection was lost" : "CONNECTIONS WERE LOST");
  return kept && closed ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "postgres_pool: %s\n", error.what());
  return EXIT_FAILURE;
}
