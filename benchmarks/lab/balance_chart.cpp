#include "balance_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "balance_policies.hpp"
#include "table.hpp"

namespace banyan::lab {
namespace {

// Upper bounds of the shades: requests at a server for each of its workers.
constexpr std::array<float, 6> shades = {0.25F, 0.75F, 1.5F, 4, 12, 1e9F};
constexpr std::array<std::string_view, 6> shade_texts = {"below 0.25", "to 0.75", "to 1.5", "to 4", "to 12", "more"};

std::string quantile_name(int decade) {
  constexpr std::array<std::string_view, 7> names = {"p0", "p90", "p99", "p99.9", "p99.99", "p99.999", "p99.9999"};
  return std::string{names[static_cast<std::size_t>(decade)]};
}

}  // namespace

std::string_view balance_colours() noexcept {
  // Families by colour, as in the page's own style sheet; within one, dashes and markers tell the policies apart.
  return R"css(
:root { --b-round_robin: #2f66a8; --b-smooth_weighted_round_robin: #0f8ba8; --b-random_choice: #cf4257;
  --b-least_connections: #2a7a33; --b-power_of_two: #1c1e21; --b-peak_ewma: #9a2f75; --b-sticky: #5c6168;
  --b-ring_affinity: #97800a; --b-maglev_affinity: #b05a00; --b-rendezvous_affinity: #7a5c3a;
  --b-maglev_bounded: #5a7a00; --load: #b03a1a; }
@media (prefers-color-scheme: dark) { :root { --b-round_robin: #74a9ea; --b-smooth_weighted_round_robin: #66ccee;
  --b-random_choice: #ff8794; --b-least_connections: #5cc46b; --b-power_of_two: #ffffff; --b-peak_ewma: #e08bc4;
  --b-sticky: #a3a8af; --b-ring_affinity: #d9c74b; --b-maglev_affinity: #f0a050; --b-rendezvous_affinity: #c9a77c;
  --b-maglev_bounded: #a8cc50; --load: #ff8a5c; } }
.p-round_robin { color: var(--b-round_robin); }
.p-smooth_weighted_round_robin { color: var(--b-smooth_weighted_round_robin); }
.p-random_choice { color: var(--b-random_choice); } .p-least_connections { color: var(--b-least_connections); }
.p-power_of_two { color: var(--b-power_of_two); } .p-peak_ewma { color: var(--b-peak_ewma); }
.p-sticky { color: var(--b-sticky); } .p-ring_affinity { color: var(--b-ring_affinity); }
.p-maglev_affinity { color: var(--b-maglev_affinity); }
.p-rendezvous_affinity { color: var(--b-rendezvous_affinity); }
.p-maglev_bounded { color: var(--b-maglev_bounded); }
.p-smooth_weighted_round_robin .line { stroke-dasharray: 8 8; } .p-sticky .line { stroke-dasharray: 2 4; }
.p-ring_affinity .line { stroke-dasharray: 12 3; } .p-maglev_affinity .line { stroke-dasharray: 9 3 2 3; }
.p-rendezvous_affinity .line { stroke-dasharray: 5 3; } .p-maglev_bounded .line { stroke-dasharray: 12 3 2 3 2 3; }
.loads { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .8rem 1.2rem;
  margin: .8rem 0; }
.loads figure { margin: 0; } .loads figcaption { font-size: .82rem; overflow-wrap: anywhere; }
.load { display: block; width: 100%; height: auto; } .load path, .shade { fill: var(--load); }
.load .frame { fill: none; stroke: var(--rule); }
.s1 { fill-opacity: .12; } .s2 { fill-opacity: .28; } .s3 { fill-opacity: .48; } .s4 { fill-opacity: .72; }
.s5 { fill-opacity: 1; } .s0 { fill-opacity: 0; stroke: var(--rule); }
@media (min-width: 641px) { table { font-size: .88rem; } th, td { padding: .28rem .42rem; } }
)css";
}

std::vector<chart_series> latency_curves(const balance_result& result) {
  const auto known = balance_policy_names();
  std::vector<chart_series> series;
  for (const balance_run& run : result.runs) {
    chart_series curve{.name = run.policy, .style = "p-" + run.policy};
    const auto number = std::find(known.begin(), known.end(), run.policy) - known.begin();
    curve.marker = static_cast<int>(number);
    curve.marked = 5;
    for (const latency_point& point : run.result.curve) {
      curve.points.push_back(
          {point.one_in, std::max(0.1, point.ms),
           fmt::format("{}: one request in {:.3g} takes more than {:.1f} ms", run.policy, point.one_in, point.ms)});
    }
    series.push_back(std::move(curve));
  }
  return series;
}

chart_options latency_axes(const balance_result& result) {
  chart_options axes{.height = 420,
                     .label_room = 270,
                     .heights = chart_heights::logarithmic,
                     .x_from = 1.2,
                     .title = fmt::format("Latency of each policy by percentile, scenario {}", result.scenario->name),
                     .x_label = "percentile",
                     .y_label = "latency in ms",
                     .x_ticks = {{2, "p50"}}};
  for (int decade = 1; decade <= 6; ++decade) axes.x_ticks.push_back({std::pow(10.0, decade), quantile_name(decade)});
  return axes;
}

std::string load_picture(const balance_run& run) {
  constexpr std::size_t most_rows = 40;
  const std::size_t rows = std::min(most_rows, run.result.servers.size());
  const std::size_t columns = rows == 0 ? 0 : run.result.servers.front().in_flight.size();
  if (columns == 0) return {};
  const std::size_t height = rows > 20 ? 4 : 8;
  std::array<std::string, shades.size()> paths;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto& load = run.result.servers[row].in_flight;
    const auto shade_at = [&](std::size_t column) {
      return static_cast<std::size_t>(std::lower_bound(shades.begin(), shades.end(), load[column]) - shades.begin());
    };
    for (std::size_t from = 0; from < columns;) {
      std::size_t to = from + 1;
      while (to < columns && shade_at(to) == shade_at(from)) ++to;
      const std::size_t shade = std::min(shade_at(from), shades.size() - 1);
      if (shade > 0)
        paths[shade] +=
            fmt::format("M{} {}h{}v{}h-{}z", from * 4, row * height, (to - from) * 4, height - 1, (to - from) * 4);
      from = to;
    }
  }
  std::string out = fmt::format(
      "<svg class=\"load\" viewBox=\"-1 -1 {} {}\" role=\"img\" aria-label=\"load of each server over time, {}\" "
      "xmlns=\"http://www.w3.org/2000/svg\"><path class=\"frame\" d=\"M-.5 -.5h{}v{}h-{}z\"/>",
      columns * 4 + 2, rows * height + 2, escape_markup(run.policy), columns * 4 + 1, rows * height + 1,
      columns * 4 + 1);
  for (std::size_t shade = 1; shade < paths.size(); ++shade) {
    if (!paths[shade].empty()) out += fmt::format("<path class=\"s{}\" d=\"{}\"/>", shade, paths[shade]);
  }
  return out + "</svg>\n";
}

std::string load_legend() {
  std::string out = "<ul class=\"legend\">";
  for (std::size_t shade = 0; shade < shades.size(); ++shade) {
    out += fmt::format(
        "<li><svg class=\"sample\" width=\"16\" height=\"12\" viewBox=\"0 0 16 12\" aria-hidden=\"true\"><rect "
        "class=\"shade s{}\" x=\".5\" y=\".5\" width=\"15\" height=\"11\"/></svg>{}</li>",
        shade, shade_texts[shade]);
  }
  return out + "</ul>\n";
}

}  // namespace banyan::lab
