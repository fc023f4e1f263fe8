#include "terminal.hpp"

#include <cstdlib>
#include <string_view>

#if defined(_WIN32)
#include <io.h>
#else
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace banyan::lab {

bool is_terminal(std::FILE* stream) noexcept {
#if defined(_WIN32)
  return _isatty(_fileno(stream)) != 0;
#else
  const char* kind = std::getenv("TERM");
  return kind != nullptr && std::string_view(kind) != "dumb" && ::isatty(::fileno(stream)) != 0;
#endif
}

std::size_t terminal_columns(std::FILE* stream) noexcept {
#if !defined(_WIN32)
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
#endif
  static_cast<void>(stream);
  return 80;
}

}  // namespace banyan::lab
