#include "command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "bad_input.hpp"
#include "table.hpp"

namespace banyan::lab {

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

void add_list(CLI::App& command, const std::string& option, std::vector<std::string>& lists,
              const std::string& meaning) {
  command.add_option(option, lists, meaning)->allow_extra_args(false)->capture_default_str();
}

void add_choice(CLI::App& command, const std::string& option, std::vector<std::string>& lists,
                std::span<const std::string_view> known) {
  add_list(command, option, lists, fmt::format("all, or some of {}, separated by commas", fmt::join(known, ", ")));
}

std::vector<std::string> chosen_names(std::string_view option, const std::vector<std::string>& lists,
                                      std::span<const std::string_view> known) {
  std::vector<bool> chosen(known.size());
  for (const std::string& list : lists) {
    for (const std::string& name : split_list(list)) {
      if (name == "all") {
        chosen.assign(known.size(), true);
        continue;
      }
      const auto found = std::find(known.begin(), known.end(), name);
      if (found == known.end()) {
        throw bad_input(fmt::format("{} {}: unknown; one of all, {}", option, name.empty() ? "\"\"" : name,
                                    fmt::join(known, ", ")));
      }
      chosen[static_cast<std::size_t>(found - known.begin())] = true;
    }
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (chosen[i]) names.emplace_back(known[i]);
  }
  return names;
}

std::vector<std::uint64_t> listed_numbers(std::string_view option, const std::vector<std::string>& lists) {
  std::vector<std::uint64_t> numbers;
  for (const std::string& list : lists) {
    for (const std::string& text : split_list(list)) {
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc{} || end != text.data() + text.size()) {
        throw bad_input(fmt::format("{} {}: is not a whole number", option, text.empty() ? "\"\"" : text));
      }
      numbers.push_back(number);
    }
  }
  return numbers;
}

void check_range(std::string_view option, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  if (value < least || value > most) {
    throw bad_input(fmt::format("{} {}: must be from {} to {}", option, value, with_commas(least), with_commas(most)));
  }
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw std::runtime_error("cannot write to standard output");
  }
}

}  // namespace banyan::lab
