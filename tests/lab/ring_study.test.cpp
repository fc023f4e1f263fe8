#include "ring_study.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "bad_input.hpp"
#include "command_line.hpp"
#include "ring_algorithms.hpp"
#include "ring_command.hpp"
#include "ring_page.hpp"
#include "support/catch.hpp"

namespace {

using namespace banyan::lab;
using strings = std::vector<std::string>;

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

ring_result study(std::size_t nodes, const strings& algorithms, ring_options options = {}) {
  progress silent(stderr, false);
  options.sets = 1;
  return study_rings(nodes, algorithms, options, silent);
}

const ring_run& run_of(const ring_result& result, std::string_view name) {
  const auto found = std::find_if(result.runs.begin(), result.runs.end(),
                                  [&](const ring_run& run) { return run.algorithm->name == name; });
  REQUIRE(found != result.runs.end());
  return *found;
}

}  // namespace

TEST_CASE("whole numbers in lists") {
  CHECK(listed_numbers("--nodes", {"10,2", "7"}) == std::vector<std::uint64_t>{10, 2, 7});
  for (const char* bad : {"", "1,", ",1", "-1", "1.5", " 1", "x", "18446744073709551616"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(listed_numbers("--nodes", {bad}), bad_input);
  }
}

TEST_CASE("ring: options out of range are refused before anything is printed") {
  const auto refused = [](auto change) {
    ring_command_options options;
    change(options);
    CHECK_THROWS_AS(run_ring_command(options), bad_input);
  };
  refused([](auto& o) { o.algorithms = {"lru"}; });
  for (const char* bad : {"0", "1", "10001", "ten", ""}) refused([bad](auto& o) { o.nodes = {bad}; });
  for (const char* bad : {"0", "17", "0.5", "-1", ""}) refused([bad](auto& o) { o.weights = {bad}; });
  refused([](auto& o) { o.keys = 0; });
  refused([](auto& o) { o.keys = 100'001; });
  refused([](auto& o) {
    o.nodes = {"10000"};
    o.keys = 2001;
  });
  refused([](auto& o) {
    o.nodes = {"5000"};
    o.algorithms = {"rendezvous"};
  });
  refused([](auto& o) { o.sets = 0; });
  refused([](auto& o) { o.points = 0; });
  refused([](auto& o) { o.table_size = 65'536; });
  refused([](auto& o) { o.table_size = 7; });
  refused([](auto& o) { o.report = "no such directory/r.html"; });
}

// What the algorithms promise is what the study finds, and what it finds of modulo shows that it can find faults.
TEST_CASE("the ring study measures balance and movement") {
  const ring_result result = study(10, {ring_algorithm_names().begin(), ring_algorithm_names().end()});
  REQUIRE(result.runs.size() == ring_algorithms().size());
  for (const ring_run& run : result.runs) {
    CAPTURE(run.algorithm->name);
    REQUIRE(run.loads.size() == 10);
    double sum = 0;
    for (const float load : run.loads) sum += load;
    CHECK(std::abs(sum - 10) < 1e-4);
    CHECK(std::abs(run.fullest - static_cast<double>(*std::max_element(run.loads.begin(), run.loads.end()))) < 1e-6);
    CHECK(run.look_up_ns > 0);
    CHECK(run.build_us > 0);
    CHECK(run.deviation > 0.002);
    CHECK(run.deviation < 0.5);
  }
  for (const char* faithful : {"ring", "multi_probe", "rendezvous", "anchor", "jump", "jump_back", "nginx"}) {
    CAPTURE(faithful);
    const ring_run& run = run_of(result, faithful);
    CHECK(run.needless == 0);
    CHECK(run.moved_out == 1);
    CHECK(run.moved_in == 1);
  }
  const ring_run& maglev = run_of(result, "maglev");
  CHECK(maglev.needless > 0);
  CHECK(maglev.needless < 0.02);
  const ring_run& modulo = run_of(result, "modulo");
  CHECK(modulo.needless > 0.7);
  CHECK(modulo.moved_in > 8);
  CHECK(run_of(result, "ring").bytes_a_node > 8 * 160);
  CHECK(run_of(result, "jump").bytes_a_node == 0);
}

TEST_CASE("the ring study goes by weights") {
  const ring_result result = study(12, {"ring", "anchor", "jump"}, {.weights = {1, 3}});
  CHECK(run_of(result, "anchor").fullest < 1.2);
  CHECK(run_of(result, "ring").needless == 0);
  CHECK(run_of(result, "jump").fullest > 1.8);  // knows no weights: each light node gets as much as a heavy one
}

TEST_CASE("rings: the same figures each time, others with another seed") {
  const ring_result one = study(7, {"ring"});
  CHECK(one.runs[0].loads == study(7, {"ring"}).runs[0].loads);
  CHECK(one.runs[0].loads != study(7, {"ring"}, {.seed = 2}).runs[0].loads);
}

TEST_CASE("rings: columns, the best of each, and the reading") {
  const ring_result result = study(10, {"maglev", "ring", "modulo"});
  const auto columns = ring_columns(result.options);
  REQUIRE(columns.size() == 9);
  CHECK(columns[4].name == "needless");
  CHECK(best_text(result, columns[4]) == "0.00%");
  CHECK(best_text(result, columns[0]) == columns[0].text(run_of(result, "maglev").fullest));
  CHECK(best_text(study(3, {"ring"}), columns[0]).empty());
  CAPTURE(result.reading);
  CHECK(count(result.reading, "looks up fastest") == 1);
  CHECK(count(result.reading, "maglev is the most even") == 1);
  CHECK(count(result.reading, "modulo") == 0);
  const ring_result untimed = study(10, {"maglev", "ring"}, {.times = false});
  CHECK(ring_columns(untimed.options).size() == 6);
  CHECK(count(untimed.reading, " ns") == 0);
  CHECK(count(ring_page({untimed, untimed}), "<section") == 2);
  CHECK(study(3, {"modulo"}).reading == "Nothing to compare modulo with.");
  CHECK(study(2'001, {"rendezvous", "jump"}, {.keys_per_node = 2}).runs.size() == 1);
}

TEST_CASE("the ring page is whole") {
  const strings all{ring_algorithm_names().begin(), ring_algorithm_names().end()};
  const std::string page = ring_page({study(2, all), study(30, all, {.weights = {1, 5}})});
  for (const char* tag : {"section", "table", "tr", "svg", "ul", "li", "g", "p", "div", "title", "text"}) {
    CAPTURE(tag);
    const std::string open = std::string("<") + tag;
    CHECK(count(page, open + ">") + count(page, open + " ") == count(page, std::string("</") + tag + ">"));
  }
  CHECK(count(page, "<section") == 3);
  CHECK(count(page, "class=\"chart loads\"") == 4);
  CHECK(count(page, "http") == count(page, "http://www.w3.org/2000/svg"));
  CHECK(count(page, "nan") == 0);
  CHECK(count(page, "inf") == 0);
  for (const std::string& name : all) {
    CAPTURE(name);
    CHECK(count(page, ".r-" + name + " {") + count(page, ".r-" + name + ", ") > 0);
  }
  CHECK(ring_page({}).ends_with("</html>\n"));
}
