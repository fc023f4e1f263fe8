#pragma once

#include <cstddef>
#include <cstdio>

namespace banyan::lab {

/// Whether `stream` writes to a terminal that understands escape sequences (TERM is not "dumb").
bool is_terminal(std::FILE* stream) noexcept;

/// Columns of the terminal behind `stream`; 80 when unknown. Never less than 20.
std::size_t terminal_columns(std::FILE* stream) noexcept;

}  // namespace banyan::lab
