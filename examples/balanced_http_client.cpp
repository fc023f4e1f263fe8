// A client that balances over three HTTP/1.1 servers, which this program starts on the loopback interface. One of them
// becomes slow for a second, another is killed and brought back. What keeps the users from noticing:
//
// * `peak_ewma` sends a request where it is likely to be answered first, and hears of each answer how long it took;
// * a request that fails is tried once more, on another server;
// * `health_checker` takes a dead server out, and lets it in again once it answers;
// * slow start gives a server that comes back its share little by little.
//
// Prints for each phase where the requests went and what the users saw.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <banyan/balance.hpp>
#include <banyan/cluster.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using banyan::steady_clock;
using time_point = steady_clock::time_point;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

/// A TCP socket on the loopback interface. Nothing blocks for ever: what may take time has a deadline, and returns
/// false when that has passed or the other side is gone.
class tcp_socket {
 public:
  tcp_socket() : tcp_socket(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (descriptor_ < 0 || ::fcntl(descriptor_, F_SETFL, O_NONBLOCK) != 0) fail("socket");
  }
  tcp_socket(tcp_socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  tcp_socket& operator=(tcp_socket&&) = delete;
  ~tcp_socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// Port 0: any that is free. Returns the port. Several sockets of this user may have the same one, as long as one
  /// listens.
  std::uint16_t bind(std::uint16_t port) {
    const int yes = 1;
    sockaddr_in at = loopback(port);
    socklen_t size = sizeof at;
    if (::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0 ||
        ::bind(descriptor_, reinterpret_cast<sockaddr*>(&at), size) != 0 ||
        ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      fail("bind");
    return ntohs(at.sin_port);
  }

  void listen() {
    if (::listen(descriptor_, 128) != 0) fail("listen");
  }

  std::optional<tcp_socket> accept(time_point deadline) {
    if (!wait(POLLIN, deadline)) return std::nullopt;
    tcp_socket connection(::accept(descriptor_, nullptr, nullptr));
    if (connection.descriptor_ < 0) return std::nullopt;  // another thread was quicker, or the client has gone
    if (::fcntl(connection.descriptor_, F_SETFL, O_NONBLOCK) != 0) return std::nullopt;
    return std::optional(std::move(connection));
  }

  bool connect(std::uint16_t port, time_point deadline) {
    const sockaddr_in to = loopback(port);
    if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return true;
    int error = errno;
    socklen_t size = sizeof error;
    if (error != EINPROGRESS || !wait(POLLOUT, deadline)) return false;
    return ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }

  bool send(std::string_view text, time_point deadline) {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), 0);
      if (sent >= 0) {
        text.remove_prefix(static_cast<std::size_t>(sent));
      } else if (!(again() && wait(POLLOUT, deadline))) {
        return false;
      }
    }
    return true;
  }

  /// Appends what has come. False also at the end of what the other side sends.
  bool receive(std::string& text, time_point deadline) {
    char bytes[4096];
    while (true) {
      const ssize_t received = ::recv(descriptor_, bytes, sizeof bytes, 0);
      if (received > 0) text.append(bytes, static_cast<std::size_t>(received));
      if (received >= 0) return received > 0;
      if (!(again() && wait(POLLIN, deadline))) return false;
    }
  }

 private:
  explicit tcp_socket(int descriptor) noexcept : descriptor_(descriptor) {}

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  static bool again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

  [[nodiscard]] bool wait(short event, time_point deadline) const {
    pollfd watched{descriptor_, event, 0};
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
      const int ready = ::poll(&watched, 1, static_cast<int>(std::max<long long>(left, 0)));
      if (ready > 0) return true;
      if (ready == 0 || errno != EINTR) return false;
    }
  }

  int descriptor_;
};

/// An HTTP/1.1 server with four threads and one request a connection. Its requests take a while; how long may change.
class http_server {
 public:
  explicit http_server(std::string name) : name_(std::move(name)), port_(reservation_.bind(0)) { start(); }
  ~http_server() { kill(); }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void set_service_time(std::chrono::milliseconds time) { service_time_ = time; }

  void start() {
    tcp_socket& listener = listener_.emplace();
    listener.bind(port_);
    listener.listen();
    dead_ = false;
    for (auto& thread : threads_) thread = std::async(std::launch::async, [this, &listener] { serve(listener); });
  }

  /// In the middle of things: requests that are under way get no answer, later ones no connection.
  void kill() {
    dead_ = true;
    for (auto& thread : threads_) {
      if (thread.valid()) thread.wait();
    }
    listener_.reset();
  }

 private:
  void serve(tcp_socket& listener) const {
    while (!dead_) {
      if (auto connection = listener.accept(steady_clock::now() + 20ms)) answer(*connection);
    }
  }

  void answer(tcp_socket& connection) const {
    const time_point deadline = steady_clock::now() + 1s;
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
      if (request.size() > 8192 || !connection.receive(request, deadline)) return;
    }
    if (!request.starts_with("GET /health ")) std::this_thread::sleep_for(service_time_.load());
    if (dead_) return;
    const std::string body = "hello from " + name_ + "\n";
    connection.send(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
        deadline);
  }

  std::string name_;
  tcp_socket reservation_;  // never listens: keeps the port while the server is dead, so that nobody else is given it
  std::uint16_t port_;
  std::optional<tcp_socket> listener_;
  std::atomic<bool> dead_ = false;
  std::atomic<std::chrono::milliseconds> service_time_ = 2ms;
  std::array<std::future<void>, 4> threads_;
};

/// The body that the server on `port` gives for `path`; nothing if it does not, or not in time.
std::optional<std::string> http_get(std::uint16_t port, const std::string& path, std::chrono::milliseconds timeout) {
  const time_point deadline = steady_clock::now() + timeout;
  tcp_socket connection;
  if (!connection.connect(port, deadline)) return std::nullopt;
  if (!connection.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", deadline))
    return std::nullopt;
  std::string reply;
  while (connection.receive(reply, deadline)) continue;

  constexpr std::string_view length = "\r\nContent-Length: ";
  const std::size_t head = reply.find("\r\n\r\n");
  const std::size_t field = reply.find(length);
  if (!reply.starts_with("HTTP/1.1 200 ") || head == std::string::npos || field >= head) return std::nullopt;
  const std::string body = reply.substr(head + 4);
  const bool complete = std::strtoull(reply.c_str() + field + length.size(), nullptr, 10) == body.size();
  return complete ? std::optional(body) : std::nullopt;
}

// ---- the client: this is what the example is about -----------------------------------------------------------------

struct backend {
  std::string name;
  std::uint16_t port;
};

using backends = banyan::cluster<backend>;
using balancer = banyan::balancer<backend, banyan::peak_ewma>;

/// What the users of one client, or of all, have seen.
struct experience {
  std::map<std::string, int> answered_by;
  int retries = 0;
  int errors = 0;
  std::vector<double> milliseconds;

  void add(experience& other) {
    for (const auto& [name, answers] : other.answered_by) answered_by[name] += answers;
    retries += other.retries;
    errors += other.errors;
    milliseconds.insert(milliseconds.end(), other.milliseconds.begin(), other.milliseconds.end());
  }

  double percentile(double part) {
    if (milliseconds.empty()) return 0;
    const auto at = milliseconds.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(milliseconds.size()));
    std::nth_element(milliseconds.begin(), at, milliseconds.end());
    return *at;
  }
};

/// One request of a user: GET may be repeated without harm, so it is tried twice, but not twice on the same server if
/// there is another. What happened goes back to the balancer with the token.
std::optional<std::string> balanced_get(balancer& servers, const std::string& path, experience& seen) {
  banyan::endpoint_id failed{};
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto pick = servers.pick({.avoid = failed});
    if (!pick) break;  // nobody is fit to take it
    seen.retries += attempt;
    const time_point start = steady_clock::now();
    std::optional<std::string> body = http_get(pick->port, path, 250ms);
    const time_point end = steady_clock::now();
    if (body) {
      pick.succeeded(end - start, end);
      ++seen.answered_by[pick->name];
      return body;
    }
    pick.failed(end - start, end);
    failed = pick.id();
  }
  ++seen.errors;
  return std::nullopt;
}

experience run_client(balancer& servers, time_point until) {
  experience seen;
  while (steady_clock::now() < until) {
    const time_point start = steady_clock::now();
    (void)balanced_get(servers, "/", seen);
    seen.milliseconds.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - start).count());
    std::this_thread::sleep_for(2ms);
  }
  return seen;
}

/// Eight clients for a while; `event` happens when they have begun. False if none of them got an answer.
template <class Event>
bool run_phase(const char* title, balancer& servers, std::chrono::milliseconds length, Event event) {
  const time_point until = steady_clock::now() + length;
  std::array<std::future<experience>, 8> clients;
  for (auto& client : clients)
    client = std::async(std::launch::async, [&servers, until] { return run_client(servers, until); });
  std::this_thread::sleep_for(50ms);
  event();
  experience all;
  for (auto& client : clients) {
    experience one = client.get();
    all.add(one);
  }
  std::printf("%-22s", title);
  for (const char* name : {"a", "b", "c"}) std::printf(" %6d", all.answered_by[name]);
  std::printf(" %8d %7d %8.1f %8.1f\n", all.retries, all.errors, all.percentile(0.5), all.percentile(0.99));
  return !all.answered_by.empty();
}

}  // namespace

int main() try {
  std::signal(SIGPIPE, SIG_IGN);  // a server that is gone is an error of `send`, not the end of the program
  http_server a("a");
  http_server b("b");
  http_server c("c");

  backends web({.slow_start = {.window = 300ms}, .latency_half_life = 100ms});
  for (const http_server* server : {&a, &b, &c}) web.add({server->name(), server->port()}, {.name = server->name()});
  balancer servers(web);
  banyan::health_checker checker(
      web, [](const backend& server) { return http_get(server.port, "/health", 200ms).has_value(); },
      {.interval = 50ms, .timeout = 300ms, .healthy_after = 2, .unhealthy_after = 2});

  std::printf("%-22s %20s\n", "", "requests answered by");
  std::printf("%-22s %6s %6s %6s %8s %7s %8s %8s\n", "", "a", "b", "c", "retries", "errors", "p50, ms", "p99, ms");
  bool answered = true;
  answered &= run_phase("all is well", servers, 1s, [] {});
  answered &= run_phase("b becomes slow (60 ms)", servers, 1s, [&] { b.set_service_time(60ms); });
  answered &= run_phase("b recovers, c dies", servers, 1s, [&] {
    b.set_service_time(2ms);
    c.kill();
  });
  answered &= run_phase("c is back", servers, 1500ms, [&] { c.start(); });

  const banyan::health_checker_stats checks = checker.stats();
  std::printf("\n%llu probes passed, %llu failed; health changed %llu times\n",
              static_cast<unsigned long long>(checks.passed), static_cast<unsigned long long>(checks.failed),
              static_cast<unsigned long long>(checks.changes));
  return answered ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "balanced_http_client: %s\n", error.what());
  return EXIT_FAILURE;
}
