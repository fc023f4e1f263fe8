#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace banyan::lab {

/// A table to print or to put on a page: the first column names the rows, the others are figures.
class table {
 public:
  struct cell {
    std::string text;
    bool bold = false;
    std::string title{};  ///< an explanation, which pages show where one points at the cell
  };
  using row = std::vector<cell>;

  explicit table(row heading) : heading_(std::move(heading)) {}
  /// A shorter row is filled up with empty cells.
  void add(row cells) { rows_.push_back(std::move(cells)); }

  /// The text, each line ended: the first column flush left, the others flush right. Widths are counted in bytes, so
  /// cells should be plain ASCII. Bold cells are set off by escape sequences when `terminal`.
  [[nodiscard]] std::string text(bool terminal) const;

  /// A part of an HTML page. Bold cells have the class "best".
  [[nodiscard]] std::string html() const;

 private:
  row heading_;
  std::vector<row> rows_;
};

/// The runs of a study in rows, its columns beside each other; in each column what `best_text(result, column)` says is
/// bold. `corner` heads the names, `name(run)` is a row's first cell, `shown(column, run)` the text of another. A
/// column may have a `meaning`.
template <class Result, class Column, class Name, class Shown>
table table_of_runs(std::string corner, const Result& result, const std::vector<Column>& columns, Name name,
                    Shown shown) {
  table::row heading = {{std::move(corner)}};
  std::vector<std::string> best;
  for (const Column& column : columns) {
    heading.push_back({std::string(column.name)});
    if constexpr (requires { column.meaning; }) heading.back().title = column.meaning;
    best.push_back(best_text(result, column));
  }
  table rows(std::move(heading));
  for (const auto& run : result.runs) {
    table::row cells = {name(run)};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      std::string text = shown(columns[i], run);
      const bool bold = text == best[i];
      cells.push_back({std::move(text), bold});
    }
    rows.add(std::move(cells));
  }
  return rows;
}

/// 1234567 as "1,234,567".
std::string with_commas(std::uint64_t number);

}  // namespace banyan::lab
