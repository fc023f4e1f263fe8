#include "capacity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

constexpr std::uint64_t most_entries = 0xFFFF'FFFF;

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw bad_input(fmt::format("--capacity {}: {}", text.empty() ? "\"\"" : text, why));
}

}  // namespace

std::uint64_t capacity_request::entries_for(std::uint64_t keys) const noexcept {
  if (entries != 0) return entries;
  // The small addition keeps 20% of 50 at 10 where the division comes out a hair below.
  const double share = static_cast<double>(keys) * percent / 100 + 1e-9;
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(share));
}

capacity_request parse_capacity(std::string_view text) {
  constexpr std::string_view hint = "give a number of entries such as 1000, or a share of the keys such as 5%";
  capacity_request result{.text = std::string(text)};
  const bool share = text.ends_with('%');
  const std::string digits(text.substr(0, text.size() - (share ? 1 : 0)));
  const bool plain = !digits.empty() && std::all_of(digits.begin(), digits.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (share && c == '.');
  });
  if (!plain) refuse(text, hint);
  if (!share) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result.entries);
    if (error != std::errc{} || end != digits.data() + digits.size() || result.entries > most_entries) {
      refuse(text, fmt::format("more than {} entries", most_entries));
    }
    if (result.entries == 0) refuse(text, "a cache needs at least 1 entry");
    return result;
  }
  if (std::count(digits.begin(), digits.end(), '.') > 1 || digits == ".") refuse(text, hint);
  result.percent = std::strtod(digits.c_str(), nullptr);
  if (!(result.percent > 0)) refuse(text, "a share must be above 0%");
  if (result.percent > 100) refuse(text, "a share is at most 100%: all keys fit then");
  return result;
}

std::vector<capacity_request> parse_capacities(std::string_view list) {
  std::vector<capacity_request> result;
  while (true) {
    const std::size_t comma = list.find(',');
    result.push_back(parse_capacity(list.substr(0, comma)));
    if (comma == std::string_view::npos) return result;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace banyan::lab
