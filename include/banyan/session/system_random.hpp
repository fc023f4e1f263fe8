#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <system_error>

#if defined(__linux__)
#include <sys/random.h>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
#include <stdlib.h>
#elif defined(_WIN32)
#include <random>
#else
#error "banyan/session/system_random.hpp: no source of random secrets is known for this system"
#endif

namespace banyan {

namespace detail {

[[noreturn]] inline void no_randomness(int code) {
#if defined(__cpp_exceptions)
  throw std::system_error{code, std::generic_category(), "no random bytes from the system"};
#else
  std::fprintf(stderr, "no random bytes from the system: error %d\n", code);
  std::abort();
#endif
}

/// Fills `bytes` by calls of `read(pointer, count)`, which answers as `read(2)` does.
template <class Read>
void fill_by(std::span<std::byte> bytes, Read read) {
  while (!bytes.empty()) {
    const auto got = read(bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) no_randomness(errno);
    // A source that gives nothing, or claims to have given more than it was asked for, is not to be trusted.
    if (got == 0 || static_cast<std::size_t>(got) > bytes.size()) no_randomness(EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace detail

/// Fills `bytes` with random ones that nobody can guess, from the operating system: getrandom on Linux, arc4random_buf
/// on macOS and the BSDs, std::random_device on Windows (documented there as fit for secrets). Never from anything
/// weaker: throws `std::system_error`, or aborts where exceptions are off, when the system gives none.
///
/// Nothing is kept in the process, so that a fork copies no state. A system call, below a microsecond for an id; blocks
/// only at boot, until the system has gathered its first randomness. Thread-safe.
inline void system_random(std::span<std::byte> bytes) {
#if defined(__linux__)
  detail::fill_by(bytes, [](std::byte* to, std::size_t count) { return ::getrandom(to, count, 0); });
#elif defined(_WIN32)
  std::random_device device;
  for (std::byte& each : bytes) each = static_cast<std::byte>(device() & 0xffU);
#else
  ::arc4random_buf(bytes.data(), bytes.size());
#endif
}

}  // namespace banyan
