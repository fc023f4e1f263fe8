#include "table.hpp"

#include <algorithm>
#include <string_view>

#include "svg_chart.hpp"

namespace banyan::lab {
namespace {

std::string element(std::string_view tag, std::string_view attributes, const table::cell& shown) {
  std::string out = "<";
  out.append(tag).append(attributes);
  if (shown.bold) out += " class=\"best\"";
  if (!shown.title.empty()) out += " title=\"" + escape_markup(shown.title) + "\"";
  out += ">" + escape_markup(shown.text) + "</";
  return out.append(tag) + ">";
}

}  // namespace

std::string table::text(bool terminal) const {
  std::vector<std::size_t> widths;
  for (const cell& name : heading_) widths.push_back(name.text.size());
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
  for (std::size_t i = 0; i < heading_.size(); ++i) put(i, heading_[i].text, false);
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

std::string table::html() const {
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"results\">\n<table>\n<thead><tr>";
  for (const cell& name : heading_) out += element("th", " scope=\"col\"", name);
  out += "</tr></thead>\n<tbody>\n";
  for (const row& cells : rows_) {
    out += "<tr>";
    for (std::size_t i = 0; i < heading_.size(); ++i) {
      const cell shown = i < cells.size() ? cells[i] : cell{};
      out += i == 0 ? element("th", " scope=\"row\"", shown) : element("td", "", shown);
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n";
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
