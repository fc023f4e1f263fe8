#include "csv_reader.hpp"

#include <fmt/format.h>

#include <cstddef>

#include "bad_input.hpp"

namespace banyan::lab {

bool csv_reader::next_row(std::vector<std::string>& fields) {
  std::string_view line;
  do {
    if (!source_.next_line(line)) return false;
  } while (line.empty());
  row_line_ = source_.line_number();
  row_.assign(line);
  std::size_t field = 0;
  std::size_t at = 0;
  const auto start_field = [&]() -> std::string& {
    if (field == fields.size()) fields.emplace_back();
    fields[field].clear();
    return fields[field++];
  };
  while (true) {
    std::string& text = start_field();
    if (at < row_.size() && row_[at] == '"') {
      ++at;
      while (true) {
        const std::size_t quote = row_.find('"', at);
        if (quote == std::string::npos) {
          text.append(row_, at, std::string::npos);
          text.push_back('\n');
          if (!source_.next_line(line)) {
            throw bad_input(
                fmt::format("{}:{}: quoted field is never closed; is the file cut short?", source_.name(), row_line_));
          }
          if (text.size() + line.size() > byte_source::longest_line) {
            throw bad_input(fmt::format("{}:{}: row is longer than {} bytes; is a quote missing?", source_.name(),
                                        row_line_, byte_source::longest_line));
          }
          row_.assign(line);
          at = 0;
          continue;
        }
        text.append(row_, at, quote - at);
        at = quote + 1;
        if (at == row_.size() || row_[at] != '"') break;
        text.push_back('"');
        ++at;
      }
      if (at < row_.size() && row_[at] != ',') {
        throw bad_input(source_.at_line("text after the closing quote of a field"));
      }
    } else {
      const std::size_t comma = std::min(row_.find(',', at), row_.size());
      text.assign(row_, at, comma - at);
      at = comma;
    }
    if (at == row_.size()) break;
    ++at;  // the comma
  }
  fields.resize(field);
  return true;
}

}  // namespace banyan::lab
