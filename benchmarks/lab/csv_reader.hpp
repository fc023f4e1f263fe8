#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "byte_source.hpp"

namespace banyan::lab {

/// Reads rows of comma-separated values as RFC 4180 describes them: fields may be quoted, quotes inside are doubled,
/// and a quoted field may hold commas and line ends.
class csv_reader {
 public:
  explicit csv_reader(byte_source& source) noexcept : source_(source) {}

  /// The next row that is not blank; false at the end. Throws `bad_input` naming the line when a quoted field is not
  /// closed, when anything follows its closing quote, or when a row is longer than `byte_source::longest_line`.
  bool next_row(std::vector<std::string>& fields);
  /// Line on which the row read last begins.
  [[nodiscard]] std::uint64_t row_line() const noexcept { return row_line_; }

 private:
  byte_source& source_;
  std::string row_;
  std::uint64_t row_line_ = 0;
};

}  // namespace banyan::lab
