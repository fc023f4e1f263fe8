#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace banyan::lab {

/// A whole HTML page around `body`: style sheet inside, nothing loaded from elsewhere, light and dark by the reader's
/// setting, readable on a phone.
std::string html_page(std::string_view title, std::string_view body);

/// A part of `body` with rules that the page's own style sheet has not.
std::string further_styles(std::string_view rules);

/// Checks that a report can be written to `path`, before hours are spent on its contents. Throws `bad_input` when its
/// directory does not exist or may not be written to, or when `path` is something other than a regular file.
void check_report_path(const std::filesystem::path& path);

/// Writes the file whole or not at all: under another name first, renamed when complete. Returns its absolute path.
/// Throws `std::runtime_error` naming the file when that fails; an older report is then still there.
std::filesystem::path write_report(const std::filesystem::path& path, std::string_view content);

}  // namespace banyan::lab
