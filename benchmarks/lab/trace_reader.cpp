#include "trace_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "access_log.hpp"
#include "bad_input.hpp"
#include "csv_reader.hpp"

namespace banyan::lab {
namespace {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
using text_numbering = key_numbering<std::string, text_hash, std::equal_to<>>;

void add_request(trace& to, std::uint32_t key, const byte_source& source) {
  if (to.requests.size() == std::numeric_limits<std::uint32_t>::max()) {
    throw bad_input(fmt::format("{}: more than {} requests", source.name(), to.requests.size()));
  }
  to.requests.push_back(key);
}

// The beginning of `text` for an error message. It goes to a terminal, so no control characters may pass.
std::string excerpt(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, 60)) shown.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  return shown + (text.size() > 60 ? "...\"" : "\"");
}

void refuse_control_bytes(std::string_view line, const byte_source& source) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if (byte < 0x20 && byte != '\t') {
      throw bad_input(source.at_line(
          fmt::format("byte {:#04x} at position {} is not text; is this a binary file (--format u32)?", byte, i + 1)));
    }
  }
}

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

void read_keys(byte_source& source, trace& to, progress& bar) {
  text_numbering numbers;
  std::string_view line;
  while (source.next_line(line)) {
    bar.advance(line.size() + 1);
    refuse_control_bytes(line, source);
    const std::string_view key = trimmed(line);
    if (key.empty()) {
      ++to.skipped;
    } else {
      add_request(to, numbers.number(key), source);
    }
  }
  to.keys = numbers.size();
}

void read_access_log(byte_source& source, trace& to, progress& bar) {
  text_numbering numbers;
  std::string_view line;
  while (source.next_line(line)) {
    bar.advance(line.size() + 1);
    refuse_control_bytes(line, source);
    if (trimmed(line).empty()) {
      ++to.skipped;
      continue;
    }
    const access_log_line parsed = parse_access_log_line(line);
    if (!parsed.well_formed) {
      throw bad_input(source.at_line("not a whole line in common or combined log format: " + excerpt(line)));
    }
    if (parsed.path.empty()) {
      ++to.skipped;
    } else {
      add_request(to, numbers.number(parsed.path), source);
    }
  }
  to.keys = numbers.size();
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string lower(std::string_view text) {
  std::string result(trimmed(text));
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// The column whose name says that it is the key.
std::optional<std::size_t> key_column(const std::vector<std::string>& header) {
  static constexpr std::array<std::string_view, 11> names = {"key", "object", "object_id", "obj_id",  "id", "path",
                                                             "url", "uri",    "block",     "address", "lbn"};
  for (const std::string_view name : names) {
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (lower(header[i]) == name) return i;
    }
  }
  return std::nullopt;
}

void read_csv(byte_source& source, const std::string& column, trace& to, progress& bar) {
  text_numbering numbers;
  csv_reader rows(source);
  std::vector<std::string> fields;
  std::optional<std::string> first_key;  // held back until the second row shows whether it was a heading
  std::size_t index = 0;
  if (is_number(column)) {
    index = std::stoul(column) - 1;
  } else {
    if (!rows.next_row(fields)) return;
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [&](const std::string& name) { return trimmed(name) == trimmed(column); });
    if (!column.empty()) {
      if (found == fields.end()) {
        throw bad_input(
            source.at_line(fmt::format("no column is called {} (--format csv:{})", excerpt(column), column)));
      }
      index = static_cast<std::size_t>(found - fields.begin());
    } else if (const auto guess = key_column(fields)) {
      index = *guess;
    } else if (fields.size() == 1) {
      first_key = fields[0];
    } else {
      throw bad_input(source.at_line(fmt::format(
          "which of the {} columns is the key? say --format csv:1 to csv:{}, or csv:NAME; this row begins {}",
          fields.size(), fields.size(), excerpt(fields[0]))));
    }
  }
  bool hold_first = is_number(column);
  while (rows.next_row(fields)) {
    if (index >= fields.size()) {
      throw bad_input(fmt::format("{}:{}: row has {} column{}, but the key is column {}", source.name(),
                                  rows.row_line(), fields.size(), fields.size() == 1 ? "" : "s", index + 1));
    }
    const std::string& key = fields[index];
    for (const std::string& field : fields) bar.advance(field.size() + 1);
    refuse_control_bytes(key.substr(0, key.find('\n')), source);
    if (std::exchange(hold_first, false)) {
      first_key = key;
      continue;
    }
    if (first_key) {
      const bool heading = !is_number(*first_key) && is_number(key);
      if (!heading && !trimmed(*first_key).empty()) add_request(to, numbers.number(*first_key), source);
      first_key.reset();
    }
    if (trimmed(key).empty()) {
      ++to.skipped;
    } else {
      add_request(to, numbers.number(key), source);
    }
  }
  if (first_key && !trimmed(*first_key).empty()) add_request(to, numbers.number(*first_key), source);
  to.keys = numbers.size();
}

void read_u32(byte_source& source, trace& to, progress& bar) {
  key_numbering<std::uint32_t> numbers;
  if (source.length() > 0) to.requests.reserve(static_cast<std::size_t>(source.length() / 4));
  std::array<unsigned char, 4> number{};
  std::size_t have = 0;
  std::uint64_t total = 0;
  for (auto bytes = source.next_bytes(1 << 16); !bytes.empty(); bytes = source.next_bytes(1 << 16)) {
    total += bytes.size();
    bar.advance(bytes.size());
    for (const char byte : bytes) {
      number[have++] = static_cast<unsigned char>(byte);
      if (have < 4) continue;
      have = 0;
      const std::uint32_t value = static_cast<std::uint32_t>(number[0]) | static_cast<std::uint32_t>(number[1]) << 8 |
                                  static_cast<std::uint32_t>(number[2]) << 16 |
                                  static_cast<std::uint32_t>(number[3]) << 24;
      add_request(to, numbers.number(value), source);
    }
  }
  if (have != 0) {
    throw bad_input(fmt::format("{}: is cut short: {} bytes, {} more than {} whole 32-bit numbers", source.name(),
                                total, have, to.requests.size()));
  }
  to.keys = numbers.size();
}

}  // namespace

trace read_trace(const std::string& path, const trace_format& format, progress& bar) {
  byte_source source(path);
  trace result;
  result.name = path == "-" ? "standard input" : std::filesystem::path(path).filename().string();
  const std::string_view head = source.peek();
  if (head.empty()) throw bad_input(source.name() + ": is empty");
  const std::string_view known_name = path == "-" ? std::string_view() : std::string_view(path);
  trace_format chosen = format;
  if (format.kind == trace_kind::automatic) {
    chosen = detect_trace_format(known_name, head);
  } else if (format.kind != trace_kind::u32 || known_name.ends_with(".xz") || known_name.ends_with(".gz")) {
    refuse_compressed(known_name, head);
  }
  // Notepad and spreadsheet programs put this mark in front of UTF-8 text.
  if (chosen.kind != trace_kind::u32 && head.starts_with("\xEF\xBB\xBF")) source.next_bytes(3);
  bar.begin("reading " + result.name, source.length());
  switch (chosen.kind) {
    case trace_kind::csv:
      read_csv(source, chosen.column, result, bar);
      break;
    case trace_kind::clf:
      read_access_log(source, result, bar);
      break;
    case trace_kind::u32:
      read_u32(source, result, bar);
      break;
    case trace_kind::keys:
    case trace_kind::automatic:
      read_keys(source, result, bar);
      break;
  }
  bar.end();
  if (result.requests.empty()) throw bad_input(source.name() + ": holds no requests");
  return result;
}

}  // namespace banyan::lab
