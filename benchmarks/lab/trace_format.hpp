#pragma once

#include <string>
#include <string_view>

namespace banyan::lab {

/// How a trace is written down.
enum class trace_kind {
  automatic,  ///< by the file's name and its first bytes
  keys,       ///< one key per line
  csv,        ///< comma-separated values (RFC 4180); one column is the key
  clf,        ///< web server log, common or combined format; the path is the key
  u32         ///< 32-bit numbers, little-endian, nothing else
};

/// A kind, and for CSV the column: a number from 1, or a name in the header row. Empty: to be found out.
struct trace_format {
  trace_kind kind = trace_kind::automatic;
  std::string column;
};

/// Reads `auto`, `keys`, `csv`, `csv:3`, `csv:url`, `clf` or `u32`. Throws `bad_input` naming the value otherwise.
trace_format parse_trace_format(std::string_view text);

/// The format of a file called `name` (may be empty) that starts with `head`. Throws `bad_input` when the file is
/// compressed or binary without saying what it is.
trace_format detect_trace_format(std::string_view name, std::string_view head);

/// Throws `bad_input` with the command that helps when `head` or the ending of `name` says that the file is compressed.
void refuse_compressed(std::string_view name, std::string_view head);

}  // namespace banyan::lab
