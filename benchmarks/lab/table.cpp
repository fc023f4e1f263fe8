#include "table.hpp"

#include <algorithm>

namespace banyan::lab {

std::string table::text(bool terminal) const {
  std::vector<std::size_t> widths;
  for (const std::string& name : heading_) widths.push_back(name.size());
  for (const row& cells : rows_) {
    for (std::size_t i = 0; i < std::min(cells.size(), widths.size()); ++i) {
      widths[i] = std::max(widths[i], cells[i].text.size());
    }
  }
  std::string result;
  const auto put = [&](std::size_t column, const std::string& text, bool bold) {
    const std::string gap(widths[column] - text.size(), ' ');
    const std::string shown = bold && terminal ? "\033[1m" + text + "\033[0m" : text;
    result += column == 0 ? shown + gap : "  " + gap + shown;
  };
  const auto end_line = [&] {
    while (result.ends_with(' ')) result.pop_back();
    result += '\n';
  };
  for (std::size_t i = 0; i < heading_.size(); ++i) put(i, heading_[i], false);
  end_line();
  for (const row& cells : rows_) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const cell empty;
      const cell& shown = i < cells.size() ? cells[i] : empty;
      put(i, shown.text, shown.bold);
    }
    end_line();
  }
  return result;
}

std::string with_commas(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string result;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result;
}

}  // namespace banyan::lab
