#include "balance_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "balance_chart.hpp"
#include "html_page.hpp"
#include "svg_chart.hpp"

namespace banyan::lab {
namespace {

std::string chart(const balance_result& result) {
  std::vector<chart_series> series = latency_curves(result);
  chart_options axes = latency_axes(result);
  std::string out = "<div class=\"only-wide\">\n" + line_chart(series, axes) + "</div>\n";
  // Scaled down to a phone the wide picture's text could not be read; so there is a second one.
  axes.width = 380;
  axes.height = 340;
  axes.labels = false;
  out += "<div class=\"only-narrow\">\n" + line_chart(series, axes);
  // From the highest curve to the lowest.
  const auto height = [](const chart_series& each) { return each.points.empty() ? 0 : each.points.back().y; };
  std::stable_sort(series.begin(), series.end(),
                   [&](const chart_series& a, const chart_series& b) { return height(a) > height(b); });
  return out + chart_legend(series) + "</div>\n";
}

std::string loads(const balance_result& result) {
  std::string out =
      "<p class=\"soft\">Requests at each server (a row) for each of its workers, over the time of the run:</p>\n" +
      load_legend() + "<div class=\"loads\">\n";
  for (const balance_run& run : result.runs) {
    out += "<figure><figcaption>" + escape_markup(run.policy) + "</figcaption>" + load_picture(run) + "</figure>\n";
  }
  return out + "</div>\n";
}

std::string section(const balance_result& result) {
  std::string out = fmt::format("<section id=\"{0}\">\n<h2>{0}</h2>\n", result.scenario->name);
  out += "<p class=\"soft\">" + escape_markup(result.scenario->description) + "</p>\n";
  out += "<p class=\"advice\">" + escape_markup(result.reading) + "</p>\n";
  return out + chart(result) + balance_table(result).html() + loads(result) + "</section>\n";
}

}  // namespace

std::string balance_page(const std::vector<balance_result>& results) {
  std::string body = further_styles(balance_colours()) + "<h1>Which balancing policy?</h1>\n";
  if (results.empty()) return html_page("banyan lab: balancing", body);
  body += "<p class=\"soft\">A simulation over the library's own cluster and balancers: " +
          escape_markup(describe(results.front().options)) +
          ". Every policy gets the same arrivals and the same work, in a run of " +
          fmt::format("{:.0f}", results.front().runs.front().result.run_seconds) +
          " simulated seconds. Latencies are those of all requests; one that was given up counts with the time that it "
          "waited. Load spread is how much the servers' busy times differ (standard deviation over mean); picks a "
          "second are those of the whole simulation on the machine of this run. In each column the best is "
          "bold.</p>\n<nav><ul>";
  for (const balance_result& each : results) {
    body += fmt::format("<li><a href=\"#{0}\">{0}</a>: {1}</li>", each.scenario->name,
                        escape_markup(each.scenario->description));
  }
  body += "</ul></nav>\n";
  for (const balance_result& each : results) body += section(each);
  return html_page("banyan lab: balancing", body);
}

}  // namespace banyan::lab
