#pragma once

/// \file
/// Redis through its C client, hiredis: a connection that a pool can lend. Link with `-lhiredis`; needs the client's
/// headers (Debian: libhiredis-dev).

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <banyan/adapters/detail/client_failure.hpp>
#include <banyan/adapters/detail/redis_socket.hpp>
#include <banyan/adapters/redis_options.hpp>
#include <banyan/adapters/redis_reply.hpp>
#include <banyan/core/expected.hpp>

namespace banyan {

/// A connection to a Redis server (or to what speaks its protocol), closed when it dies. What was moved from is closed.
/// In a pool:
///
///     banyan::connection_pool<banyan::redis_connection> pool{
///         [] { return banyan::redis_connection::connect({.host = "redis", .command_timeout = 100ms}); },
///         {.validate = [](auto& c) { return c.is_open(); }, .validate_after = 0ns}};
///     if (auto c = pool.acquire()) (*c)->command("SET", key, value, "EX", "60");
///
/// Calls that ask the server block until all of its answer is here, or the time limit is over. After that, or when the
/// server has gone, the connection is closed: an answer that came late would be taken for the next one. Signals are not
/// raised (SIGPIPE), dispositions not changed. Use by one thread at a time.
///
/// Not for commands that change who speaks when (SUBSCRIBE, MONITOR, CLIENT REPLY), nor does it follow a cluster's
/// redirections: MOVED is an error as any other.
class redis_connection {
 public:
  using duration = std::chrono::nanoseconds;
  using result = expected<redis_reply, redis_error>;

  /// Connects, logs in, selects the database, and asks whether the server serves. Throws `redis_error`,
  /// `std::invalid_argument` when an option is out of its range, `std::bad_alloc`.
  [[nodiscard]] static redis_connection connect(const redis_options& options) {
    check(options);
    const timeval limit = seconds_of(options.connect_timeout);
    redis_connection made{
        options.unix_socket.empty()
            ? redisConnectWithTimeout(detail::c_text("redis_options.host", options.host), options.port, limit)
            : redisConnectUnixWithTimeout(detail::c_text("redis_options.unix_socket", options.unix_socket), limit)};
    if (made.context_ == nullptr) detail::client_failure(std::bad_alloc{});
    if (made.context_->err != 0) detail::client_failure(made.lost(made.context_->errstr));
    made.database_ = options.database;
    made.command_timeout_ = options.command_timeout;
    detail::prepare_socket(made.context_->fd);
    made.log_in(options);
    return made;
  }

  /// Takes over a connection that was made otherwise, blocking and without TLS; may be null.
  explicit redis_connection(redisContext* taken) noexcept : context_{taken} {}

  /// Runs a command: its name and arguments, each any bytes, none quoted or parsed:
  ///
  ///     c.command("SET", "session:" + id, state, "PX", std::to_string(ms));
  ///
  /// Throws `redis_error`: `broken()` when the connection is, and then what was asked for may have happened; else the
  /// server refused it, and the connection still works. `std::bad_alloc`.
  template <class... Words>
  requires(sizeof...(Words) > 0 && (std::convertible_to<const Words&, std::string_view> && ...)) redis_reply
      command(const Words&... words) {
    const std::array<std::string_view, sizeof...(words)> all{std::string_view{words}...};
    return command(std::span<const std::string_view>{all});
  }
  redis_reply command(std::span<const std::string_view> words) {
    result answered = try_command(words, command_timeout_);
    if (!answered) detail::client_failure(answered.error());
    return std::move(*answered);
  }

  /// The same with a time limit of its own, and errors returned. Throws `std::bad_alloc` alone.
  result try_command(std::span<const std::string_view> words, duration timeout) {
    const auto until = deadline(timeout);
    if (words.empty()) return unexpected{redis_error::refused("ERR a command without a name")};
    if (!is_connected()) return unexpected{redis_error::broken("the connection is closed")};
    if (has_more()) return unexpected{lost("an answer that nobody asked for")};
    if (const int failure = send(words, until)) return unexpected{lost(failure)};
    result answered = receive(until);
    if (answered && answered->is_error()) return unexpected{redis_error::refused(answered->text().value_or("ERR"))};
    return answered;
  }

  /// Whether the server answers: asks it, one round trip.
  [[nodiscard]] bool is_alive() {
    return try_command(std::array{std::string_view{"PING"}}, command_timeout_).has_value();
  }

  /// Whether the connection is open as far as this machine knows: not closed by the server, no answer pending. One
  /// system call, no round trip; never waits. For `pool_options::validate`: it spares the borrower connections that did
  /// not outlive a restart of the server, but not a server that hangs.
  [[nodiscard]] bool is_open() const noexcept {
    return is_connected() && !has_more() && detail::quiet_socket(context_->fd);
  }

  /// As good as new: gives up a transaction that was left open, watches nothing, back to its database. One round trip.
  /// For `pool_options::on_return` where borrowers use MULTI, WATCH or SELECT. Throws as `command`.
  void reset_session() {
    const auto until = deadline(command_timeout_);
    const std::string database = std::to_string(database_);
    const std::string commands = "*1\r\n$7\r\nDISCARD\r\n*1\r\n$7\r\nUNWATCH\r\n*2\r\n$6\r\nSELECT\r\n$" +
                                 std::to_string(database.size()) + "\r\n" + database + "\r\n";
    if (!is_connected()) detail::client_failure(redis_error::broken("the connection is closed"));
    if (const int failure = detail::send_all(context_->fd, commands.data(), commands.size(), until))
      detail::client_failure(lost(failure));
    std::array<redis_reply, 3> replies;
    for (redis_reply& each : replies) {  // all of them, before one of them is looked at
      result answered = receive(until);
      if (!answered) detail::client_failure(answered.error());
      each = std::move(*answered);
    }
    // Without a transaction, DISCARD is refused.
    for (const redis_reply* each : {&replies[1], &replies[2]}) {
      if (each->is_error()) detail::client_failure(redis_error::refused(each->text().value_or("ERR")));
    }
  }

  /// Closes it now; harmless when it is closed.
  void close() noexcept { context_.reset(); }

  /// For the rest of hiredis. Null when closed, also after a failure.
  [[nodiscard]] redisContext* native() noexcept { return context_.get(); }

 private:
  struct release {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
  };

  static timeval seconds_of(duration length) noexcept {
    const auto micros = std::chrono::ceil<std::chrono::microseconds>(length).count();
    timeval value{};
    value.tv_sec = static_cast<decltype(value.tv_sec)>(micros / 1'000'000);
    value.tv_usec = static_cast<decltype(value.tv_usec)>(micros % 1'000'000);
    return value;
  }

  static detail::socket_deadline deadline(duration timeout) noexcept {
    constexpr duration day = std::chrono::hours{24};
    return std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::clamp(timeout, duration{0}, day));
  }

  [[nodiscard]] bool is_connected() const noexcept { return context_ != nullptr && context_->err == 0; }

  // Bytes that came along with the last answer and belong to none that was asked for. In between, the reader is at
  // rest.
  [[nodiscard]] bool has_more() const noexcept { return context_->reader->pos < context_->reader->len; }

  void log_in(const redis_options& options) {
    const auto until = deadline(options.connect_timeout);
    const auto ask = [&](std::span<const std::string_view> words) {
      const result answered = try_command(words, until - std::chrono::steady_clock::now());
      if (answered) return;
      // Servers repeat what they do not understand, and here that is the password, or its beginning.
      const redis_error& error = answered.error();
      if (std::string_view{error.what()}.find("beginning with") == std::string_view::npos)
        detail::client_failure(error);
      detail::client_failure(redis_error::refused(error.code() + " the server does not know this way to log in"));
    };
    if (!options.user.empty()) {
      ask(std::array<std::string_view, 3>{"AUTH", options.user, options.password});
    } else if (!options.password.empty()) {
      ask(std::array<std::string_view, 2>{"AUTH", options.password});
    }
    if (options.database != 0) ask(std::array<std::string_view, 2>{"SELECT", std::to_string(options.database)});
    // The system connects also to a server that is stopped, still loading, or full of clients.
    ask(std::array<std::string_view, 1>{"PING"});
  }

  // Closes it, and says why.
  redis_error lost(const char* why) {
    // It must be closed even if there is no memory for words: else its next user would be given the answer of this one.
    const std::unique_ptr<redisContext, release> closed = std::move(context_);  // owns the words, perhaps
    return redis_error::broken(*why == '\0' ? "the connection is broken" : why);
  }
  redis_error lost(int failure) {
    close();
    if (failure == ETIMEDOUT) return redis_error::broken("no answer within the time limit");
    return redis_error::broken(std::generic_category().message(failure));
  }

  [[nodiscard]] int send(std::span<const std::string_view> words, detail::socket_deadline until) {
    if (words.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return E2BIG;
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    texts.reserve(words.size());
    sizes.reserve(words.size());
    for (const std::string_view each : words) {
      texts.push_back(each.data() != nullptr ? each.data() : "");
      sizes.push_back(each.size());
    }
    char* formatted = nullptr;
    const auto size = redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), texts.data(), sizes.data());
    if (size < 0) detail::client_failure(std::bad_alloc{});
    struct free_command {
      void operator()(char* command) const noexcept { redisFreeCommand(command); }
    };
    const std::unique_ptr<char, free_command> owned{formatted};
    return detail::send_all(context_->fd, formatted, static_cast<std::size_t>(size), until);
  }

  [[nodiscard]] result receive(detail::socket_deadline until) {
    std::array<char, 16'384> buffer;  // NOLINT(*-member-init): written before it is read
    for (;;) {
      void* reply = nullptr;
      if (redisReaderGetReply(context_->reader, &reply) != REDIS_OK) return unexpected{lost(context_->reader->errstr)};
      if (reply != nullptr) return redis_reply{static_cast<redisReply*>(reply)};
      std::size_t received = 0;
      if (const int failure = detail::receive_some(context_->fd, buffer.data(), buffer.size(), received, until))
        return unexpected{lost(failure)};
      if (received == 0) return unexpected{lost("the server closed the connection")};
      if (redisReaderFeed(context_->reader, buffer.data(), received) != REDIS_OK)
        return unexpected{lost(context_->reader->errstr)};
    }
  }

  std::unique_ptr<redisContext, release> context_;
  int database_ = 0;
  duration command_timeout_ = std::chrono::seconds{1};
};

}  // namespace banyan
