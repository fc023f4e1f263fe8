#include "ring_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "html_page.hpp"
#include "svg_chart.hpp"
#include "table.hpp"

namespace banyan::lab {
namespace {

// Families by colour, as in the page's own style sheet; within one, dashes and markers tell the algorithms apart.
constexpr std::string_view colours = R"css(
:root { --r-table: #cf4257; --r-ring: #2f66a8; --r-draw: #7a5c3a; --r-anchor: #2a7a33; --r-bucket: #9a2f75;
  --r-others: #97800a; --r-modulo: #5c6168; }
@media (prefers-color-scheme: dark) { :root { --r-table: #ff8794; --r-ring: #74a9ea; --r-draw: #c9a77c;
  --r-anchor: #5cc46b; --r-bucket: #e08bc4; --r-others: #d9c74b; --r-modulo: #a3a8af; } }
.r-maglev { color: var(--r-table); } .r-ring, .r-multi_probe { color: var(--r-ring); }
.r-rendezvous { color: var(--r-draw); } .r-anchor { color: var(--r-anchor); }
.r-jump, .r-jump_back { color: var(--r-bucket); } .r-modulo { color: var(--r-modulo); }
.r-ketama, .r-nginx, .r-envoy_ring, .r-envoy_maglev { color: var(--r-others); }
.r-multi_probe .line, .r-jump .line { stroke-dasharray: 8 4; } .r-nginx .line { stroke-dasharray: 2 4; }
.r-envoy_ring .line { stroke-dasharray: 9 3 2 3; } .r-envoy_maglev .line { stroke-dasharray: 12 3 2 3 2 3; }
.loads text { font-size: 13px; } .loads .fair { stroke: var(--ink); fill: none; } .loads path.bin { fill: currentColor; }
.s0 { fill-opacity: .22; } .s1 { fill-opacity: .4; } .s2 { fill-opacity: .6; } .s3 { fill-opacity: .8; }
.s4 { fill-opacity: 1; }
@media (min-width: 641px) { table { font-size: .88rem; } th, td { padding: .28rem .3rem; } }
)css";

constexpr std::size_t shades = 5;

// A row for each algorithm, a mark for each node at its load: the closer the marks, the more even. Marks that fall
// together are darker.
std::string load_picture(const ring_result& result, double width) {
  constexpr double name_room = 112;
  constexpr double row_height = 24;
  constexpr double top = 26;
  float low = 0.8F;
  float high = 1.2F;
  for (const ring_run& run : result.runs) {
    for (const float load : run.loads) {
      low = std::min(low, load);
      high = std::max(high, std::min(load, 3.0F));
    }
  }
  const double left = name_room;
  const double right = width - 16;
  const auto x = [&](double load) { return left + (load - low) / (high - low) * (right - left); };
  const double bottom = top + row_height * static_cast<double>(result.runs.size());
  std::string out = fmt::format(
      "<svg class=\"chart loads\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"load of each node for its "
      "share, {} nodes\" xmlns=\"http://www.w3.org/2000/svg\">\n<g class=\"axis\">",
      width, bottom + 34, result.nodes);
  const double step = (high - low) / (width < 500 ? 4 : 8) > 0.2 ? 0.5 : high - low > 0.8 ? 0.2 : 0.1;
  for (double at = std::ceil(low / step) * step; at <= high + 1e-6; at += step) {
    out += fmt::format(
        "<path class=\"grid\" d=\"M{0:.1f} {1:.1f}V{2:.1f}\"/><text x=\"{0:.1f}\" y=\"{3:.1f}\" "
        "text-anchor=\"middle\">{4:.1f}</text>",
        x(at), top - 4, bottom, bottom + 16, at);
  }
  out +=
      fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"14\">keys of each node, its share being 1</text></g>\n", left);
  for (std::size_t row = 0; row < result.runs.size(); ++row) {
    const ring_run& run = result.runs[row];
    const double y = top + row_height * static_cast<double>(row);
    const double bin = width < 500 ? 2 : 3;
    std::vector<std::uint32_t> bins(static_cast<std::size_t>((right - left) / bin) + 1);
    for (const float load : run.loads) ++bins[static_cast<std::size_t>((x(std::min(load, high)) - left) / bin)];
    const std::uint32_t most = *std::max_element(bins.begin(), bins.end());
    std::array<std::string, shades> paths;
    for (std::size_t i = 0; i < bins.size(); ++i) {
      if (bins[i] == 0) continue;
      paths[(bins[i] * shades - 1) / most] +=
          fmt::format("M{:.0f} {:.0f}h{}v16h-{}z", left + static_cast<double>(i) * bin, y, bin, bin);
    }
    out += fmt::format(
        "<g class=\"series r-{0}\"><text x=\"{1:.1f}\" y=\"{2:.1f}\" text-anchor=\"end\" "
        "fill=\"currentColor\">{0}</text>"
        "<title>{0}: from {3:.3f} to {4:.3f}</title>",
        run.algorithm->name, left - 8, y + 12, *std::min_element(run.loads.begin(), run.loads.end()),
        *std::max_element(run.loads.begin(), run.loads.end()));
    for (std::size_t shade = 0; shade < shades; ++shade) {
      if (!paths[shade].empty()) out += fmt::format("<path class=\"bin s{}\" d=\"{}\"/>", shade, paths[shade]);
    }
    out += "</g>\n";
  }
  out += fmt::format("<path class=\"fair\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>", x(1), top - 4, bottom);
  return out + "</svg>\n";
}

std::string section(const ring_result& result) {
  std::string out =
      fmt::format("<section id=\"nodes{}\">\n<h2>{} nodes</h2>\n", result.nodes, with_commas(result.nodes));
  out += "<p class=\"advice\">" + escape_markup(result.reading) + "</p>\n";
  // Scaled down to a phone the wide picture's text could not be read; so there is a second one.
  out += "<div class=\"only-wide\">\n" + load_picture(result, 860) + "</div>\n<div class=\"only-narrow\">\n" +
         load_picture(result, 380) + "</div>\n";
  return out + ring_table("algorithm", result).html() + "</section>\n";
}

std::string cost_section(const std::vector<ring_result>& results) {
  std::vector<chart_series> series;
  chart_options axes{.height = 420,
                     .label_room = 142,
                     .heights = chart_heights::logarithmic,
                     .title = "Cost of a look-up by number of nodes",
                     .x_label = "nodes",
                     .y_label = "ns a look-up"};
  for (const ring_result& result : results) {
    axes.x_ticks.push_back({static_cast<double>(result.nodes), with_commas(result.nodes)});
    for (const ring_run& run : result.runs) {
      const std::string name{run.algorithm->name};
      auto curve =
          std::find_if(series.begin(), series.end(), [&](const chart_series& each) { return each.name == name; });
      if (curve == series.end()) {
        const auto number = static_cast<int>(run.algorithm - ring_algorithms().data());
        curve = series.insert(curve, {.name = name, .style = "r-" + name, .marker = number});
      }
      curve->points.push_back(
          {static_cast<double>(result.nodes), std::max(run.look_up_ns, 0.01),
           fmt::format("{}, {} nodes: {:.1f} ns", name, with_commas(result.nodes), run.look_up_ns)});
    }
  }
  std::string out = "<section id=\"cost\">\n<h2>Cost of a look-up</h2>\n<div class=\"only-wide\">\n" +
                    line_chart(series, axes) + "</div>\n";
  axes.width = 380;
  axes.height = 340;
  axes.labels = false;
  return out + "<div class=\"only-narrow\">\n" + line_chart(series, axes) + chart_legend(series) +
         "</div>\n</section>\n";
}

}  // namespace

std::string ring_page(const std::vector<ring_result>& results) {
  std::string body = further_styles(colours) + "<h1>Which placement of keys on nodes?</h1>\n";
  if (results.empty()) return html_page("banyan lab: rings", body);
  body +=
      "<p class=\"soft\">" + escape_markup(describe(results.front().options)) +
      ". Of the columns: the fullest node for its share; the standard deviation of the loads; keys moved when a node "
      "came and when one went, against those that it got or had; keys moved between two nodes that stayed; a look-up, "
      "the "
      "hash of the key excluded; the table built anew; a node added and removed again; memory apart from names. "
      "Times are those of the machine of this run, the least of several rounds. jump, jump_back and modulo know no "
      "weights and lose their last node. In each column the best is bold, modulo aside.</p>\n";
  if (results.size() > 1 && results.front().options.times) body += cost_section(results);
  for (const ring_result& each : results) body += section(each);
  return html_page("banyan lab: rings", body);
}

}  // namespace banyan::lab
