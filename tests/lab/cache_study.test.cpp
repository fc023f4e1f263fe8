#include "cache_study.hpp"
#include "command_line.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bad_input.hpp"
#include "belady.hpp"
#include "cache_command.hpp"
#include "capacity.hpp"
#include "policies.hpp"
#include "support/catch.hpp"
#include "table.hpp"
#include "workloads.hpp"

namespace {

using namespace banyan::lab;
using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("capacities") {
  CHECK(parse_capacity("1000").entries_for(5) == 1000);
  CHECK(parse_capacity("5%").entries_for(5684) == 284);
  CHECK(parse_capacity("20%").entries_for(5684) == 1136);
  CHECK(parse_capacity("1%").entries_for(20484) == 204);
  CHECK(parse_capacity("0.1%").entries_for(10) == 1);
  CHECK(parse_capacity("100%").entries_for(7) == 7);
  CHECK(parse_capacities("1%,100,50%").size() == 3);
  for (const char* bad : {"", "0", "-1", "0%", "-5%", "101%", "100.1%", "1e3", "x", "5%%", "%", ".%", "1.2.3%", "1.5",
                          "nan%", "4294967296", "99999999999999999999999", " 5", "+5"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_capacity(bad), bad_input);
  }
  CHECK_THROWS_AS(parse_capacities("1,,2"), bad_input);
}

TEST_CASE("policies keep their order, LRU first") {
  const auto parse_policies = [](const strings& lists) { return chosen_names("--policy", lists, policy_names()); };
  CHECK(parse_policies({"all"}).size() == policy_names().size());
  CHECK(parse_policies({"all"}).front() == "lru");
  CHECK(parse_policies({"sieve,lru", "lru,lfu"}) == strings{"lru", "lfu", "sieve"});
  CHECK_THROWS_AS(parse_policies({"lru,arc"}), bad_input);
  CHECK_THROWS_AS(parse_policies({""}), bad_input);
  CHECK_THROWS_AS(replay("arc", 1, {}), bad_input);
}

TEST_CASE("sizes after --capacity belong to it, files and options do not") {
  CHECK(join_capacities({"cache", "--capacity", "100", "1000", "5%", "file"}) ==
        strings{"cache", "--capacity=100,1000,5%", "file"});
  CHECK(join_capacities({"--capacity", "-5"}) == strings{"--capacity=-5"});
  CHECK(join_capacities({"--capacity", "1", "--policy", "lru"}) == strings{"--capacity=1", "--policy", "lru"});
  CHECK(join_capacities({"--", "--capacity", "1"}) == strings{"--", "--capacity", "1"});
  CHECK(join_capacities({"--capacity"}) == strings{"--capacity"});
}

TEST_CASE("numbers and tables") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(1234567) == "1,234,567");
  table t({{"a"}, {"bb"}});
  t.add({{"long"}, {"1", true}});
  t.add({{"x"}});
  CHECK(t.text(false) == "a     bb\nlong   1\nx\n");
  CHECK(t.text(true) == "a     bb\nlong   \033[1m1\033[0m\nx\n");
  CHECK(t.html().find("<tr><th scope=\"row\">long</th><td class=\"best\">1</td></tr>\n"
                      "<tr><th scope=\"row\">x</th><td></td></tr>\n") != std::string::npos);
}

TEST_CASE("workloads are the same for the same seed") {
  for (const std::string_view name : workload_names()) {
    CAPTURE(name);
    const trace once = generate_workload(name, 20'000, 7);
    CHECK(once.requests.size() == 20'000);
    CHECK(once.requests == generate_workload(name, 20'000, 7).requests);
    const std::set<std::uint32_t> different(once.requests.begin(), once.requests.end());
    CHECK(different.size() == once.keys);
    CHECK(*different.rbegin() == once.keys - 1);
    if (name != "loop") CHECK(once.requests != generate_workload(name, 20'000, 8).requests);
  }
  CHECK_THROWS_AS(generate_workload("none", 1, 1), bad_input);
}

TEST_CASE("the study of a workload is sound") {
  const trace t = generate_workload("zipf", 20'000, 3);
  progress silent(stderr, false);
  const cache_result result = study_caches(t, chosen_names("--policy", {"all"}, policy_names()),
                                           parse_capacities("1%,20%,500,100%,1000000"), silent);
  CHECK(result.asked().size() == 4);  // the last two are the same: all keys
  CHECK(result.sizes.back().entries == t.keys);
  CHECK(result.sizes.size() >= 8);
  CHECK(std::is_sorted(result.sizes.begin(), result.sizes.end(),
                       [](const auto& a, const auto& b) { return a.entries < b.entries; }));
  CHECK(result.policies.front().name == "lru");
  const double all_fit = 1 - static_cast<double>(t.keys) / 20'000;
  for (const policy_result& policy : result.policies) {
    CAPTURE(policy.name);
    REQUIRE(policy.hit_ratios.size() == result.sizes.size());
    CHECK(policy.million_requests_per_second > 0);
    for (std::size_t i = 0; i < result.sizes.size(); ++i) {
      CAPTURE(result.sizes[i].entries);
      CHECK(policy.hit_ratios[i] <= result.optimum.hit_ratios[i] + 1e-12);
    }
  }
  CHECK(std::abs(result.optimum.hit_ratios.back() - all_fit) < 1e-12);
  CHECK(result.recommendation.starts_with("Use "));
  CHECK(recommend_overall({result}).empty());
  CHECK(recommend_overall({result, result}).starts_with("Over the 2 traces "));
}

TEST_CASE("a single request, and requests that never repeat") {
  progress silent(stderr, false);
  const trace one{.name = "one", .description = {}, .requests = {0}, .keys = 1};
  const cache_result result =
      study_caches(one, chosen_names("--policy", {"all"}, policy_names()), parse_capacities("1%,5%,20%"), silent);
  CHECK(result.sizes.size() == 1);
  CHECK(result.sizes[0].asked_as == "1%, 5%, 20%");
  CHECK(result.recommendation.starts_with("No policy"));
  trace all_new{.name = "new", .description = {}, .requests = {}, .keys = 100};
  for (std::uint32_t i = 0; i < 100; ++i) all_new.requests.push_back(i);
  CHECK(study_caches(all_new, {"lru"}, parse_capacities("10"), silent).recommendation.starts_with("No policy"));
}

TEST_CASE("the recommendation stops where more entries gain little") {
  // A loop over ten keys: LRU hits nothing below ten entries and all from there on.
  trace loop{.name = "loop", .description = {}, .requests = {}, .keys = 10};
  for (std::uint32_t i = 0; i < 1000; ++i) loop.requests.push_back(i % 10);
  progress silent(stderr, false);
  const cache_result result = study_caches(loop, {"lru"}, parse_capacities("2,5,10"), silent);
  CAPTURE(result.recommendation);
  CHECK(result.recommendation ==
        "Use lru with 10 entries: it hits 99.0% of the requests (99.0% is possible); all keys fit.");
}
