#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace banyan::lab {

/// A progress bar on one line of a terminal, drawn ten times a second at most and only once the work has taken half a
/// second. Silent when it is not enabled. One thread.
class progress {
 public:
  /// Draws on `out` when `enabled`.
  progress(std::FILE* out, bool enabled) noexcept : out_(out), enabled_(enabled) {}
  /// Draws on standard error if that is a terminal.
  static progress on_terminal();

  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() { end(); }

  /// Starts a piece of work. `total` is in any unit; 0 when it is not known, then the amount done is shown instead.
  void begin(std::string label, std::uint64_t total);
  /// Names the step under way.
  void step(std::string detail) { detail_ = std::move(detail); }
  /// `amount` more is done.
  void advance(std::uint64_t amount) {
    done_ += amount;
    if (enabled_) draw_if_due();
  }
  /// Wipes the line.
  void end();

 private:
  using clock = std::chrono::steady_clock;
  void draw_if_due();

  std::FILE* out_;
  bool enabled_;
  bool drawn_ = false;
  std::string label_;
  std::string detail_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  clock::time_point started_{};
  clock::time_point next_draw_{};
};

}  // namespace banyan::lab
