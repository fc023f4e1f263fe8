#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "source_tree.hpp"
#include "support/catch.hpp"

namespace {

// The floors of the house: a room includes rooms of lower floors and itself only.
const std::map<std::string, int> floor_of = {{"core", 1},    {"hashing", 2}, {"limit", 2}, {"cache", 2},
                                             {"pool", 2},    {"cluster", 3}, {"shard", 3}, {"session", 3},
                                             {"balance", 4}, {"replica", 5}, {"scale", 6}, {"adapters", 6}};

struct header {
  std::string path;  // from include/banyan: cache/lru.hpp
  std::string room;  // empty for the headers at the top, which include whole rooms
  std::string text;
};

std::vector<header> headers() {
  const auto top = std::filesystem::path(BANYAN_SOURCE_DIR) / "include" / "banyan";
  std::vector<header> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
    if (entry.path().extension() != ".hpp") continue;
    const auto relative = entry.path().lexically_relative(top);
    const bool in_room = relative.has_parent_path();
    found.push_back({relative.generic_string(), in_room ? relative.begin()->string() : "",
                     read_source(std::filesystem::path("include/banyan") / relative)});
  }
  return found;
}

std::vector<std::string> includes(const std::string& text) {
  static const std::regex directive("#include *[<\"]([^>\"]+)[>\"]");
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), directive), end; it != end; ++it) found.push_back((*it)[1]);
  return found;
}

// What is wrong with `h` including `name`, or nothing.
std::string objection(const header& h, const std::string& name) {
  const std::string ours = "banyan/";
  if (name.rfind(ours, 0) != 0) return name.find('"') == std::string::npos ? "" : "not by its full name";
  if (h.room.empty()) return "";
  const auto slash = name.find('/', ours.size());
  if (slash == std::string::npos) return "includes a whole room or the whole house";
  const std::string other = name.substr(ours.size(), slash - ours.size());
  if (other == h.room) return "";
  if (floor_of.count(other) == 0) return "unknown room";
  return floor_of.at(other) < floor_of.at(h.room) ? "" : "not on a lower floor";
}

}  // namespace

TEST_CASE("no header includes a room on its own floor or above") {
  for (const header& h : headers()) {
    if (!h.room.empty()) REQUIRE(floor_of.count(h.room) == 1);
    for (const std::string& name : includes(h.text)) {
      INFO(h.path << " includes " << name);
      CHECK(objection(h, name) == "");
    }
  }
}

TEST_CASE("the floor check objects to upward and sideways includes") {
  const header cache{"cache/lru.hpp", "cache", ""};
  CHECK(objection(cache, "banyan/core/hash.hpp") == "");
  CHECK(objection(cache, "banyan/cache/detail/x.hpp") == "");
  CHECK(objection(cache, "banyan/limit/token_bucket.hpp") != "");
  CHECK(objection(cache, "banyan/balance/pick.hpp") != "");
  CHECK(objection(cache, "banyan/banyan.hpp") != "");
}

TEST_CASE("headers stay short enough to read in one sitting") {
  std::vector<long> lengths;
  for (const header& h : headers()) {
    lengths.push_back(std::count(h.text.begin(), h.text.end(), '\n'));
    INFO(h.path);
    CHECK(lengths.back() <= 1000);
    CHECK(h.text.rfind("#pragma once", 0) == 0);
  }
  std::sort(lengths.begin(), lengths.end());
  CHECK(lengths.at(lengths.size() / 2) <= 200);
  CHECK(lengths.at(lengths.size() * 19 / 20) <= 600);
}
