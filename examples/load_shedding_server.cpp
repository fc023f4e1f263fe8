// An HTTP server that answers no to what it could not answer in time, and the proof that this helps: run with `wrk`, a
// load generator, first at what it can do and then at four times as much, with and without a `concurrency_limiter`.
//
// * Each request needs one of four workers for 10 ms, so 400 a second can be answered. Who comes while all are busy
//   waits in a queue.
// * An answer is worth something for 100 ms. Without a limit the queue makes every answer late under overload, although
//   the workers never rest: none of their work is of use.
// * With the limiter in front, requests come in only as long as latency stays near what it is without a queue; the
//   others get "503 Service Unavailable" and "Retry-After" at once, which costs some microseconds and no worker.
//   Nobody had to tell it how many workers there are.
//
// With a port as argument it serves, with the limiter, until it is killed: curl -i http://127.0.0.1:8080/
#include <unistd.h>

#include <algorithm>
#include <asio.hpp>
#include <banyan/limit.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using steady_clock = std::chrono::steady_clock;
using limiter = banyan::concurrency_limiter<banyan::gradient2>;

constexpr int workers = 4;
constexpr auto work_takes = 10ms;
constexpr auto deadline = 100ms;
constexpr std::size_t longest_request = 8192;

constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nyes";
constexpr std::string_view refusal =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno";

/// What became of the requests of a run.
struct tally {
  std::uint64_t in_time = 0;
  std::uint64_t late = 0;
  std::uint64_t refused = 0;
  std::vector<std::chrono::nanoseconds> took{};  // the answered ones
};

/// Connections are handled by the thread that runs `loop`, requests worked on by `workers` threads.
class server {
 public:
  server(asio::io_context& loop, std::uint16_t port, bool limited)
      : limited_{limited}, acceptor_{loop, {asio::ip::address_v4::loopback(), port}} {
    accept();
  }
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() {
    pool_.stop();
    pool_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] const tally& results() const { return results_; }
  [[nodiscard]] std::uint32_t limit() const { return gate_.limit(); }

 private:
  struct connection {
    explicit connection(tcp::socket from) : socket{std::move(from)} {}
    tcp::socket socket;
    asio::streambuf input{longest_request};
  };
  using shared_connection = std::shared_ptr<connection>;

  void accept() {
    acceptor_.async_accept([this](std::error_code error, tcp::socket client) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        std::error_code ignored;
        client.set_option(tcp::no_delay{true}, ignored);
        read(std::make_shared<connection>(std::move(client)));
      }
      accept();
    });
  }

  // Enough of HTTP for requests without a body; a connection that sends something else is closed sooner or later.
  void read(const shared_connection& client) {
    asio::async_read_until(client->socket, client->input, "\r\n\r\n",
                           [this, client](std::error_code error, std::size_t size) {
                             if (error) return;
                             client->input.consume(size);
                             handle(client);
                           });
  }

  void handle(const shared_connection& client) {
    const auto arrived = steady_clock::now();
    limiter::permit permit;
    if (limited_) {
      permit = gate_.try_acquire(arrived);
      if (!permit) {
        ++results_.refused;
        write(client, refusal);
        return;
      }
    }
    asio::post(pool_, [this, client, arrived, permit = std::move(permit)]() mutable {
      // With a limit this is rare; it keeps the workers from what nobody waits for any more.
      const bool expired = limited_ && steady_clock::now() - arrived > deadline;
      if (expired) {
        permit.dropped();
      } else {
        std::this_thread::sleep_for(work_takes);
        permit.succeeded(steady_clock::now() - arrived);
      }
      asio::post(acceptor_.get_executor(), [this, client, arrived, expired] { done(client, arrived, expired); });
    });
  }

  void done(const shared_connection& client, steady_clock::time_point arrived, bool expired) {
    const auto took = steady_clock::now() - arrived;
    if (expired) {
      ++results_.refused;
      write(client, refusal);
      return;
    }
    ++(took <= deadline ? results_.in_time : results_.late);
    results_.took.push_back(took);
    write(client, answer);
  }

  void write(const shared_connection& client, std::string_view text) {
    asio::async_write(client->socket, asio::buffer(text), [this, client](std::error_code error, std::size_t) {
      if (!error) read(client);
    });
  }

  bool limited_;
  limiter gate_{{.min = workers, .max = 200}};
  tcp::acceptor acceptor_;
  tally results_;
  asio::thread_pool pool_{workers};
};

// ---- the load

/// A file that is there as long as this.
class temporary_file {
 public:
  explicit temporary_file(std::string_view content) {
    const int file = ::mkstemp(path_.data());
    if (file < 0) throw std::runtime_error("no temporary file");
    const bool written = ::write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
    if (::close(file) != 0 || !written) throw std::runtime_error("cannot write a temporary file");
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { std::remove(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/load-XXXXXX";
};

/// What wrk counted.
struct client_view {
  double seconds = 0;
  std::uint64_t requests = 0;
  std::uint64_t not_ok = 0;
};

constexpr int run_seconds = 3;

// Each connection waits this long before its next request, as users do: so many connections make so much load, refused
// or not.
constexpr auto pause = 60ms;

client_view run_wrk(const std::string& script, std::uint16_t port, int connections) {
  const std::string command = "wrk -t1 -c" + std::to_string(connections) + " -d" + std::to_string(run_seconds) +
                              "s -s " + script + " http://127.0.0.1:" + std::to_string(port) + "/";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start wrk");
  client_view seen;
  char line[256];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    unsigned long long requests = 0;
    unsigned long long not_ok = 0;
    double seconds = 0;
    if (std::sscanf(line, " %llu requests in %lfs", &requests, &seconds) == 2) {
      seen.requests = requests;
      seen.seconds = seconds;
    } else if (std::sscanf(line, " Non-2xx or 3xx responses: %llu", &not_ok) == 1) {
      seen.not_ok = not_ok;
    }
  }
  if (::pclose(pipe) != 0 || !(seen.seconds > 0)) throw std::runtime_error("wrk failed");
  return seen;
}

double percentile_ms(std::vector<std::chrono::nanoseconds> of, double share) {
  if (of.empty()) return 0;
  const auto at = of.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(of.size() - 1));
  std::nth_element(of.begin(), at, of.end());
  return std::chrono::duration<double, std::milli>(*at).count();
}

double measure(const char* load, int connections, bool limited, const std::string& script) {
  asio::io_context loop{1};
  server measured{loop, 0, limited};
  const auto cpu_before = std::clock();
  std::thread runs{[&loop] { loop.run(); }};
  client_view seen;
  std::exception_ptr failure;
  try {
    seen = run_wrk(script, measured.port(), connections);
  } catch (...) {
    failure = std::current_exception();
  }
  loop.stop();
  runs.join();
  if (failure) std::rethrow_exception(failure);
  const double cpu = static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC / seen.seconds;
  const tally& results = measured.results();
  const auto a_second = [&](std::uint64_t count) { return static_cast<double>(count) / seen.seconds; };
  std::printf("%-12s %-8s %9.0f %9.0f %9.0f %9.0f %9.0f %9.1f %9.1f %9s\n", load, limited ? "yes" : "no",
              a_second(results.in_time), a_second(results.late), a_second(results.refused), a_second(seen.requests),
              a_second(seen.not_ok), percentile_ms(results.took, 0.99), cpu * 100,
              limited ? std::to_string(measured.limit()).c_str() : "-");
  std::fflush(stdout);
  return a_second(results.in_time);
}

void demonstrate() {
  if (std::system("command -v wrk >/dev/null 2>&1") != 0) {  // NOLINT(cert-env33-c, concurrency-mt-unsafe)
    std::puts("skipped: wrk is not installed");
    return;
  }
  const temporary_file script{"function delay() return " + std::to_string(pause.count()) + " end\n"};
  std::printf("%d workers, %lld ms for a request, an answer is in time within %lld ms; all figures a second\n\n",
              workers, static_cast<long long>(work_takes.count()), static_cast<long long>(deadline.count()));
  std::printf("%-12s %-8s %9s %9s %9s %9s %9s %9s %9s %9s\n", "load", "limiter", "in time", "late", "refused",
              "wrk: all", "wrk: 503", "p99 ms", "CPU %", "limit");
  constexpr int at_capacity = 28;
  constexpr int overload = 128;
  measure("capacity", at_capacity, false, script.path());
  measure("capacity", at_capacity, true, script.path());
  const double without = measure("4 x", overload, false, script.path());
  const double with = measure("4 x", overload, true, script.path());
  std::printf("\nUnder overload %.0f answers a second are in time without the limiter, %.0f with it.\n", without, with);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 1) {
      demonstrate();
    } else {
      asio::io_context loop{1};
      const server serves{loop, static_cast<std::uint16_t>(std::stoul(argv[1])), true};
      std::printf("serving on http://127.0.0.1:%d/\n", serves.port());
      std::fflush(stdout);
      loop.run();
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
