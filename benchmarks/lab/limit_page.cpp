#include "limit_page.hpp"

#include <fmt/format.h>

#include "html_page.hpp"
#include "limit_chart.hpp"
#include "svg_chart.hpp"

namespace banyan::lab {
namespace {

std::string pictures(const limit_result& result) {
  std::string out = run_legend() + "<div class=\"runs\">\n";
  const limit_heights heights = heights_of(result);
  for (const limit_run& run : result.runs) {
    out += "<figure><figcaption>" + escape_markup(run.policy->name) + "</figcaption>" +
           run_picture(result, run, heights) + "</figure>\n";
  }
  return out + "</div>\n";
}

std::string section(const limit_result& result) {
  std::string out = fmt::format("<section id=\"{0}\">\n<h2>{0}</h2>\n", result.scenario->name);
  out += "<p class=\"soft\">" + escape_markup(result.scenario->description) + "</p>\n<div class=\"advice\">";
  for (const std::string& sentence : result.reading) out += "<p>" + escape_markup(sentence) + "</p>";
  out += "</div>\n" + pictures(result);
  if (result.scenario->phases().size() > 1) {
    out += fmt::format("<p class=\"soft\">Figures are: {}.</p>\n", phase_names(*result.scenario));
  }
  return out + limit_table(result).html() + "</section>\n";
}

}  // namespace

std::string limit_page(const std::vector<limit_result>& results) {
  std::string body = further_styles(limit_colours()) + "<h1>What helps against overload?</h1>\n";
  if (results.empty()) return html_page("banyan lab: overload", body);
  body += "<p class=\"soft\">A simulation over the library's own limiters: " +
          escape_markup(describe(results.front().options)) +
          ". Every policy gets the same requests. In each column the best is bold.</p>\n";
  body += "<details><summary>Columns</summary><ul>";
  for (const limit_column& column : limit_columns(results.front())) {
    body += fmt::format("<li>{}: {}</li>", escape_markup(column.name), escape_markup(column.meaning));
  }
  body += "</ul></details>\n<details><summary>Policies</summary><ul>";
  for (const limit_run& run : results.front().runs) {
    body += fmt::format("<li>{}: {}</li>", escape_markup(run.policy->name), escape_markup(run.policy->description));
  }
  body += "</ul></details>\n<nav><ul>";
  for (const limit_result& each : results) {
    body += fmt::format("<li><a href=\"#{0}\">{0}</a>: {1}</li>", each.scenario->name,
                        escape_markup(each.scenario->description));
  }
  body += "</ul></nav>\n";
  for (const limit_result& each : results) body += section(each);
  return html_page("banyan lab: overload", body);
}

}  // namespace banyan::lab
