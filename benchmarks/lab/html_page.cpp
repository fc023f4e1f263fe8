#include "html_page.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <system_error>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "bad_input.hpp"
#include "svg_chart.hpp"

namespace banyan::lab {
namespace {

namespace fs = std::filesystem;

// Colours after P. Tol, "Colour schemes" (SRON technical note 2021): they stay apart for colour-blind readers; darkened
// on white and lightened on black for contrast. Each curve has its own marker as well.
constexpr std::string_view style_sheet = R"css(
:root { color-scheme: light dark;
  --page: #fbfbf9; --card: #ffffff; --ink: #1c1e21; --soft: #5c6168; --rule: #e2e3e0; --mark: #f0f4ea;
  --lru: #2f66a8; --lfu: #0f8ba8; --fifo: #2a7a33; --sieve: #97800a; --s3fifo: #cf4257; --tinylfu: #9a2f75;
  --adaptive: #1c1e21; --belady: #83878c; }
@media (prefers-color-scheme: dark) { :root {
  --page: #16181b; --card: #1e2125; --ink: #e9eaec; --soft: #a3a8af; --rule: #353a40; --mark: #2a3226;
  --lru: #74a9ea; --lfu: #66ccee; --fifo: #5cc46b; --sieve: #d9c74b; --s3fifo: #ff8794; --tinylfu: #e08bc4;
  --adaptive: #ffffff; --belady: #8d9299; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .4rem 0; }
.soft { color: var(--soft); font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 1.1rem 1.2rem;
  margin-top: 1.4rem; }
.advice { font-size: 1.05rem; background: var(--mark); border-radius: 6px; padding: .6rem .8rem; margin: .8rem 0; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .28rem .8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tbody th { color: var(--ink); }
td.best { font-weight: 700; }
tr.optimum th, tr.optimum td { color: var(--soft); border-top: 2px solid var(--rule); }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; margin-top: .6rem; }
nav ul { margin: .3rem 0; padding-left: 1.2rem; }
a { color: var(--lru); }
.chart { display: block; width: 100%; height: auto; font-size: 13px; }
.chart text { fill: var(--soft); font-family: inherit; }
.chart .name { fill: var(--ink); }
.grid { stroke: var(--rule); fill: none; }
.base { stroke: var(--soft); fill: none; }
.series { color: var(--ink); }
.series .line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
.series circle, .series rect, .series path { fill: currentColor; }
.series .line, .series .leader, .series .open { fill: none; stroke: currentColor; }
.series .open { stroke-width: 2; }
.series .leader { stroke-width: 1; opacity: .6; }
.series circle.hidden { fill: transparent; }
.series.dashed .line { stroke-dasharray: 6 4; stroke-width: 2; }
.chart .labels text { fill: currentColor; font-size: 13.5px; font-weight: 600; }
.p-lru { color: var(--lru); } .p-lfu { color: var(--lfu); } .p-fifo { color: var(--fifo); }
.p-sieve { color: var(--sieve); } .p-s3fifo { color: var(--s3fifo); } .p-tinylfu { color: var(--tinylfu); }
.p-adaptive { color: var(--adaptive); } .p-belady { color: var(--belady); }
.p-adaptive .line { stroke-width: 2.8; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .9rem; margin: .4rem 0; padding: 0; list-style: none;
  font-size: .85rem; }
.legend li { display: flex; align-items: center; gap: .35rem; }
.sample { flex: none; }
@media (max-width: 640px) {
  main { padding: 1rem .6rem 2rem; }
  section { padding: .9rem .8rem; }
  table { font-size: .82rem; }
  th, td { padding: .28rem .36rem; }
  .only-wide { display: none; }
  .only-narrow { display: block; }
}
@media (min-width: 641px) { .only-narrow { display: none; } }
@media print { section { break-inside: avoid; } }
)css";

[[noreturn]] void fail(const fs::path& path, std::string_view what) {
  throw std::runtime_error(fmt::format("{}: cannot write the report: {}", path.string(), what));
}

// Where a symbolic link points, so that renaming does not replace the link.
fs::path destination(const fs::path& path) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(fs::absolute(path), error);
  return error ? fs::absolute(path) : resolved;
}

}  // namespace

std::string html_page(std::string_view title, std::string_view body) {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += "<title>" + escape_markup(title) + "</title>\n<style>";
  page += style_sheet;
  page += "</style>\n</head>\n<body>\n<main>\n";
  page += body;
  page += "</main>\n</body>\n</html>\n";
  return page;
}

std::string further_styles(std::string_view rules) {
  // A style element may stand in a picture, not in a page's body.
  std::string part = "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" style=\"position:absolute\"><style>";
  part += rules;
  return part + "</style></svg>\n";
}

void check_report_path(const fs::path& path) {
  if (path.empty()) throw bad_input("--report: the file name is empty");
  const fs::path target = destination(path);
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw bad_input(fmt::format("--report {}: is not a regular file", path.string()));
  }
  const fs::path directory = target.parent_path();
  if (!fs::is_directory(directory, error)) {
    throw bad_input(fmt::format("--report {}: there is no directory {}", path.string(), directory.string()));
  }
#if !defined(_WIN32)
  if (::access(directory.c_str(), W_OK) != 0) {
    throw bad_input(
        fmt::format("--report {}: cannot write to {}: {}", path.string(), directory.string(), std::strerror(errno)));
  }
#endif
}

fs::path write_report(const fs::path& path, std::string_view content) {
  const fs::path target = destination(path);
  fs::path unfinished = target;
#if defined(_WIN32)
  unfinished += ".unfinished";
#else
  unfinished += fmt::format(".unfinished-{}", ::getpid());
#endif
  std::FILE* file = std::fopen(unfinished.string().c_str(), "wb");
  if (file == nullptr) fail(path, std::strerror(errno));
  bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  int reason = errno;
  if (std::fclose(file) != 0) {
    if (written) reason = errno;
    written = false;
  }
  std::error_code error;
  if (written) {
    fs::rename(unfinished, target, error);
    if (!error) return target;
  }
  std::error_code ignored;
  fs::remove(unfinished, ignored);
  fail(path, written ? error.message() : std::string(std::strerror(reason)));
}

}  // namespace banyan::lab
