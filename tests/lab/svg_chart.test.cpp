#include "svg_chart.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "cache_page.hpp"
#include "html_page.hpp"
#include "support/catch.hpp"

namespace {

using namespace banyan::lab;

// Whether tags are closed in order, attributes quoted and no bare & or < is left. Not an XML parser, but it notices
// what a writer of SVG gets wrong. Names the first fault; empty when there is none.
std::string fault_in(std::string_view xml) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while (at < xml.size()) {
    if (xml[at] == '&') {
      const std::size_t end = xml.find(';', at);
      if (end == std::string_view::npos || end - at > 6) return "bare & at " + std::to_string(at);
      at = end + 1;
      continue;
    }
    if (xml[at] == '>') return "bare > at " + std::to_string(at);
    if (xml[at] != '<') {
      ++at;
      continue;
    }
    std::size_t end = at + 1;
    bool quoted = false;
    for (; end < xml.size() && (quoted || xml[end] != '>'); ++end) {
      if (xml[end] == '"') quoted = !quoted;
      if (xml[end] == '<') return "< inside a tag at " + std::to_string(end);
    }
    if (end == xml.size()) return "tag never ends";
    const std::string_view tag = xml.substr(at + 1, end - at - 1);
    const std::string name(
        tag.substr(tag.starts_with('/') ? 1 : 0, tag.find_first_of(" /", 1) - (tag.starts_with('/') ? 1 : 0)));
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != name) return "unexpected </" + name + ">";
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
    at = end + 1;
  }
  return open.empty() ? "" : "<" + open.back() + "> not closed";
}

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

cache_result small_result() {
  return {.name = "a <b> & \"c\"",
          .description = "made up",
          .requests = 1000,
          .keys = 100,
          .skipped = 2,
          .sizes = {{1, ""}, {5, "5%"}, {100, ""}},
          .policies = {{"lru", {0.1, 0.5, 0.9}, 12}, {"sieve", {0.2, 0.4, 0.9}, 15}},
          .optimum = {"belady", {0.3, 0.6, 0.9}, 0},
          .recommendation = "Use it."};
}

}  // namespace

TEST_CASE("the check for well-formedness finds faults") {
  CHECK(fault_in("<a b=\"1>\"><c/>t &amp;</a>").empty());
  CHECK_FALSE(fault_in("<a><b></a></b>").empty());
  CHECK_FALSE(fault_in("<a>x & y</a>").empty());
  CHECK_FALSE(fault_in("<a>").empty());
  CHECK_FALSE(fault_in("<a><</a>").empty());
}

TEST_CASE("a chart is well-formed and has all its curves") {
  std::vector<chart_series> series = {{"lru <&>", "p-lru", 0, false, {{1, 0.9, "a&b"}, {10, 0.5, ""}, {1000, 0.1, ""}}},
                                      {"belady", "p-belady", 7, true, {{1, 0.8, ""}, {10, 0.4, ""}, {1000, 0.1, ""}}}};
  for (int marker = 1; marker < 7; ++marker) {
    series.push_back({"s" + std::to_string(marker), "p", marker, false, {{1, 0.9, ""}, {1000, 0.1, ""}}});
  }
  for (const bool labels : {true, false}) {
    const std::string svg =
        line_chart(series, {.labels = labels, .title = "<t>", .x_ticks = {{1, "1"}, {10, "10"}, {1e9, "far"}}});
    CHECK(fault_in(svg) == "");
    CHECK(holds(svg, "viewBox"));
    CHECK(holds(svg, "dashed"));
    CHECK_FALSE(holds(svg, "nan"));
    CHECK_FALSE(holds(svg, "inf"));
    CHECK_FALSE(holds(svg, ">far<"));
    CHECK(holds(svg, "lru &lt;&amp;&gt;") == labels);
  }
  for (const chart_series& each : series) CHECK(fault_in(legend_sample(each)) == "");
}

TEST_CASE("charts of hardly anything") {
  CHECK(line_chart({}, {}).empty());
  CHECK(line_chart({{"empty", "p", 0, false, {}}}, {}).empty());
  for (const double y : {0.0, 0.5, 1.0}) {
    CAPTURE(y);
    const std::string svg = line_chart({{"point", "p", 0, false, {{1, y, ""}}}}, {});
    CHECK(fault_in(svg) == "");
    CHECK_FALSE(holds(svg, "nan"));
    CHECK_FALSE(holds(svg, "inf"));
  }
}

TEST_CASE("markup in names is escaped") {
  CHECK(escape_markup("<a href='x'>&\"\x1b") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
}

TEST_CASE("the page stands alone") {
  const std::string page = cache_page({small_result(), small_result()});
  CHECK(holds(page, "prefers-color-scheme: dark"));
  CHECK(holds(page, "name=\"viewport\""));
  CHECK(holds(page, "a &lt;b&gt; &amp;"));
  CHECK_FALSE(holds(page, "a <b>"));
  CHECK(holds(page, "<td class=\"best\">50.00%</td>"));
  for (const char* loading : {"<script", "<link", "src=", "@import", "url(", "href=\"http"}) {
    CAPTURE(loading);
    CHECK_FALSE(holds(page, loading));
  }
  for (std::size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1)) {
    CHECK(fault_in(page.substr(at, page.find("</svg>", at) + 6 - at)) == "");
  }
}
