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
  bool logarithmic = true;
  double operator()(double value) const {
    const double part = logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return from + part * (to - from);
  }
};

struct extent {
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
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

std::vector<chart_tick> percent_ticks(extent& range) {
  // Zero belongs in the picture unless all the curves are far away from it.
  if (range.low < 0.5 * range.high) range.low = 0;
  const double step = round_step(std::max(0.01, range.high - range.low));
  range.low = std::floor(range.low / step + 1e-9) * step;
  range.high = std::min(1.0, std::ceil(range.high / step - 1e-9) * step);
  if (range.high <= range.low) range.high = range.low + step;
  std::vector<chart_tick> ticks;
  for (double value = range.low; value <= range.high + step / 1000; value += step) {
    ticks.push_back({value, fmt::format("{:.{}f}%", value * 100, step < 0.01 - 1e-12 ? 1 : 0)});
  }
  return ticks;
}

std::vector<chart_tick> logarithmic_ticks(extent& range) {
  // Half a decade at least, so that curves that hardly differ do not look as if they did.
  range.low *= 0.9;
  range.high = std::max(range.high * 1.1, range.low * 3);
  std::vector<chart_tick> ticks;
  const bool few = range.high / range.low > 3000;
  for (double power = std::pow(10.0, std::floor(std::log10(range.low))); power <= range.high; power *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double at = power * factor;
      if ((few && factor > 1) || at < range.low || at > range.high) continue;
      ticks.push_back({at, fmt::format("{:.6g}", at)});
    }
  }
  return ticks;
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

std::string chart_legend(const std::vector<chart_series>& series) {
  std::string out = "<ul class=\"legend\">";
  for (const chart_series& each : series) out += "<li>" + legend_sample(each) + escape_markup(each.name) + "</li>";
  return out + "</ul>\n";
}

std::string line_chart(const std::vector<chart_series>& series, const chart_options& options) {
  extent across;
  extent up;
  for (const chart_series& each : series) {
    for (const chart_point& point : each.points) {
      across.take(point.x);
      up.take(point.y);
    }
  }
  if (!(across.high > 0)) return {};
  if (options.x_from > 0) across.low = options.x_from;
  if (across.high <= across.low) {  // a single size: give it the middle
    across.low /= 2;
    across.high *= 2;
  }
  const bool percent = options.heights == chart_heights::percent;
  if (!percent && !(up.low > 0)) return {};
  const std::vector<chart_tick> y_ticks = percent ? percent_ticks(up) : logarithmic_ticks(up);

  const double left = 52;
  const double right = options.width - (options.labels ? options.label_room : 14);
  const double top = 30;
  const double bottom = options.height - 50;
  const scale x{across.low, across.high, left, right};
  const scale y{up.low, up.high, bottom, top, !percent};

  std::string out = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\" "
      "xmlns=\"http://www.w3.org/2000/svg\">\n",
      options.width, options.height, escape_markup(options.title));
  out += "<g class=\"axis\">\n";
  for (const chart_tick& tick : y_ticks) {
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", left, y(tick.at), right);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 8, y(tick.at) + 4,
                       tick.text);
  }
  out += fmt::format("<path class=\"base\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", left, bottom, right);
  double free_from = -std::numeric_limits<double>::infinity();
  for (const chart_tick& tick : options.x_ticks) {
    if (tick.at < across.low * 0.999 || tick.at > across.high * 1.001) continue;
    const double at = x(tick.at);
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
      out += fmt::format("{}{:.1f} {:.1f}", verb, x(point.x), y(point.y));
      verb = 'L';
    }
    out += "\"/>\n";
    for (std::size_t i = 0; i < each.points.size(); ++i) {
      const double px = x(each.points[i].x);
      const double py = y(each.points[i].y);
      // Points without a marker, as all of a dashed curve, can be pointed at all the same.
      const bool hidden = each.dashed || i % each.marked != each.marked - 1;
      out += hidden ? fmt::format("<circle class=\"hidden\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\">", px, py)
                    : marker(each.marker, px, py);
      out += fmt::format("<title>{}</title>{}\n", escape_markup(each.points[i].title),
                         hidden ? std::string_view("</circle>") : marker_end(each.marker));
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
