#include "trace_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "access_log.hpp"
#include "bad_input.hpp"

namespace banyan::lab {
namespace {

using namespace std::string_view_literals;

bool is_binary(std::string_view head) {
  return std::any_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\n' && c != '\r' && c != '\t';
  });
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// Several lines with the same number of commas, at least one: nobody writes plain keys that way by chance.
bool looks_like_csv(std::string_view head) {
  std::ptrdiff_t commas = 0;
  int lines = 0;
  while (!head.empty() && lines < 5) {
    const bool whole = head.find('\n') != std::string_view::npos;
    const std::string_view line = take_line(head);
    if (!whole && lines > 0) break;
    const auto count = std::count(line.begin(), line.end(), ',');
    if (count == 0 || (lines > 0 && count != commas)) return false;
    commas = count;
    ++lines;
  }
  return lines >= 2;
}

}  // namespace

trace_format parse_trace_format(std::string_view text) {
  if (text == "auto") return {};
  if (text == "keys") return {trace_kind::keys, {}};
  if (text == "clf") return {trace_kind::clf, {}};
  if (text == "u32") return {trace_kind::u32, {}};
  if (text == "csv") return {trace_kind::csv, {}};
  if (text.starts_with("csv:")) {
    const std::string_view column = text.substr(4);
    if (column.empty()) throw bad_input("--format csv: needs a column after the colon, such as csv:2 or csv:url");
    if (std::all_of(column.begin(), column.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      unsigned number = 0;
      const auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), number);
      if (error != std::errc{} || end != column.data() + column.size() || number == 0 || number > 100'000) {
        throw bad_input(fmt::format("--format {}: columns are numbered from 1 to 100000", text));
      }
    }
    return {trace_kind::csv, std::string(column)};
  }
  throw bad_input(fmt::format("--format {}: unknown format; one of auto, keys, csv:COLUMN, clf, u32", text));
}

void refuse_compressed(std::string_view name, std::string_view head) {
  std::string_view tool;
  if (head.starts_with("\xFD"
                       "7zXZ\0"sv) ||
      name.ends_with(".xz")) {
    tool = "xz";
  } else if (head.starts_with("\x1F\x8B\x08"sv) || name.ends_with(".gz")) {
    tool = "gzip";
  } else if (head.starts_with("\x28\xB5\x2F\xFD"sv) || name.ends_with(".zst")) {
    tool = "zstd";
  } else if (name.ends_with(".bz2")) {
    tool = "bzip2";
  } else {
    return;
  }
  const std::string_view shown = name.empty() ? "FILE"sv : name;
  const std::string_view inner = name.substr(0, name.rfind('.'));
  std::string_view format = "u32";
  if (inner.ends_with(".csv")) format = "csv:COLUMN";
  if (inner.ends_with(".log")) format = "clf";
  if (inner.ends_with(".txt") || inner.ends_with(".keys")) format = "keys";
  throw bad_input(
      fmt::format("{}: is compressed; decompress through a pipe: {} -dc {} | banyan_lab cache - --format {}",
                  name.empty() ? "standard input"sv : name, tool, shown, format));
}

trace_format detect_trace_format(std::string_view name, std::string_view head) {
  refuse_compressed(name, head);
  if (name.ends_with(".u32")) return {trace_kind::u32, {}};
  if (is_binary(head)) {
    throw bad_input(fmt::format("{}: is binary, not text; if it holds 32-bit little-endian numbers say --format u32",
                                name.empty() ? "standard input"sv : name));
  }
  if (name.ends_with(".csv")) return {trace_kind::csv, {}};
  if (name.ends_with(".log")) return {trace_kind::clf, {}};
  std::string_view rest = head;
  if (parse_access_log_line(take_line(rest)).well_formed) return {trace_kind::clf, {}};
  if (looks_like_csv(head)) return {trace_kind::csv, {}};
  return {trace_kind::keys, {}};
}

}  // namespace banyan::lab
