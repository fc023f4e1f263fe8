#include "access_log.hpp"

#include <cstddef>

namespace banyan::lab {
namespace {

constexpr auto nowhere = std::string_view::npos;

// Position of the quote that ends the string starting at `from`; a backslash keeps the next character from ending it.
std::size_t closing_quote(std::string_view text, std::size_t from) noexcept {
  for (std::size_t i = from; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i;
    }
  }
  return nowhere;
}

bool digits(std::string_view text) noexcept {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

std::string_view take_word(std::string_view& text) noexcept {
  if (text.starts_with(' ')) text.remove_prefix(1);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

std::string_view path_of(std::string_view request) noexcept {
  const std::size_t space = request.find(' ');
  if (space == 0 || space == nowhere) return {};
  std::string_view target = request.substr(space + 1);
  target = target.substr(0, target.find(' '));
  // A proxy logs whole addresses; what follows scheme and host is the path.
  if (const std::size_t scheme = target.find("://"); scheme != nowhere && !target.starts_with('/')) {
    const std::size_t slash = target.find('/', scheme + 3);
    target = slash == nowhere ? std::string_view("/") : target.substr(slash);
  }
  return target.substr(0, target.find_first_of("?#"));
}

}  // namespace

access_log_line parse_access_log_line(std::string_view line) noexcept {
  const std::size_t date = line.find(" [");
  if (date == 0 || date == nowhere) return {};
  const std::size_t open = line.find("] \"", date);
  if (open == nowhere) return {};
  const std::size_t start = open + 3;
  const std::size_t close = closing_quote(line, start);
  if (close == nowhere) return {};
  std::string_view rest = line.substr(close + 1);
  const std::string_view status = take_word(rest);
  if (status.size() != 3 || !digits(status)) return {};
  const std::string_view bytes = take_word(rest);
  if (bytes != "-" && !digits(bytes)) return {};
  // Whatever a server adds at the end, a quote that is not closed shows that the line was cut.
  for (std::size_t quote = rest.find('"'); quote != nowhere; quote = rest.find('"')) {
    const std::size_t end = closing_quote(rest, quote + 1);
    if (end == nowhere) return {};
    rest.remove_prefix(end + 1);
  }
  return {.well_formed = true, .path = path_of(line.substr(start, close - start))};
}

}  // namespace banyan::lab
