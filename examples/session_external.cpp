// Where is the cart when a server dies? Three server processes, each with its own socket, and a hundred shoppers behind
// a balancer. First the sessions are in the servers' memory and each shopper sticks to one server; then they are in a
// SQLite file that all servers share. In the middle one server is killed (SIGKILL). Prints who was logged out.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <banyan/adapters/sqlite_session_backend.hpp>
#include <banyan/session.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

constexpr std::size_t servers = 3;
constexpr std::size_t shoppers = 100;
constexpr std::size_t requests = 30;  // of each shopper; the server dies after half of them

// A cart is a text here, a book a letter. The request: a cookie or none. The answer: the cookie, a space, the cart; or,
// to a cookie that leads nowhere, nothing: log in, please.
template <class Store>
std::string answer(Store& sessions, const std::string& cookie) {
  if (cookie == "login") {
    const auto made = sessions.create("");
    if (!made) throw std::runtime_error(message(made.error()));
    return std::string(made->id.text()) + " ";
  }
  const auto changed = sessions.update(cookie, [](std::string& cart) { cart += 'b'; });
  if (changed) return std::string(changed->id.text()) + " " + changed->value;
  if (changed.error() == banyan::session_errc::not_found) return "-";
  throw std::runtime_error(message(changed.error()));
}

template <class Backend>
void serve(int socket, Backend& backend) {
  banyan::session_store<std::string, Backend> sessions{backend, {.ttl = std::chrono::minutes{30}}};
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    const std::string said = answer(sessions, {buffer.data(), static_cast<std::size_t>(got)});
    if (::send(socket, said.data(), said.size(), MSG_NOSIGNAL) < 0) return;
  }
}

// A process that answers one request after the other.
class server {
 public:
  template <class Work>
  explicit server(Work work) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    process_ = ::fork();
    if (process_ == 0) {
      ::close(ends[1]);
      try {
        work(ends[0]);
        ::_exit(0);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "server: %s\n", error.what());
        ::_exit(1);
      }
    }
    ::close(ends[0]);
    socket_ = ends[1];
  }
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() {
    ::shutdown(socket_, SHUT_RDWR);  // the servers after it have a copy, which would keep it open
    ::close(socket_);
    if (process_ > 0) ::waitpid(process_, nullptr, 0);
  }

  void kill() const { ::kill(process_, SIGKILL); }

  // None when it is dead.
  std::optional<std::string> ask(std::string_view request) const {
    std::array<char, 4096> buffer{};
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
    const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (got <= 0) return std::nullopt;
    return std::string(buffer.data(), static_cast<std::size_t>(got));
  }

 private:
  pid_t process_ = -1;
  int socket_ = -1;
};

struct outcome {
  std::size_t logged_out = 0;
  std::size_t books_lost = 0;
  double median_us = 0;
};

// Sticky: shopper i to server i mod 3, or the next one that lives. Else: any server that lives.
outcome shop(const std::vector<std::unique_ptr<server>>& all, bool sticky) {
  outcome seen;
  std::mt19937_64 random(20261122);
  std::vector<std::string> cookies(shoppers, "login");
  std::vector<std::size_t> carts(shoppers, 0);
  std::vector<bool> alive(servers, true);
  std::vector<double> times;
  const auto send = [&](std::size_t shopper) {
    for (std::size_t at = sticky ? shopper : random();; ++at) {
      if (std::ranges::count(alive, true) == 0) throw std::runtime_error("no server is left");
      if (!alive[at % servers]) continue;
      const auto began = std::chrono::steady_clock::now();
      if (auto said = all[at % servers]->ask(cookies[shopper])) {
        times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began).count());
        return *said;
      }
      alive[at % servers] = false;
    }
  };
  for (std::size_t round = 0; round < requests; ++round) {
    if (round == requests / 2) all[1]->kill();
    for (std::size_t i = 0; i < shoppers; ++i) {
      std::string said = send(i);
      if (said == "-") {
        ++seen.logged_out;
        seen.books_lost += carts[i];
        carts[i] = 0;
        cookies[i] = "login";
        said = send(i);
      }
      const std::size_t space = said.find(' ');
      cookies[i] = said.substr(0, space);
      const std::size_t cart = said.size() - space - 1;
      if (cart < carts[i]) seen.books_lost += carts[i] - cart;
      carts[i] = cart;
    }
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  seen.median_us = *middle;
  return seen;
}

void print(const char* where, const outcome& seen) {
  std::printf("%-28s %10zu of %zu %12zu %14.0f us\n", where, seen.logged_out, shoppers, seen.books_lost,
              seen.median_us);
}

}  // namespace

int main() try {
  const auto folder =
      std::filesystem::temp_directory_path() / ("banyan_session_" + std::to_string(std::random_device{}()));
  std::filesystem::create_directory(folder);
  const std::string file = (folder / "sessions.db").string();

  std::printf("%zu servers, %zu shoppers, %zu requests each; one server is killed in the middle\n\n", servers, shoppers,
              requests);
  std::printf("%-28s %17s %12s %17s\n", "sessions", "logged out", "books lost", "median request");
  {
    std::vector<std::unique_ptr<server>> all;
    for (std::size_t i = 0; i < servers; ++i) {
      all.push_back(std::make_unique<server>([](int socket) {
        banyan::memory_session_backend backend;
        serve(socket, backend);
      }));
    }
    print("in memory, sticky", shop(all, true));
  }
  {
    std::vector<std::unique_ptr<server>> all;
    for (std::size_t i = 0; i < servers; ++i) {
      all.push_back(std::make_unique<server>([&file](int socket) {
        banyan::sqlite_session_backend backend{file};
        serve(socket, backend);
      }));
    }
    print("external (SQLite), any", shop(all, false));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
} catch (const std::exception& error) {
  std::fprintf(stderr, "session_external: %s\n", error.what());
  return 1;
}
