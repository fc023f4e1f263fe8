// A real Redis server for one program alone, which can be killed, paused and started again: see private_redis.sh.
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

class private_redis {
 public:
  /// Makes one, empty, and starts it. Make it before there are threads: it forks.
  private_redis() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
    const std::string script = (std::filesystem::path(__FILE__).parent_path() / "private_redis.sh").string();
    keeper_ = ::fork();
    if (keeper_ == 0) {
      ::dup2(ends[1], 0);
      ::dup2(ends[1], 1);
      ::execl("/bin/sh", "sh", script.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(ends[1]);
    commands_ = ends[0];
    if (keeper_ < 0) fail("fork");
    try {
      start();
    } catch (...) {
      end();
      throw;
    }
  }
  private_redis(const private_redis&) = delete;
  private_redis& operator=(const private_redis&) = delete;
  ~private_redis() { end(); }

  /// Why there is none; empty when there is one.
  [[nodiscard]] const std::string& missing() const { return missing_; }

  /// Where it is: on 127.0.0.1, or by the path of a socket. The same after each start.
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const std::string& password() const { return password_; }
  [[nodiscard]] const std::string& unix_socket() const { return unix_socket_; }

  /// kill -9: what it knew is lost.
  void kill() { ask("kill"); }

  /// After `kill`. Returns when it takes connections.
  void start() {
    const std::string answer = ask("start");
    if (answer.rfind("skipped: ", 0) == 0) {
      missing_ = answer;
    } else if (port_ == 0) {  // never again: others may be reading it
      std::istringstream words(answer.substr(3));
      words >> port_ >> password_ >> unix_socket_;
    }
  }

  /// It keeps its connections, the system even makes new ones, but nothing is answered: SIGSTOP.
  void pause() { ask("pause"); }
  void resume() { ask("resume"); }

 private:
  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

  std::string ask(std::string_view command) {
    const std::string line = std::string(command) + '\n';
    if (::send(commands_, line.data(), line.size(), MSG_NOSIGNAL) < 0) fail("private_redis.sh");
    std::string answer;
    for (char c = 0; c != '\n';) {
      const auto got = ::read(commands_, &c, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) throw std::runtime_error("private_redis.sh ended");
      if (c != '\n') answer += c;
    }
    if (answer.rfind("error", 0) == 0) throw std::runtime_error(answer);
    return answer;
  }

  void end() noexcept {
    ::close(commands_);
    while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) continue;
  }

  int keeper_ = -1;
  int commands_ = -1;
  std::string missing_;
  int port_ = 0;
  std::string password_;
  std::string unix_socket_;
};
