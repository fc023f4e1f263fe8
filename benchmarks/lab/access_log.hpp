#pragma once

#include <string_view>

namespace banyan::lab {

/// What one line of a web server log says.
struct access_log_line {
  bool well_formed = false;  ///< the line has all parts of the common log format
  std::string_view path;     ///< path of the request without query and fragment; empty if the request names none
};

/// Reads a line in common log format, `host ident user [date] "METHOD /path HTTP/1.1" status bytes`, or combined log
/// format, which adds quoted referrer and user agent. What a server logs for broken requests (`"-"`, bytes of a TLS
/// greeting) is well formed but has no path. The path is a view into `line`. Linear in the line's length.
access_log_line parse_access_log_line(std::string_view line) noexcept;

}  // namespace banyan::lab
