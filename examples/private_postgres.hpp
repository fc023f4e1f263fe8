// Real PostgreSQL servers for one program alone, which can be killed and started again: see private_postgres.sh.
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

/// The process that keeps the servers, and removes them when this program ends in whatever way.
class private_postgres_keeper {
 public:
  /// Make it before there are threads: it forks.
  private_postgres_keeper() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
    const std::string script = (std::filesystem::path(__FILE__).parent_path() / "private_postgres.sh").string();
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], 0);
      ::dup2(ends[1], 1);
      ::execl("/bin/sh", "sh", script.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    const int error = errno;
    ::close(ends[1]);
    commands_ = ends[0];
    if (process_ < 0) {
      ::close(commands_);
      errno = error;
      fail("fork");
    }
  }
  private_postgres_keeper(const private_postgres_keeper&) = delete;
  private_postgres_keeper& operator=(const private_postgres_keeper&) = delete;
  ~private_postgres_keeper() {
    ::close(commands_);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) continue;
  }

  /// The answer to a command. One thread at a time.
  std::string ask(const std::string& command) {
    const std::string line = command + '\n';
    if (::send(commands_, line.data(), line.size(), MSG_NOSIGNAL) < 0) fail("private_postgres.sh");
    std::string answer;
    for (char c = 0; c != '\n';) {
      const auto got = ::read(commands_, &c, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) throw std::runtime_error("private_postgres.sh ended");
      if (c != '\n') answer += c;
    }
    if (answer.rfind("error", 0) == 0) throw std::runtime_error(answer);
    return answer;
  }

 private:
  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

  ::pid_t process_ = -1;
  int commands_ = -1;
};

/// One server.
class private_postgres {
 public:
  /// Makes one, empty, and starts it; some seconds. Make it before there are threads.
  private_postgres() { start(); }

  /// Why there is none; empty when there is one.
  [[nodiscard]] const std::string& missing() const { return missing_; }
  /// What to connect with.
  [[nodiscard]] const std::string& conninfo() const { return conninfo_; }

  /// kill -9 of all its processes.
  void kill() { keeper_.ask("kill"); }

  /// After `kill`. Returns when it takes connections, at the same address as before.
  void start() {
    const std::string answer = keeper_.ask("start");
    if (answer.rfind("skipped: ", 0) == 0) {
      missing_ = answer;
    } else if (conninfo_.empty()) {
      conninfo_ = answer.substr(3);  // never again: others may be reading it
    }
  }

 private:
  private_postgres_keeper keeper_;
  std::string missing_;
  std::string conninfo_;
};
