#include "svg_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace banyan::lab {
namespace {

struct scale {
  double low = 0;
  double high = 1;
  double from = 0;
  double to = 1;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

// 1, 2 or 5 times a power of ten, so that about five steps cover `span`.
double round_step(double span) {
  const double power = std::pow(10.0, std::floor(std::log10(span / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (span / (factor * power) <= 6) return factor * power;
  }
  return 10 * power;
}

std::string marker(int shape, double x, double y) {
  switch (shape % 7) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.6\">", x, y);
    case 1:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"6.6\" height=\"6.6\">", x - 3.3, y - 3.3);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.4 7.6h-8.8z\">", x, y - 5);
    case 3:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.8 4.8l-4.8 4.8l-4.8 -4.8z\">", x, y - 4.8);
    case 4:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.4 -7.6h-8.8z\">", x, y + 5);
    case 5:
      return fmt::format("<path class=\"open\" d=\"M{:.1f} {:.1f}l7 7m0 -7l-7 7\">", x - 3.5, y - 3.5);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.6 3.3l-1.8 5.4h-5.6l-1.8 -5.4z\">", x, y - 4.7);
  }
}

std::string_view marker_end(int shape) {
  switch (shape % 7) {
    case 0:
      return "</circle>";
    case 1:
      return "</rect>";
    default:
      return "</path>";
  }
}

struct label {
  std::size_t series = 0;
  double wanted = 0;
  double placed = 0;
};

// Labels keep their order and `gap` between them, within [top, bottom], near where they are wanted.
void spread(std::vector<label>& labels, double gap, double top, double bottom) {
  double lowest = top;
  for (label& each : labels) {
    each.placed = std::max(each.wanted, lowest);
    lowest = each.placed + gap;
  }
  double highest = bottom;
  for (auto each = labels.rbegin(); each != labels.rend(); ++each) {
    each->placed = std::min(each->placed, highest);
    highest = each->placed - gap;
  }
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) result += c;
    }
  }
  return result;
}

std::string legend_sample(const chart_series& series) {
  return fmt::format(
      "<svg class=\"sample\" width=\"34\" height=\"14\" viewBox=\"0 0 34 14\" aria-hidden=\"true\"><g "
      "class=\"series {}{}\"><path class=\"line\" d=\"M1 7H33\"/>{}{}</g></svg>",
      series.style, series.dashed ? " dashed" : "", series.dashed ? "" : marker(series.marker, 17, 7),
      series.dashed ? "" : marker_end(series.marker));
}

std::string line_chart(const std::vector<chart_series>& series, const chart_options& options) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  double x_low = infinite;
  double x_high = 0;
  double y_low = infinite;
  double y_high = 0;
  for (const chart_series& each : series) {
    for (const chart_point& point : each.points) {
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      y_low = std::min(y_low, point.y);
      y_high = std::max(y_high, point.y);
    }
  }
  if (!(x_high > 0)) return {};
  if (x_high <= x_low) {  // a single size: give it the middle
    x_low /= 2;
    x_high *= 2;
  }
  // Zero belongs in the picture unless all the curves are far away from it.
  if (y_low < 0.5 * y_high) y_low = 0;
  const double step = round_step(std::max(0.01, y_high - y_low));
  y_low = std::floor(y_low / step + 1e-9) * step;
  y_high = std::min(1.0, std::ceil(y_high / step - 1e-9) * step);
  if (y_high <= y_low) y_high = y_low + step;

  const double left = 52;
  const double right = options.width - (options.labels ? 104 : 14);
  const double top = 30;
  const double bottom = options.height - 50;
  const scale x{std::log(x_low), std::log(x_high), left, right};
  const scale y{y_low, y_high, bottom, top};

  std::string out = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\" "
      "xmlns=\"http://www.w3.org/2000/svg\">\n",
      options.width, options.height, escape_markup(options.title));
  out += "<g class=\"axis\">\n";
  for (double value = y_low; value <= y_high + step / 1000; value += step) {
    const int decimals = step < 0.01 - 1e-12 ? 1 : 0;
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", left, y(value), right);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.{}f}%</text>\n", left - 8, y(value) + 4,
                       value * 100, decimals);
  }
  out += fmt::format("<path class=\"base\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", left, bottom, right);
  double free_from = -infinite;
  for (const chart_tick& tick : options.x_ticks) {
    if (tick.at < x_low * 0.999 || tick.at > x_high * 1.001) continue;
    const double at = x(std::log(tick.at));
    out += fmt::format("<path class=\"base\" d=\"M{:.1f} {:.1f}v5\"/>", at, bottom);
    // About 7 units to a character; a text that would run into the one before is left out.
    const double half = static_cast<double>(tick.text.size()) * 3.6 + 4;
    const double middle = std::min(at, options.width - half);
    if (middle - half < free_from) continue;
    free_from = middle + half;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", middle, bottom + 20,
                       escape_markup(tick.text));
  }
  out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                     (left + right) / 2, options.height - 8, escape_markup(options.x_label));
  out += fmt::format("<text class=\"name\" x=\"4\" y=\"14\">{}</text>\n</g>\n", escape_markup(options.y_label));

  for (const chart_series& each : series) {
    if (each.points.empty()) continue;
    out += fmt::format("<g class=\"series {}{}\"><path class=\"line\" d=\"", each.style, each.dashed ? " dashed" : "");
    char verb = 'M';
    for (const chart_point& point : each.points) {
      out += fmt::format("{}{:.1f} {:.1f}", verb, x(std::log(point.x)), y(point.y));
      verb = 'L';
    }
    out += "\"/>\n";
    for (const chart_point& point : each.points) {
      const double px = x(std::log(point.x));
      const double py = y(point.y);
      // The dashed curve shows no points, but can be pointed at all the same.
      out += each.dashed ? fmt::format("<circle class=\"hidden\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\">", px, py)
                         : marker(each.marker, px, py);
      out += fmt::format("<title>{}</title>{}\n", escape_markup(point.title),
                         each.dashed ? std::string_view("</circle>") : marker_end(each.marker));
    }
    out += "</g>\n";
  }

  if (options.labels) {
    std::vector<label> labels;
    for (std::size_t i = 0; i < series.size(); ++i) {
      if (!series[i].points.empty()) labels.push_back({i, y(series[i].points.back().y), 0});
    }
    // Curves that end in one point are named in the order in which they arrive there.
    const auto mean = [&](std::size_t index) {
      const auto& points = series[index].points;
      return std::accumulate(points.begin(), points.end(), 0.0,
                             [](double sum, const chart_point& point) { return sum + point.y; }) /
             static_cast<double>(points.size());
    };
    std::stable_sort(labels.begin(), labels.end(), [&](const label& a, const label& b) {
      if (std::abs(a.wanted - b.wanted) > 3) return a.wanted < b.wanted;
      return mean(a.series) > mean(b.series);
    });
    constexpr double gap = 17;
    // Room for all: a bunch at the lower edge is moved up as a whole.
    spread(labels, gap, top, bottom + 4);
    out += "<g class=\"labels\">\n";
    for (const label& each : labels) {
      const chart_series& named = series[each.series];
      out += fmt::format(
          "<g class=\"series {}{}\"><path class=\"leader\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>"
          "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text></g>\n",
          named.style, named.dashed ? " dashed" : "", right + 6, each.wanted, right + 24, each.placed, right + 28,
          each.placed + 4.5, escape_markup(named.name));
    }
    out += "</g>\n";
  }
  return out + "</svg>\n";
}

}  // namespace banyan::lab
