#include <banyan/pool/connection_pool.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::connection_pool;
using banyan::lease;
using banyan::testing::comes_true;
using banyan::testing::joining_thread;
using namespace std::chrono_literals;

// A socket that is closed once.
class descriptor {
 public:
  explicit descriptor(int number) : number_{number} {
    if (number_ < 0) throw std::runtime_error{"no socket"};
    ++open;
  }
  descriptor(descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
  descriptor& operator=(descriptor&&) = delete;
  ~descriptor() {
    if (number_ < 0) return;
    ::close(number_);
    --open;
  }
  [[nodiscard]] int number() const { return number_; }
  static inline std::atomic<int> open{0};

 private:
  int number_;
};

sockaddr_in on_loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Sends each byte back. Killed, it resets all its connections and refuses new ones, on the same port afterwards.
class echo_server {
 public:
  echo_server() { start(); }
  ~echo_server() { kill(); }

  void start() {
    listener_.emplace(::socket(AF_INET, SOCK_STREAM, 0));
    const int yes = 1;
    ::setsockopt(listener_->number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = on_loopback(port_);
    socklen_t size = sizeof address;
    if (::bind(listener_->number(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_->number(), 64) != 0) {
      throw std::runtime_error{"cannot listen"};
    }
    ::getsockname(listener_->number(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    stopping_ = false;
    thread_.emplace([this] { serve(); });
  }

  void kill() {
    stopping_ = true;
    thread_.reset();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void serve() {
    std::vector<descriptor> clients;
    while (!stopping_) {
      std::vector<pollfd> watched{{listener_->number(), POLLIN, 0}};
      for (const auto& each : clients) watched.push_back({each.number(), POLLIN, 0});
      if (::poll(watched.data(), watched.size(), 1) <= 0) continue;
      std::vector<descriptor> staying;
      for (std::size_t i = 0; i < clients.size(); ++i) {
        char byte = 0;
        if (watched[i + 1].revents == 0 || (::recv(clients[i].number(), &byte, 1, 0) == 1 &&
                                            ::send(clients[i].number(), &byte, 1, MSG_NOSIGNAL) == 1)) {
          staying.push_back(std::move(clients[i]));
        }
      }
      clients.swap(staying);
      if (watched[0].revents != 0) {
        const int client = ::accept(listener_->number(), nullptr, nullptr);
        if (client >= 0) clients.emplace_back(client);
      }
    }
    // As a killed process does: no farewell on any of them.
    const linger at_once{1, 0};
    for (const auto& each : clients) {
      ::setsockopt(each.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    clients.clear();
    listener_.reset();
  }

  std::optional<descriptor> listener_;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<bool> stopping_{false};
  std::optional<joining_thread> thread_;
};

class client {
 public:
  explicit client(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address = on_loopback(port);
    if (::connect(socket_.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error{"refused"};
    }
    const timeval patience{5, 0};
    ::setsockopt(socket_.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!ping()) throw std::runtime_error{"no answer"};
  }
  [[nodiscard]] bool ping() const {
    const char sent = 'x';
    char back = 0;
    return ::send(socket_.number(), &sent, 1, MSG_NOSIGNAL) == 1 && ::recv(socket_.number(), &back, 1, 0) == 1 &&
           back == sent;
  }

 private:
  descriptor socket_;
};

}  // namespace

TEST_CASE("pool with a server: killed and started again a hundred times", "[pool]") {
  const int before = descriptor::open;
  {
    echo_server server;
    banyan::pool_options<client> o;
    o.min = 2;
    o.max = 4;
    o.backoff_base = 1ms;
    o.backoff_cap = 4ms;
    o.maintenance_interval = 1ms;
    o.validate_after = 0s;
    o.validate = [](client& c) { return c.ping(); };
    connection_pool<client> pool{[&] { return client{server.port()}; }, std::move(o)};
    const auto works = [&] {
      auto got = pool.acquire({.timeout = 30s});
      if (!got) return false;
      if ((*got)->ping()) return true;
      (*got).discard();
      return false;
    };
    REQUIRE(works());
    for (int i = 0; i < 100; ++i) {
      {
        std::vector<lease<client>> out;  // some are lent, some idle, at the time
        for (int n = 0; n < i % 4; ++n) {
          if (auto got = pool.acquire({.timeout = 30s})) out.push_back(std::move(*got));
        }
        REQUIRE(out.size() == static_cast<std::size_t>(i % 4));
        server.kill();
        for (auto& each : out) {
          CHECK_FALSE(each->ping());
          if (i % 2 == 0) each.discard();
        }
      }
      // While it is down nobody is given a connection, and everybody is told why.
      const auto refused = pool.acquire({.timeout = 3ms});
      CHECK_FALSE(refused);
      const auto tries = pool.stats().open_failures;
      const auto until = std::chrono::steady_clock::now() + 2ms;
      const auto waiting = pool.acquire({.timeout = 2ms});
      CHECK_FALSE(waiting);
      // One prober at a time, with pauses of at least a quarter of a millisecond between.
      if (std::chrono::steady_clock::now() < until + 2ms) CHECK(pool.stats().open_failures - tries <= 16);
      server.start();
      REQUIRE(works());
      CHECK(pool.stats().timeouts == static_cast<std::uint64_t>(2 * (i + 1)));
    }
    CHECK(pool.stats().in_use == 0);
    CHECK(pool.close(10s));
    const auto s = pool.stats();
    CHECK(s.created == s.closed_in_all());
    CHECK(s.open_failures > 0);
  }
  CHECK(descriptor::open == before);
}
