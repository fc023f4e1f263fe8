#pragma once

#include <string>

#include "byte_source.hpp"
#include "progress.hpp"
#include "trace.hpp"
#include "trace_format.hpp"

namespace banyan::lab {

/// Reads a trace from the file `path`, or from standard input when that is "-". Reads once from front to end, so pipes
/// do. Throws `bad_input` naming file and line when it is missing, empty, compressed, binary where text is expected,
/// cut short, or has a line longer than `byte_source::longest_line`. Linear time; four bytes of memory per request and
/// each different key once.
trace read_trace(const std::string& path, const trace_format& format, progress& bar);

}  // namespace banyan::lab
