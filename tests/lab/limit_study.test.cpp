#include "limit_study.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "bad_input.hpp"
#include "limit_command.hpp"
#include "limit_page.hpp"
#include "support/catch.hpp"

namespace {

using namespace banyan::lab;
using strings = std::vector<std::string>;

limit_result study(std::string_view scenario, const strings& policies, std::uint32_t seconds = 90) {
  progress silent(stderr, false);
  return study_limits(find_limit_scenario(scenario), policies, {.seconds = seconds}, silent);
}

std::string joined(const limit_result& result) {
  std::string all;
  for (const std::string& sentence : result.reading) all += sentence + "\n";
  return all;
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("options of the limit study that are out of range are refused before anything is printed") {
  const auto refused = [](auto change) {
    limit_command_options options;
    change(options);
    CHECK_THROWS_AS(run_limit_command(options), bad_input);
  };
  refused([](auto& o) { o.workers = 2; });
  refused([](auto& o) { o.workers = 1001; });
  refused([](auto& o) { o.seconds = 8; });
  refused([](auto& o) { o.seconds = 3601; });
  refused([](auto& o) {
    o.workers = 1000;
    o.seconds = 101;
  });
  refused([](auto& o) { o.retries = 11; });
  for (const double bad : {0.0, -0.5, 2.1, std::stod("nan"), std::stod("inf")}) {
    refused([bad](auto& o) { o.load = bad; });
    refused([bad](auto& o) { o.timeout_ms = bad == 2.1 ? 1e6 : bad; });
  }
  refused([](auto& o) { o.service = "normal"; });
  refused([](auto& o) { o.policies = {"lru"}; });
  refused([](auto& o) { o.policies = {""}; });
  refused([](auto& o) { o.scenarios = {"quiet"}; });
  refused([](auto& o) { o.report = "no such directory/r.html"; });
}

TEST_CASE("the reading names who is best, who never recovers and who refuses without need") {
  const limit_result pulse = study("pulse", {"none", "circuit_breaker", "gradient2"});
  const std::string text = joined(pulse);
  CAPTURE(text);
  CHECK(text.starts_with("gradient2 answers "));
  CHECK(text.find("does not end with its cause: none (") != std::string::npos);
  CHECK(text.find("worst phase: circuit_breaker (") != std::string::npos);
  CHECK(joined(study("pulse", {"gradient2"})).find("It recovers") != std::string::npos);
  const limit_result calm = study("calm", {"none", "patience"});
  CHECK(joined(calm) == "No policy answers less than 100% of what was possible over the whole run.\n");
}

TEST_CASE("figures of the table are those of the run") {
  const limit_result result = study("pulse", {"none", "gradient2"});
  const auto columns = limit_columns(result);
  const auto column = [&](std::string_view name) {
    return *std::find_if(columns.begin(), columns.end(), [&](const limit_column& each) { return each.name == name; });
  };
  CHECK(column("recovers").text(result.runs[0]) == "never");
  CHECK(column("limit").text(result.runs[0]) == "-");
  CHECK(column("goodput %").text(result.runs[0]).starts_with("100 / "));
  CHECK(best_text(result, column("goodput %")) == column("goodput %").text(result.runs[1]));
  CHECK(best_text(result, column("p50 ms")).empty());
  CHECK(phase_names(*result.scenario) == "before / in trouble / after");
  const auto calm = limit_columns(study("calm", {"none"}, 9));
  CHECK(std::none_of(calm.begin(), calm.end(), [](const limit_column& each) { return each.name == "recovers"; }));
}

TEST_CASE("the page has a picture for each run") {
  const std::vector<limit_result> results = {study("pulse", {"none", "gradient2"}, 30), study("mild", {"fixed"}, 9)};
  const std::string page = limit_page(results);
  CHECK(count(page, "<svg class=\"run\"") == 3);
  CHECK(count(page, "class=\"limit\" d=\"M") == 2 + 2);  // of two runs, and in two legends
  CHECK(count(page, "<section") == 2);
  CHECK(count(page, "class=\"trouble\" d=\"M") == 2 + 2);
  CHECK(page.find("nan") == std::string::npos);
  CHECK(page.find("inf ") == std::string::npos);
  CHECK(page.ends_with("</html>\n"));
  CHECK(limit_page({}).ends_with("</html>\n"));
}
