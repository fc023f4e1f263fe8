#include "support/catch.hpp"

#if !defined(BANYAN_TEST_HIREDIS)

TEST_CASE("redis_connection: skipped, this build has no hiredis") { SUCCEED(); }

#else

#include <banyan/adapters/redis.hpp>
#include <banyan/pool/connection_pool.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/redis_server.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

using banyan::redis_connection;
using banyan::redis_error;
using banyan::redis_options;
using banyan::redis_reply;
using banyan::testing::connected;
using banyan::testing::here;
using banyan::testing::joining_thread;
using banyan::testing::refused_field;
using banyan::testing::server;

// What `f` threw; nothing when it returned.
template <class F>
std::optional<redis_error> error_of(F f) {
  try {
    f();
  } catch (const redis_error& error) {
    return error;
  }
  return std::nullopt;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string text_of(const redis_reply& reply) { return std::string{reply.text().value_or("(no text)")}; }

// A socket to connect to, in a directory of its own.
class listener {
 public:
  listener() {
    REQUIRE(::mkdtemp(directory_) != nullptr);
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = here();
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
  }
  ~listener() {
    ::close(socket_);
    ::unlink(path().c_str());
    ::rmdir(directory_);
  }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  std::string path() const { return std::string{directory_} + "/s"; }
  int accept() const { return ::accept(socket_, nullptr, nullptr); }
  void wake() const { ::shutdown(socket_, SHUT_RDWR); }

 private:
  sockaddr_un here() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }

  char directory_[32] = "/tmp/banyan_test_XXXXXX";
  int socket_ = -1;
};

// One end of a connection whose other end is the test.
struct own_server {
  own_server() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    socket = ends[1];
    client = redis_connection{redisConnectFd(ends[0])};
  }
  ~own_server() { hang_up(); }
  own_server(const own_server&) = delete;
  own_server& operator=(const own_server&) = delete;

  void say(std::string_view text) const {
    REQUIRE(::send(socket, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  void hang_up() {
    if (socket >= 0) ::close(std::exchange(socket, -1));
  }

  int socket = -1;
  redis_connection client{nullptr};
};

}  // namespace

TEST_CASE("redis_options: refused") {
  const auto refused = [](redis_options options) {
    return refused_field([&] {
      banyan::check(options);
      return 0;
    });
  };
  CHECK(refused({.host = ""}) == "redis_options.host");
  CHECK(refused({.port = 0}) == "redis_options.port");
  CHECK(refused({.port = 65'536}) == "redis_options.port");
  CHECK(refused({.user = "u"}) == "redis_options.user");
  CHECK(refused({.database = -1}) == "redis_options.database");
  CHECK(refused({.connect_timeout = 0ns}) == "redis_options.connect_timeout");
  CHECK(refused({.connect_timeout = 25h}) == "redis_options.connect_timeout");
  CHECK(refused({.command_timeout = -1ns}) == "redis_options.command_timeout");
  CHECK(refused({.command_timeout = std::chrono::nanoseconds::max()}) == "redis_options.command_timeout");
  CHECK_NOTHROW(banyan::check({.host = "", .unix_socket = "/s"}));
  CHECK_THROWS_AS(redis_connection::connect({.host = "127.0.0.1\0x"s}), std::invalid_argument);
  CHECK_THROWS_AS(redis_connection::connect({.unix_socket = "/tmp\0x"s}), std::invalid_argument);
}

TEST_CASE("redis_connection: nobody there, or closed") {
  const auto nobody = error_of([] { (void)redis_connection::connect({.port = 1}); });
  REQUIRE(nobody);
  CHECK(nobody->broken());
  CHECK(contains(nobody->what(), "refused"));
  CHECK(error_of([] { (void)redis_connection::connect({.unix_socket = "/nowhere/socket"}); })->broken());

  redis_connection none{nullptr};
  CHECK(!none.is_open());
  CHECK(!none.is_alive());
  CHECK(none.native() == nullptr);
  for (const auto& error : {error_of([&] { none.command("PING"); }), error_of([&] { none.reset_session(); })}) {
    REQUIRE(error);
    CHECK(error->broken());
    CHECK(contains(error->what(), "closed"));
  }
  none.close();

  const redis_reply empty;
  CHECK(empty.is_nil());
  CHECK(!empty.is_error());
  CHECK(!empty.text());
  CHECK(!empty.integer());
  CHECK(empty.size() == 0);
  CHECK_THROWS_AS(empty[0], std::out_of_range);
}

TEST_CASE("redis_connection: commands and their replies") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  CHECK(c.is_open());
  CHECK(c.is_alive());
  c.command("FLUSHALL");
  CHECK(text_of(c.command("SET", "greeting", "hello")) == "OK");
  const redis_reply greeting = c.command("GET", "greeting");
  CHECK(greeting.text() == "hello");
  CHECK(!greeting.integer());
  CHECK_THROWS_AS(greeting[0], std::out_of_range);
  CHECK(c.command("GET", "nothing").is_nil());
  CHECK(c.command("INCRBY", "n", std::to_string(std::int64_t{1} << 40)).integer() == std::int64_t{1} << 40);
  CHECK(text_of(c.command("GET", "n")) == "1099511627776");

  c.command("RPUSH", "list", "a", "", "c");
  const redis_reply list = c.command("LRANGE", "list", "0", "-1");
  REQUIRE(list.size() == 3);
  CHECK(list[0].text() == "a");
  CHECK(list[1].text() == "");
  CHECK_THROWS_AS(list[3], std::out_of_range);
  CHECK(!list.text());

  // Arguments are any bytes, and never parsed.
  const std::string odd = "\0\r\n*1\r\n$8\r\nFLUSHALL\r\n%s \"'"s + static_cast<char>(0xff);
  CHECK(text_of(c.command("SET", odd, odd)) == "OK");
  CHECK(c.command("GET", odd).text() == odd);
  CHECK(text_of(c.command("SET", "", std::string_view{})) == "OK");
  CHECK(c.command("GET", "").text() == "");
  const std::string large(20'000'000, 'x');
  c.command("SET", "large", large);
  CHECK(c.command("GET", "large").text() == large);
  std::vector<std::string_view> many{"MGET"};
  many.resize(10'001, "greeting");
  const redis_reply all = c.command(many);
  CHECK(all.size() == 10'000);
  CHECK(all[9'999].text() == "hello");

  redis_connection moved = std::move(c);
  CHECK(moved.is_alive());
  CHECK(!c.is_open());  // NOLINT(bugprone-use-after-move): what it says
  CHECK(error_of([&] { c.command("PING"); })->broken());
  moved.command("FLUSHALL");
}

TEST_CASE("redis_connection: what the server refuses comes in its words, and the connection still works") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  c.command("DEL", "list");
  c.command("RPUSH", "list", "a");
  const auto wrong_type = error_of([&] { c.command("GET", "list"); });
  REQUIRE(wrong_type);
  CHECK(wrong_type->code() == "WRONGTYPE");
  CHECK(!wrong_type->broken());
  CHECK(contains(wrong_type->what(), "WRONGTYPE "));
  CHECK(error_of([&] { c.command("NONSENSE"); })->code() == "ERR");
  CHECK(error_of([&] { c.command(""); })->code() == "ERR");
  CHECK(error_of([&] { c.command(std::vector<std::string_view>{}); })->code() == "ERR");
  CHECK(c.is_open());
  CHECK(c.is_alive());

  c.command("MULTI");
  CHECK(text_of(c.command("GET", "list")) == "QUEUED");
  const redis_reply both = c.command("EXEC");
  REQUIRE(both.size() == 1);
  CHECK(both[0].is_error());
  CHECK(both[0].text()->starts_with("WRONGTYPE"));

  redis_options options = here();
  options.password = "wrong";
  const auto refused = error_of([&] { (void)redis_connection::connect(options); });
  REQUIRE(refused);
  CHECK(refused->code() == "WRONGPASS");
  options.password = "";
  CHECK(error_of([&] { (void)redis_connection::connect(options); })->code() == "NOAUTH");
  options = here();
  options.database = 1'000;
  CHECK(error_of([&] { (void)redis_connection::connect(options); })->code() == "ERR");
  options = here();
  options.user = "default";
  options.database = 3;
  options.unix_socket = server()->unix_socket();
  redis_connection by_socket = redis_connection::connect(options);
  CHECK(contains(text_of(by_socket.command("CLIENT", "INFO")), " db=3 "));
}

TEST_CASE("redis_connection: what a borrower left behind is cleared") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  c.reset_session();
  c.command("SELECT", "5");
  c.command("WATCH", "k");
  c.command("MULTI");
  c.command("SET", "k", "1");
  c.reset_session();
  const std::string state = text_of(c.command("CLIENT", "INFO"));
  CHECK(contains(state, " db=0 "));
  CHECK(contains(state, " multi=-1 "));
  CHECK(c.command("EXISTS", "k").integer() == 0);
}

TEST_CASE("redis_connection: a reset that is refused leaves no answer behind") {
  own_server other;
  other.say("-ERR DISCARD without MULTI\r\n-NOPERM unwatch\r\n+OK\r\n");
  const auto refused = error_of([&] { other.client.reset_session(); });
  REQUIRE(refused);
  CHECK(refused->code() == "NOPERM");
  CHECK(other.client.is_open());
}

TEST_CASE("redis_connection: an answer that comes late closes the connection") {
  own_server other;
  CHECK(other.client.is_open());
  const std::string_view ping = "PING";
  auto answered = other.client.try_command({&ping, 1}, 20ms);
  REQUIRE(!answered);
  CHECK(answered.error().broken());
  CHECK(contains(answered.error().what(), "time limit"));
  CHECK(!other.client.is_open());
  CHECK(!other.client.try_command({&ping, 1}, 20ms));
}

TEST_CASE("redis_connection: an answer in small pieces does not outlast the time limit") {
  own_server other;
  std::atomic<bool> over{false};
  const joining_thread dribbles{[&] {
    const std::string_view byte = "x";
    (void)::send(other.socket, "$1000000\r\n", 10, MSG_NOSIGNAL);
    while (!over.load() && ::send(other.socket, byte.data(), 1, MSG_NOSIGNAL) == 1) std::this_thread::sleep_for(1ms);
  }};
  const std::string_view ping = "PING";
  const auto answered = other.client.try_command({&ping, 1}, 50ms);
  over.store(true);
  REQUIRE(!answered);
  CHECK(contains(answered.error().what(), "time limit"));
}

TEST_CASE("redis_connection: answers that nobody asked for, nonsense, and the end") {
  const std::string_view ping = "PING";
  {
    own_server other;
    other.say("+PONG\r\n");
    CHECK(!other.client.is_open());
  }
  {
    own_server other;
    other.say("nonsense\r\n");
    const auto answered = other.client.try_command({&ping, 1}, 30s);
    REQUIRE(!answered);
    CHECK(answered.error().broken());
    CHECK(contains(answered.error().what(), "rotocol"));
  }
  {
    own_server other;
    other.say("+PO");
    other.hang_up();
    CHECK(!other.client.is_open());
    // The first write to who has gone would raise SIGPIPE and end this program.
    CHECK(other.client.try_command({&ping, 1}, 30s).error().broken());
  }
  {
    own_server other;  // full of unread bytes
    const std::string large(50'000'000, 'x');
    const std::string_view words[] = {"SET", "k", large};
    const auto answered = other.client.try_command(words, 20ms);
    REQUIRE(!answered);
    CHECK(contains(answered.error().what(), "time limit"));
  }
}

TEST_CASE("redis_connection: answers beyond the one that was asked for are not taken for the next one's") {
  own_server other;
  const std::string_view get[] = {"GET", "mine"};
  other.say("$1\r\na\r\n$7\r\nanother\r\n");
  CHECK(text_of(*other.client.try_command(get, 30s)) == "a");
  CHECK(!other.client.is_open());
  const auto answered = other.client.try_command(get, 30s);
  REQUIRE(!answered);
  CHECK(answered.error().broken());
}

TEST_CASE("redis_connection: whichever allocation fails, no answer is left for the next command") {
  const std::string_view ping = "PING";
  bool desynchronised = false;
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    std::optional<own_server> silent;
    {
      const banyan::testing::unfailing_section no_failures;
      silent.emplace();
    }
    try {
      (void)silent->client.try_command({&ping, 1}, 1ms);
    } catch (const std::bad_alloc&) {
      char sent = 0;
      const bool asked = ::recv(silent->socket, &sent, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
      if (asked && silent->client.is_open()) desynchronised = true;
      throw;
    }
  });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(!desynchronised);
}

TEST_CASE("redis_connection: the time limit for logging in is for all of it, and secrets are not repeated") {
  listener other;
  std::atomic<bool> over{false};
  std::atomic<bool> refuses{false};
  const joining_thread serves{[&] {
    while (!over.load()) {
      const int client = other.accept();
      char buffer[512];
      while (client >= 0 && ::recv(client, buffer, sizeof buffer, 0) > 0) {
        std::this_thread::sleep_for(60ms);
        const std::string_view say =
            refuses.load() ? "-ERR unknown command `AUTH`, with args beginning with: `hunter2`, \r\n" : "+OK\r\n";
        (void)::send(client, say.data(), say.size(), MSG_NOSIGNAL);
      }
      if (client >= 0) ::close(client);
    }
  }};
  redis_options options{.unix_socket = other.path(), .password = "hunter2", .database = 3, .connect_timeout = 100ms};
  const auto slow = error_of([&] { (void)redis_connection::connect(options); });
  refuses.store(true);
  options.connect_timeout = 30s;
  const auto refused = error_of([&] { (void)redis_connection::connect(options); });
  over.store(true);
  other.wake();
  REQUIRE(slow);
  CHECK(contains(slow->what(), "time limit"));
  REQUIRE(refused);
  CHECK(refused->code() == "ERR");
  CHECK(!contains(refused->what(), "hunter2"));
}

TEST_CASE("redis_connection: over a server that is paused, killed, and comes back") {
  if (server() == nullptr) return;
  {
    redis_connection c = connected();
    server()->pause();
    const std::string_view ping = "PING";
    CHECK(c.is_open());  // as far as this machine knows
    const auto late = c.try_command({&ping, 1}, 20ms);
    redis_options options = here();
    options.connect_timeout = 20ms;
    const auto mute = error_of([&] { (void)redis_connection::connect(options); });
    server()->resume();
    REQUIRE(!late);
    CHECK(late.error().broken());
    REQUIRE(mute);
    CHECK(mute->broken());
  }

  banyan::connection_pool<redis_connection> pool{[] { return connected(); },
                                                 {.min = 2,
                                                  .max = 2,
                                                  .acquire_timeout = 30s,
                                                  .validate = [](auto& c) { return c.is_open(); },
                                                  .validate_after = 0ns,
                                                  .backoff_base = 10ms,
                                                  .backoff_cap = 50ms,
                                                  .on_return = [](auto& c) { c.reset_session(); }}};
  while (pool.stats().idle < 2) std::this_thread::sleep_for(1ms);
  {
    auto lent = pool.acquire();
    REQUIRE(lent);
    server()->kill();
    CHECK(error_of([&] { (*lent)->command("PING"); })->broken());
    CHECK(!(*lent)->is_open());
  }
  const auto down = pool.acquire({.timeout = 100ms});
  CHECK(!down);
  server()->start();
  {
    auto a = pool.acquire();
    auto b = pool.acquire();
    REQUIRE(a);
    REQUIRE(b);
    CHECK(text_of((*a)->command("SET", "k", "v")) == "OK");
    CHECK(text_of((*b)->command("GET", "k")) == "v");
  }
  CHECK(pool.close(30s));
  CHECK(pool.stats().created == pool.stats().closed_in_all());
}

#endif
