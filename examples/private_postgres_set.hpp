// A real PostgreSQL primary with two streaming replicas, for one program alone: see private_postgres.sh.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "private_postgres.hpp"

/// Servers 0, 1 and 2; 0 begins as the primary. As names for synchronous_standby_names: s0, s1, s2.
///
/// What the servers do for clients (promote, pause replay, follow another primary) is asked of them in SQL; this does
/// what needs their files and processes. One thread at a time.
class private_postgres_set {
 public:
  static constexpr std::size_t size = 3;

  /// Makes and starts them; some seconds. Make it before there are threads.
  private_postgres_set() {
    for (std::size_t each = 0; each < size && missing_.empty(); ++each) {
      const std::string answer = keeper_.ask(each == 0 ? "start" : "follow " + std::to_string(each) + " 0");
      if (answer.rfind("skipped: ", 0) == 0) {
        missing_ = answer;
      } else {
        conninfo_[each] = answer.substr(3);
      }
    }
  }

  /// Why there are none; empty when there are.
  [[nodiscard]] const std::string& missing() const { return missing_; }
  /// What to connect to a server with; stays the same.
  [[nodiscard]] const std::string& conninfo(std::size_t server) const { return conninfo_.at(server); }

  /// kill -9 of all its processes.
  void kill(std::size_t server) { keeper_.ask("kill " + std::to_string(server)); }
  /// A clean stop, in which its replicas get all it has written.
  void stop(std::size_t server) { keeper_.ask("stop " + std::to_string(server)); }
  /// As what it was, at the same address.
  void start(std::size_t server) { keeper_.ask("start " + std::to_string(server)); }
  /// Starts it as a replica of `primary`: rewound to where their histories parted, or copied anew.
  void follow(std::size_t server, std::size_t primary) {
    keeper_.ask("follow " + std::to_string(server) + ' ' + std::to_string(primary));
  }

 private:
  private_postgres_keeper keeper_;
  std::string missing_;
  std::array<std::string, size> conninfo_;
};
