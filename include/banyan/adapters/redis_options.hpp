#pragma once

#include <chrono>
#include <string>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// Where a Redis server is, and how long to wait for it. Times are kept to a millisecond, rounded up.
struct redis_options {
  std::string host = "127.0.0.1";  ///< a name or an address; looking up a name is not under any time limit here
  int port = 6379;                 ///< from 1 to 65,535
  std::string unix_socket{};       ///< a path, instead of host and port, unless it is empty
  std::string user{};              ///< for the password, since Redis 6; empty: the server's default user
  std::string password{};          ///< may hold any bytes; empty: does not log in
  int database = 0;                ///< not negative
  /// For each of the addresses a name has, and once more for logging in. Above 0, at most a day.
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds{1};
  /// For each command that gives no other: from sending it until all of its answer is here. Above 0, at most a day.
  std::chrono::nanoseconds command_timeout = std::chrono::seconds{1};
};

/// Throws `std::invalid_argument` when an option is out of its range. Says nothing of passwords.
inline void check(const redis_options& options) {
  constexpr std::chrono::nanoseconds day = std::chrono::hours{24};
  if (options.unix_socket.empty() && options.host.empty())
    invalid_option("redis_options.host", "", "must not be empty");
  if (options.port < 1 || options.port > 65'535)
    invalid_option("redis_options.port", options.port, "must be from 1 to 65535");
  if (options.database < 0) invalid_option("redis_options.database", options.database, "must not be negative");
  if (!options.user.empty() && options.password.empty())
    invalid_option("redis_options.user", options.user, "must come with a password");
  if (options.connect_timeout.count() <= 0 || options.connect_timeout > day) {
    invalid_option("redis_options.connect_timeout", options.connect_timeout.count(), "must be above 0, at most a day");
  }
  if (options.command_timeout.count() <= 0 || options.command_timeout > day) {
    invalid_option("redis_options.command_timeout", options.command_timeout.count(), "must be above 0, at most a day");
  }
}

}  // namespace banyan
