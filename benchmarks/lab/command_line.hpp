#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace banyan::lab {

/// The names of entries that have one, in their order.
template <class Entry>
std::vector<std::string_view> names_of(std::span<const Entry> entries) {
  std::vector<std::string_view> names;
  for (const Entry& each : entries) names.push_back(each.name);
  return names;
}

/// Adds an option that takes a list with commas, each time it is given. `lists` must outlive the command, and holds
/// what goes without the option.
void add_list(CLI::App& command, const std::string& option, std::vector<std::string>& lists,
              const std::string& meaning);

/// Adds one whose lists are for `chosen_names`.
void add_choice(CLI::App& command, const std::string& option, std::vector<std::string>& lists,
                std::span<const std::string_view> known);

/// Those of the `known` names that the lists name ("all" or some, separated by commas), in their order, each once.
/// Throws `bad_input` naming the option and what is unknown.
std::vector<std::string> chosen_names(std::string_view option, const std::vector<std::string>& lists,
                                      std::span<const std::string_view> known);

/// The whole numbers that the lists name, separated by commas, in the order given. Throws `bad_input` for what is none.
std::vector<std::uint64_t> listed_numbers(std::string_view option, const std::vector<std::string>& lists);

/// The parts of a list between its commas; one empty part of an empty list.
std::vector<std::string> split_list(std::string_view list);

/// Throws `bad_input` naming the option unless `value` is from `least` to `most`.
void check_range(std::string_view option, std::uint64_t value, std::uint64_t least, std::uint64_t most);

/// Writes to standard output; throws `std::runtime_error` when that fails.
void print(std::string_view text);

}  // namespace banyan::lab
