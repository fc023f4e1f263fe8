#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace banyan::lab {

/// A table in plain text: the first column is flush left, the others flush right. Columns are counted in bytes, so
/// cells should be plain ASCII.
class table {
 public:
  struct cell {
    std::string text;
    bool bold = false;
  };
  using row = std::vector<cell>;

  explicit table(std::vector<std::string> heading) : heading_(std::move(heading)) {}
  /// A shorter row is filled up with empty cells.
  void add(row cells) { rows_.push_back(std::move(cells)); }

  /// The text, each line ended. Bold cells are set off by escape sequences when `terminal`.
  [[nodiscard]] std::string text(bool terminal) const;

 private:
  std::vector<std::string> heading_;
  std::vector<row> rows_;
};

/// 1234567 as "1,234,567".
std::string with_commas(std::uint64_t number);

}  // namespace banyan::lab
