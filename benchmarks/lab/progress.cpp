#include "progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "terminal.hpp"

namespace banyan::lab {

progress progress::on_terminal() { return progress(stderr, is_terminal(stderr)); }

void progress::begin(std::string label, std::uint64_t total) {
  end();
  label_ = std::move(label);
  detail_.clear();
  total_ = total;
  done_ = 0;
  started_ = clock::now();
  next_draw_ = started_ + std::chrono::milliseconds(500);
}

void progress::draw_if_due() {
  const auto now = clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  drawn_ = true;
  std::string line;
  if (total_ == 0) {
    line = fmt::format("{} {:.1f} M", label_, static_cast<double>(done_) / 1e6);
  } else {
    constexpr std::size_t width = 30;
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
    line = fmt::format("{} [{}{}] {:3.0f}%", label_, std::string(filled, '#'), std::string(width - filled, '.'),
                       share * 100);
    const double seconds = std::chrono::duration<double>(now - started_).count();
    if (share > 0.02 && share < 1) line += fmt::format(", {:.0f} s left", seconds / share - seconds);
  }
  if (!detail_.empty()) line += "  " + detail_;
  const std::size_t columns = terminal_columns(out_);
  if (line.size() >= columns) line.resize(columns - 1);
  // \033[K wipes what a longer line left behind.
  std::fputs(("\r" + line + "\033[K").c_str(), out_);
  std::fflush(out_);
}

void progress::end() {
  if (!drawn_) return;
  std::fputs("\r\033[K", out_);
  std::fflush(out_);
  drawn_ = false;
}

}  // namespace banyan::lab
