#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace banyan::lab {

/// A sequence of requests for keys. Keys are numbered densely from 0 by first appearance, so that every study may keep
/// what it knows of a key in a plain array. Four bytes per request: a hundred million requests fit in 400 MB.
struct trace {
  std::string name{};                     ///< file name or workload name, for headings
  std::string description{};              ///< one line, may be empty
  std::vector<std::uint32_t> requests{};  ///< key numbers in order of access
  std::uint32_t keys = 0;                 ///< how many different keys there are
  std::uint64_t skipped = 0;              ///< well-formed lines that name no key (blank lines, requests without a path)
};

/// Gives each different key the next number.
template <class Key, class Hash = std::hash<Key>, class Equal = std::equal_to<Key>>
class key_numbering {
 public:
  template <class Lookup>
  std::uint32_t number(const Lookup& key) {
    const auto found = numbers_.find(key);
    if (found != numbers_.end()) return found->second;
    const auto next = static_cast<std::uint32_t>(numbers_.size());
    numbers_.emplace(Key(key), next);
    return next;
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(numbers_.size()); }

 private:
  std::unordered_map<Key, std::uint32_t, Hash, Equal> numbers_;
};

}  // namespace banyan::lab
