#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <cstddef>

namespace banyan::detail {

// Sending and receiving with a time limit for the whole exchange. hiredis has one for each read only, which a server
// that dribbles never exceeds, and its write raises SIGPIPE, which by default ends the process, when the server has
// gone.

using socket_deadline = std::chrono::steady_clock::time_point;

#if defined(MSG_NOSIGNAL)
inline constexpr int no_signal = MSG_NOSIGNAL;
#else
inline constexpr int no_signal = 0;
#endif

/// Not inherited by programs that this one starts; and no SIGPIPE where only the socket can say so.
inline void prepare_socket(int socket) noexcept {
  const int flags = ::fcntl(socket, F_GETFD);
  if (flags >= 0) ::fcntl(socket, F_SETFD, flags | FD_CLOEXEC);
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

/// Waits until the socket can be written or read, or failed. 0, or ETIMEDOUT or what else went wrong. Looks at least
/// once, however late it is.
inline int wait_for_socket(int socket, short events, socket_deadline until) noexcept {
  for (;;) {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd waiting{socket, events, 0};
    // A day fits an int; what is over a day is not asked for.
    const int found = ::poll(&waiting, 1, left > 0 ? static_cast<int>(left) : 0);
    if (found > 0) return 0;
    if (found < 0 && errno != EINTR) return errno;
    if (found == 0 && left <= 0) return ETIMEDOUT;
  }
}

/// Sends all. 0, or why not.
inline int send_all(int socket, const char* data, std::size_t size, socket_deadline until) noexcept {
  while (size > 0) {
    const ssize_t sent = ::send(socket, data, size, MSG_DONTWAIT | no_signal);
    if (sent >= 0) {
      data += sent;
      size -= static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (const int failure = wait_for_socket(socket, POLLOUT, until)) return failure;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

/// Receives what is there, at least a byte. 0, or why not; 0 with nothing received is the end.
inline int receive_some(int socket, char* data, std::size_t room, std::size_t& received,
                        socket_deadline until) noexcept {
  for (;;) {
    if (const int failure = wait_for_socket(socket, POLLIN, until)) return failure;
    const ssize_t got = ::recv(socket, data, room, MSG_DONTWAIT);
    if (got >= 0) {
      received = static_cast<std::size_t>(got);
      return 0;
    }
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) return errno;
  }
}

/// Open, and with nothing to be read: neither an end, nor an answer that nobody asked for. Never waits.
inline bool quiet_socket(int socket) noexcept {
  pollfd looked{socket, POLLIN, 0};
  int found = 0;
  do {
    found = ::poll(&looked, 1, 0);
  } while (found < 0 && errno == EINTR);
  return found == 0;
}

}  // namespace banyan::detail
