#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

/// The text of a file of this repository, named from its top.
inline std::string read_source(const std::filesystem::path& name) {
  std::ifstream file(std::filesystem::path(BANYAN_SOURCE_DIR) / name, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + name.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What stands in `text` between the first `before` and the next `after`; throws when one of them is missing.
inline std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const auto found = text.find(before);
  const auto begin = found + before.size();
  const auto end = found == std::string::npos ? found : text.find(after, begin);
  if (end == std::string::npos) throw std::runtime_error("no text between '" + before + "' and '" + after + "'");
  return text.substr(begin, end - begin);
}
