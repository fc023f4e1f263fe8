// A connection pool inside an event loop, Asio's: one thread runs everything, and the pool has none of its own.
//
// * Tasks of the pool, and coroutines that it resumes, run on the io_context, through an executor of three lines.
// * What falls due in the pool is done by a coroutine that sleeps on a timer until then.
// * Coroutines wait for connections with `co_await pool.acquire_awaitable()`, in any coroutine type; the one here, and
//   what it needs to wait for Asio's operations, take some fifty lines.
//
// Sixty clients share four TCP connections to a server, which runs in the same loop and takes 5 ms for each answer.
#include <array>
#include <asio.hpp>
#include <banyan/pool.hpp>
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using banyan::steady_clock;

/// Runs the pool's tasks on the event loop.
struct asio_executor {
  template <class Task>
  void execute(Task&& work) const {
    asio::post(*loop, std::forward<Task>(work));
  }
  asio::io_context* loop;
};

/// The simplest coroutine: starts at once, nobody waits for it, and it ends by itself.
struct coroutine {
  struct promise_type {
    coroutine get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

/// What Asio's operations call when they are done, made something to wait for: `co_await done<std::size_t>(start)`
/// calls `start(handler)` and returns the operation's error and result.
template <class Result, class Start>
class completion {
 public:
  explicit completion(Start start) : start_(std::move(start)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    start_([this, waiting](std::error_code error, Result result = {}) {
      error_ = error;
      result_ = std::move(result);
      waiting.resume();
    });
  }
  std::pair<std::error_code, Result> await_resume() { return {error_, std::move(result_)}; }

 private:
  Start start_;
  std::error_code error_;
  Result result_{};
};

struct nothing {};

template <class Result = nothing, class Start>
completion<Result, Start> done(Start start) {
  return completion<Result, Start>(std::move(start));
}

auto sleep_until(asio::steady_timer& timer, steady_clock::time_point when) {
  timer.expires_at(when);
  return done([&timer](auto handler) { timer.async_wait(std::move(handler)); });
}

using message = std::array<char, 16>;

auto read(tcp::socket& from, message& to) {
  return done<std::size_t>([&](auto handler) { asio::async_read(from, asio::buffer(to), std::move(handler)); });
}
auto write(tcp::socket& to, const message& from) {
  return done<std::size_t>([&](auto handler) { asio::async_write(to, asio::buffer(from), std::move(handler)); });
}

// ---- the server

/// Answers each message with the same, until the client goes away.
coroutine serve(tcp::socket client) {
  asio::steady_timer timer(client.get_executor());
  message text{};
  for (;;) {
    const auto [error, size] = co_await read(client, text);
    if (error) co_return;
    co_await sleep_until(timer, steady_clock::now() + 5ms);
    co_await write(client, text);
  }
}

coroutine listen(tcp::acceptor& server) {
  for (;;) {
    tcp::socket client(server.get_executor());
    const auto accepted = co_await done([&](auto handler) { server.async_accept(client, std::move(handler)); });
    if (accepted.first) co_return;
    serve(std::move(client));
  }
}

// ---- its users

using pool_type = banyan::connection_pool<tcp::socket>;

struct tally {
  int clients = 0;  // still at work
  int answered = 0;
  int failed = 0;
};

coroutine use(pool_type& pool, tally& all, int requests) {
  ++all.clients;
  for (int i = 0; i < requests; ++i) {
    message text{"hello"};
    std::error_code error;
    {
      auto connection = co_await pool.acquire_awaitable();
      if (connection) {
        error = (co_await write(**connection, text)).first;
        if (!error) error = (co_await read(**connection, text)).first;
        if (error) connection->discard();
      } else {
        error = std::make_error_code(std::errc::timed_out);
      }
    }
    ++(error ? all.failed : all.answered);
  }
  --all.clients;
}

/// Does what falls due in the pool, as long as it is `on`.
coroutine maintain(pool_type& pool, asio::steady_timer& timer, const bool& on) {
  while (on) co_await sleep_until(timer, pool.maintain());
}

/// Borrows all there are, and shows what one more is told who waits for 30 ms only.
coroutine wait_in_vain(pool_type& pool, tally& all, std::size_t connections) {
  ++all.clients;
  std::vector<banyan::lease<tcp::socket>> held;
  while (held.size() < connections) {
    auto next = co_await pool.acquire_awaitable();
    if (!next) break;
    held.push_back(std::move(*next));
  }
  const auto start = steady_clock::now();
  const auto late = co_await pool.acquire_awaitable({.timeout = 30ms});
  std::printf("one too many: \"%s\" after %.0f ms\n", late ? "served" : late.error().message(),
              std::chrono::duration<double, std::milli>(steady_clock::now() - start).count());
  --all.clients;
}

std::string threads() {
  std::error_code none;
  const auto folder = std::filesystem::directory_iterator("/proc/self/task", none);
  return none ? "?" : std::to_string(std::distance(begin(folder), end(folder)));
}

/// Runs the loop until all clients are done.
void run(asio::io_context& loop, const tally& all) {
  while (all.clients != 0) loop.run_one();
}

}  // namespace

int main() try {
  constexpr std::size_t connections = 4;
  constexpr int clients = 60;
  constexpr int requests = 5;

  asio::io_context loop;
  tcp::acceptor server(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  listen(server);
  asio::steady_timer timer(loop);

  tally all;
  {
    // A factory that takes its time would hold up the loop: on the loopback interface, connecting is done at once.
    // Elsewhere, give the pool an executor of threads: the same three lines over an asio::thread_pool.
    pool_type pool{[&] {
                     tcp::socket made(loop);
                     made.connect(server.local_endpoint());
                     made.set_option(tcp::no_delay(true));
                     return made;
                   },
                   {.min = 0,
                    .max = connections,
                    .executor = asio_executor{&loop},
                    .maintenance = banyan::pool_maintenance::caller,
                    .maintenance_interval = 10ms}};
    bool on = true;
    maintain(pool, timer, on);

    const auto start = steady_clock::now();
    for (int i = 0; i < clients; ++i) use(pool, all, requests);
    run(loop, all);
    const auto time = std::chrono::duration<double, std::milli>(steady_clock::now() - start);
    const auto s = pool.stats();
    std::printf("%d clients over %llu connections: %d requests answered, %d failed, in %.0f ms\n", clients,
                static_cast<unsigned long long>(s.created), all.answered, all.failed, time.count());
    std::printf("half waited %.0f ms or less for a connection, the longest %.0f ms; threads: %s\n",
                std::chrono::duration<double, std::milli>(s.acquire_times.quantile(0.5)).count(),
                std::chrono::duration<double, std::milli>(s.acquire_times.quantile(1)).count(), threads().c_str());

    wait_in_vain(pool, all, connections);
    run(loop, all);
    on = false;
    timer.cancel();
    loop.poll();  // the coroutine wakes and ends, while the pool is still there
    std::printf("closed: %s\n", pool.close() ? "all connections are back" : "some are still out");
  }
  server.close();
  loop.run();  // until those that were told to stop have stopped
  return all.answered == clients * requests ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "asio_pool: %s\n", error.what());
  return EXIT_FAILURE;
}
