#include "limit_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "svg_chart.hpp"
#include "table.hpp"

namespace banyan::lab {
namespace {

constexpr double left = 34;
constexpr double right = 316;
constexpr double top = 8;
constexpr double middle = 96;  // where the upper picture ends
constexpr double lower = 108;
constexpr double bottom = 182;

double across(const limit_result& result, double second) {
  return left + (right - left) * second / result.options.seconds;
}

constexpr std::size_t most_points = 100;

// A line through the means of equal stretches of time.
template <class Scale>
std::string line(const limit_result& result, const limit_run& run, double limit_sums::*figure, Scale scale) {
  std::string path;
  const auto& seconds = run.result.seconds;
  const std::size_t stretch = (seconds.size() + most_points - 1) / most_points;
  for (std::size_t from = 0; from < seconds.size(); from += stretch) {
    const std::size_t to = std::min(from + stretch, seconds.size());
    double sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += seconds[i].*figure;
    const auto half = static_cast<double>(from + to) / 2;
    path += fmt::format("{}{:.1f} {:.1f}", from == 0 ? 'M' : 'L', across(result, half),
                        scale(sum / static_cast<double>(to - from)));
  }
  return path;
}

std::string label(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor, text);
}

// 1, 2 or 5 times a power of ten, not above `value`.
double round_down(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power <= value) return factor * power;
  }
  return power;
}

std::string legend_line(std::string_view style, std::string_view text) {
  return fmt::format(
      "<li><svg class=\"sample run\" width=\"26\" height=\"12\" viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path "
      "class=\"{}\" d=\"{}\"/></svg>{}</li>",
      style, style == "answered" || style == "trouble" ? "M0 1H26V11H0Z" : "M0 6H26", text);
}

}  // namespace

std::string_view limit_colours() noexcept {
  return R"css(
:root { --answered: #2f66a8; --limit: #b03a1a; --inside: #83878c; --trouble: #f4e3d3; }
@media (prefers-color-scheme: dark) { :root { --answered: #74a9ea; --limit: #ff8a5c; --inside: #8d9299;
  --trouble: #3a2f26; } }
.runs { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem 1.2rem; margin: .8rem 0; }
.runs figure { margin: 0; } .runs figcaption { font-size: .82rem; overflow-wrap: anywhere; }
.run { display: block; width: 100%; height: auto; font-size: 10px; } .run text { fill: var(--soft); }
svg.sample.run { width: 26px; }
.run path { fill: none; stroke-linejoin: round; } .run .frame { stroke: var(--rule); }
.run .answered { fill: var(--answered); fill-opacity: .55; } .run .arrived { stroke: var(--ink); stroke-width: 1.2; }
.run .limit { stroke: var(--limit); stroke-width: 1.8; } .run .inside { stroke: var(--inside); stroke-width: 1.4; }
.run .trouble { fill: var(--trouble); }
@media (min-width: 641px) { main { max-width: 68rem; } table { font-size: .8rem; } th, td { padding: .25rem .4rem; } }
)css";
}

limit_heights heights_of(const limit_result& result) {
  limit_heights heights{.in_flight = 10.0 * result.options.workers};
  for (const limit_run& run : result.runs) {
    for (const limit_sums& each : run.result.seconds) {
      heights.requests = std::max(heights.requests, each.arrived);
      heights.in_flight = std::max(heights.in_flight, each.limit);
    }
  }
  return heights;
}

std::string run_picture(const limit_result& result, const limit_run& run, const limit_heights& heights) {
  const auto up = [&](double value) { return middle - (middle - top) * value / heights.requests; };
  const auto low = [&](double value) {
    const double shown = std::clamp(value, 1.0, heights.in_flight);
    return bottom - (bottom - lower) * std::log(shown) / std::log(heights.in_flight);
  };
  std::string out = fmt::format(
      "<svg class=\"run\" viewBox=\"0 0 320 200\" role=\"img\" aria-label=\"requests answered over time with {}, {}% "
      "of "
      "what was possible\" xmlns=\"http://www.w3.org/2000/svg\">\n",
      escape_markup(run.policy->name), std::lround(run.goodput() * 100));
  if (result.scenario->to > result.scenario->from) {
    const double from = across(result, result.scenario->from * result.options.seconds);
    const double to = across(result, result.scenario->to * result.options.seconds);
    out += fmt::format("<path class=\"trouble\" d=\"M{:.1f} {}H{:.1f}V{}H{:.1f}Z\"/>", from, top, to, bottom, from);
  }
  // The area is closed at its own first and last point.
  const std::string answered = line(result, run, &limit_sums::answered, up);
  out += fmt::format("<path class=\"answered\" d=\"{}V{}H{}Z\"/>\n", answered, middle,
                     answered.substr(1, answered.find(' ') - 1));
  out += fmt::format("<path class=\"arrived\" d=\"{}\"/>\n", line(result, run, &limit_sums::arrived, up));
  out += fmt::format("<path class=\"inside\" d=\"{}\"/>\n", line(result, run, &limit_sums::in_flight, low));
  if (run.policy->has_limit)
    out += fmt::format("<path class=\"limit\" d=\"{}\"/>\n", line(result, run, &limit_sums::limit, low));
  out += fmt::format("<path class=\"frame\" d=\"M{0} {2}V{3}H{1}M{0} {4}V{5}H{1}\"/>", left, right, top, middle, lower,
                     bottom);
  const double requests = round_down(heights.requests);
  out += label(left - 4, up(requests) + 3, "end",
               requests < 10'000 ? fmt::format("{:g}", requests) : fmt::format("{:g} k", requests / 1000)) +
         label(left - 4, middle, "end", "0");
  const double most = std::pow(10.0, std::floor(std::log10(heights.in_flight)));
  out += label(left - 4, low(most) + 3, "end",
               most < 1000 ? fmt::format("{:.0f}", most) : fmt::format("{:.0f} k", most / 1000)) +
         label(left - 4, bottom, "end", "1");
  for (int i = 0; i <= 3; ++i) {
    const double second = std::floor(result.options.seconds / 3.0 * i);
    out += label(across(result, second), bottom + 12,
                 i == 0   ? "start"
                 : i == 3 ? "end"
                          : "middle",
                 i == 3 ? fmt::format("{:g} s", second) : fmt::format("{:g}", second));
  }
  return out + "</svg>\n";
}

std::string run_legend() {
  return "<ul class=\"legend\">" + legend_line("arrived", "requests arrived, a second") +
         legend_line("answered", "of these answered in time") +
         legend_line("inside", "below, logarithmic and cut off: in the service, waiting or worked on") +
         legend_line("limit", "concurrency limit") + legend_line("trouble", "the trouble") + "</ul>\n";
}

}  // namespace banyan::lab
