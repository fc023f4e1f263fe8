#include "balance_study.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "bad_input.hpp"
#include "balance_command.hpp"
#include "balance_page.hpp"
#include "balance_policies.hpp"
#include "command_line.hpp"
#include "support/catch.hpp"

namespace {

using namespace banyan::lab;
using strings = std::vector<std::string>;

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

balance_result study(std::string_view scenario, const strings& policies, const std::vector<balance_result>& before = {},
                     std::size_t servers = 10) {
  progress silent(stderr, false);
  return study_balance(find_scenario(scenario), policies, {.servers = servers, .requests = 40'000}, before, silent);
}

}  // namespace

TEST_CASE("names are chosen in their own order") {
  const auto known = balance_policy_names();
  CHECK(chosen_names("--policy", {"all"}, known).size() == known.size());
  CHECK(chosen_names("--policy", {"peak_ewma,round_robin", "peak_ewma"}, known) == strings{"round_robin", "peak_ewma"});
  for (const char* bad : {"", "lru", "round_robin,", ",all", "all,x", "Round_robin", " all"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(chosen_names("--policy", {bad}, known), bad_input);
  }
}

TEST_CASE("options out of range are refused before anything is printed") {
  const auto refused = [](auto change) {
    balance_command_options options;
    change(options);
    CHECK_THROWS_AS(run_balance_command(options), bad_input);
  };
  refused([](auto& o) { o.servers = 0; });
  refused([](auto& o) { o.servers = 1001; });
  refused([](auto& o) { o.workers = 0; });
  refused([](auto& o) { o.workers = 65; });
  refused([](auto& o) { o.requests = 999; });
  refused([](auto& o) { o.requests = 10'000'001; });
  refused([](auto& o) { o.retries = 6; });
  for (const double bad : {0.0, -0.5, 2.1, 80.0, std::stod("nan"), std::stod("inf")})
    refused([bad](auto& o) { o.load = bad; });
  refused([](auto& o) { o.service = "normal"; });
  refused([](auto& o) { o.service = ""; });
  refused([](auto& o) { o.policies = {"lru"}; });
  refused([](auto& o) { o.scenarios = {"quiet"}; });
  refused([](auto& o) { o.report = "no such directory/r.html"; });
}

TEST_CASE("the reading says who is best and what happened to the odd one") {
  const strings policies = {"round_robin", "power_of_two"};
  const balance_result slow = study("slow", policies);
  CAPTURE(slow.reading);
  CHECK(slow.reading.starts_with("power_of_two answers 99% of the requests within "));
  CHECK(slow.reading.find("round_robin needs 500") != std::string::npos);
  CHECK(slow.reading.find("none of them fails with it") != std::string::npos);
  CHECK(slow.reading.find("10.00% with round_robin.") != std::string::npos);
  std::vector<balance_result> before;
  before.push_back(study("cold", policies));
  const balance_result warmed = study("slow_start", policies, before);
  CAPTURE(warmed.reading);
  CHECK(warmed.reading.find("Without slow start round_robin fails ") != std::string::npos);
  CHECK(study("slow_start", policies).reading.find("Without") == std::string::npos);
  CHECK(study("equal", {"sticky"}).reading.find("sticky answers 99%") == 0);
}

TEST_CASE("columns, and the best of each") {
  const balance_result slow = study("slow", {"round_robin", "peak_ewma"});
  const auto columns = balance_columns(slow);
  REQUIRE(columns.size() == 7);
  CHECK(columns[4].name == "to the odd one");
  CHECK(columns[4].text(slow, slow.runs[0]) == "10.00%");
  CHECK(best_text(slow, columns[4]).empty());
  CHECK(columns[3].name == "errors");
  CHECK(best_text(slow, columns[3]) == "0.00%");
  const balance_result equal = study("equal", {"round_robin", "smooth_weighted_round_robin"});
  REQUIRE(balance_columns(equal).size() == 6);
  CHECK(best_text(equal, balance_columns(equal)[0]).empty());  // the same for both
  CHECK(balance_columns(study("dying", {"round_robin"})).size() == 8);
  CHECK(slow.runs[0].picks_per_second() > 0);
}

TEST_CASE("the page is whole") {
  std::vector<balance_result> results;
  const strings policies = {"round_robin", "least_connections", "sticky"};
  for (const std::string_view name : {"equal", "cold", "weights"}) results.push_back(study(name, policies));
  results.push_back(study("dying", {"random_choice"}, {}, 1));
  const std::string page = balance_page(results);
  for (const char* tag : {"section", "table", "tr", "figure", "svg", "ul", "li", "g", "p", "div", "title"}) {
    CAPTURE(tag);
    const std::string open = std::string("<") + tag;
    CHECK(count(page, open + ">") + count(page, open + " ") == count(page, std::string("</") + tag + ">"));
  }
  CHECK(count(page, "<section") == 4);
  CHECK(count(page, "<figure>") == 10);
  CHECK(count(page, "<svg class=\"load\"") == 10);
  CHECK(count(page, "http") == count(page, "http://www.w3.org/2000/svg"));
  CHECK(count(page, "nan") == 0);
  CHECK(count(page, ">inf") == 0);
  for (const std::string_view policy : balance_policy_names()) {
    CAPTURE(policy);
    CHECK(count(page, "--b-" + std::string(policy) + ":") == 2);  // light and dark
    CHECK(count(page, ".p-" + std::string(policy) + " {") == 1);
  }
}
