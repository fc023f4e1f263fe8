#include "cache_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "html_page.hpp"
#include "policies.hpp"
#include "svg_chart.hpp"
#include "table.hpp"

namespace banyan::lab {
namespace {

std::string percent(double ratio) { return fmt::format("{:.2f}%", ratio * 100); }

std::string short_number(double number) {
  if (number >= 1e6) return fmt::format("{:g}M", number / 1e6);
  if (number >= 1e3) return fmt::format("{:g}k", number / 1e3);
  return fmt::format("{:g}", number);
}

// Round sizes, 1 2 5 10 ..., for the horizontal axis; powers of ten alone where those would crowd.
std::vector<chart_tick> size_ticks(double low, double high) {
  std::vector<chart_tick> ticks;
  const bool few = high / low > 3000;
  for (double power = std::pow(10.0, std::floor(std::log10(low))); power <= high; power *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double at = std::round(power * factor);
      if ((few && factor > 1) || at < low || at > high) continue;
      ticks.push_back({at, short_number(at)});
    }
  }
  return ticks;
}

std::vector<chart_series> curves(const cache_result& result) {
  std::vector<chart_series> series;
  const auto known = policy_names();
  const auto add = [&](const policy_result& policy, bool dashed) {
    chart_series curve{.name = policy.name, .style = "p-" + policy.name, .dashed = dashed, .points = {}};
    curve.marker = static_cast<int>(std::find(known.begin(), known.end(), policy.name) - known.begin());
    for (std::size_t i = 0; i < result.sizes.size(); ++i) {
      const auto entries = static_cast<double>(result.sizes[i].entries);
      const double miss = 1 - policy.hit_ratios[i];
      curve.points.push_back(
          {entries, miss,
           fmt::format("{}, {} entries ({:.2g}% of keys): {} misses", policy.name, with_commas(result.sizes[i].entries),
                       entries * 100 / static_cast<double>(result.keys), percent(miss))});
    }
    series.push_back(std::move(curve));
  };
  add(result.optimum, true);
  for (const policy_result& policy : result.policies) add(policy, false);
  return series;
}

std::string chart(const cache_result& result) {
  const std::vector<chart_series> series = curves(result);
  chart_options options{
      .title = "Miss ratio of each policy by cache size on " + result.name,
      .x_label = fmt::format("cache size in entries (all {} keys at the right)", with_commas(result.keys)),
      .y_label = "requests missed",
      .x_ticks = size_ticks(static_cast<double>(result.sizes.front().entries),
                            static_cast<double>(result.sizes.back().entries))};
  std::string out = "<div class=\"only-wide\">\n" + line_chart(series, options) + "</div>\n";
  // Scaled down to a phone the wide picture's text could not be read; so there is a second one.
  options.width = 380;
  options.height = 340;
  options.labels = false;
  options.x_label = "cache size in entries";
  out += "<div class=\"only-narrow\">\n" + line_chart(series, options) + "</div>\n";
  return out + chart_legend(series);
}

std::string size_heading(const studied_size& size, std::uint64_t keys) {
  const std::string entries = with_commas(size.entries);
  const bool share = size.asked_as.find('%') != std::string::npos;
  const std::string above =
      share ? size.asked_as
            : fmt::format("{:.2g}%", static_cast<double>(size.entries) * 100 / static_cast<double>(keys));
  return fmt::format("<th scope=\"col\">{}<br>{}</th>", escape_markup(above), entries);
}

std::string table_of(const cache_result& result, const std::vector<std::size_t>& sizes, bool speed) {
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"hit ratios\">\n<table>\n<thead><tr>";
  out += "<th scope=\"col\">policy</th>";
  for (const std::size_t size : sizes) out += size_heading(result.sizes[size], result.keys);
  if (speed) out += "<th scope=\"col\">M req.<br>per second</th>";
  out += "</tr></thead>\n<tbody>\n";
  const auto row = [&](const policy_result& policy, bool optimum) {
    out +=
        fmt::format("<tr{}><th scope=\"row\">{}</th>", optimum ? " class=\"optimum\"" : "", escape_markup(policy.name));
    for (const std::size_t size : sizes) {
      const double ratio = policy.hit_ratios[size];
      const bool best = !optimum && percent(ratio) == percent(result.best_at(size));
      out += fmt::format("<td{}>{}</td>", best ? " class=\"best\"" : "", percent(ratio));
    }
    if (speed) out += optimum ? "<td></td>" : fmt::format("<td>{:.1f}</td>", policy.million_requests_per_second);
    out += "</tr>\n";
  };
  for (const policy_result& policy : result.policies) row(policy, false);
  row(result.optimum, true);
  return out + "</tbody>\n</table>\n</div>\n";
}

std::string section(const cache_result& result, std::size_t number) {
  std::string out = fmt::format("<section id=\"trace{}\">\n<h2>{}</h2>\n", number, escape_markup(result.name));
  std::string facts = fmt::format("{} requests for {} keys", with_commas(result.requests), with_commas(result.keys));
  if (!result.description.empty()) facts += "; " + result.description;
  if (result.skipped > 0) facts += fmt::format("; {} lines without a key left out", with_commas(result.skipped));
  out += "<p class=\"soft\">" + escape_markup(facts) + "</p>\n";
  out += "<p class=\"advice\">" + escape_markup(result.recommendation) + "</p>\n";
  out += chart(result);
  out += table_of(result, result.asked(), true);
  std::vector<std::size_t> all(result.sizes.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  out += "<details><summary>Hit ratios at all sizes of the curves</summary>\n" + table_of(result, all, false) +
         "</details>\n";
  return out + "</section>\n";
}

}  // namespace

std::string cache_page(const std::vector<cache_result>& results) {
  std::string body = "<h1>Which cache policy, and how large?</h1>\n";
  body +=
      "<p class=\"soft\">Every policy was put through every trace: a get for each request and a put after each miss, "
      "entries weighing 1. Sizes are given as a share of the trace's different keys and in entries. The dashed curve, "
      "belady, is the best that any cache could do that knew the future. Lower curves are better. Speed is that of one "
      "thread on the machine of this run.</p>\n";
  if (results.size() > 1) {
    body += "<p class=\"advice\">" + escape_markup(recommend_overall(results)) + "</p>\n<nav><ul>";
    for (std::size_t i = 0; i < results.size(); ++i) {
      body += fmt::format("<li><a href=\"#trace{}\">{}</a></li>", i, escape_markup(results[i].name));
    }
    body += "</ul></nav>\n";
  }
  for (std::size_t i = 0; i < results.size(); ++i) body += section(results[i], i);
  return html_page("banyan lab: caches", body);
}

}  // namespace banyan::lab
