#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <banyan/core/cache_line.hpp>
#include <banyan/replica/detail/replica_progress.hpp>

namespace banyan::detail {

/// The reign of one primary. Its positions begin where its own log was when it took over; what another log had beyond
/// that is lost.
struct replica_epoch {
  static constexpr std::uint64_t unknown = std::numeric_limits<std::uint64_t>::max();

  explicit replica_epoch(std::uint32_t its_number, std::uint64_t begins_at_most = unknown) noexcept
      : number{its_number}, begin{begins_at_most} {}

  /// The primary has written up to `position`: it cannot have begun later. What comes first counts. Wait-free.
  void primary_at(std::uint64_t position) noexcept {
    std::uint64_t none = unknown;
    if (begin.load(std::memory_order_relaxed) != unknown) return;  // relaxed: the number is all there is
    begin.compare_exchange_strong(none, position, std::memory_order_relaxed);
  }

  /// What a replica reports, as its record takes it: at `at`, before that is there. It may be refused there.
  void replica_reports(const progress_report& news, std::int64_t at) noexcept {
    if (news.has_position) replica_at(news.position);
    if (news.lag != progress_report::nothing) replica_fresh_as_of(replica_progress<>::as_of(at, news.lag));
  }

  /// A replica has applied `position`. Wait-free.
  void replica_at(std::uint64_t position) noexcept { raise(furthest_, position); }

  /// A replica has all that was committed until `time`. Wait-free.
  void replica_fresh_as_of(std::int64_t time) noexcept { raise(freshest_, time | (step - 1)); }

  /// One that is a replica now was the primary in this epoch: whatever it has reported, or is reporting, is not in
  /// `furthest`. Wait-free.
  void primary_was_demoted() noexcept { furthest_.store(unknown, std::memory_order_seq_cst); }

  /// No replica has reported more. seq_cst, as in `replica_progress`: one that waits does not miss what it waits for.
  [[nodiscard]] std::uint64_t furthest() const noexcept { return furthest_.load(std::memory_order_seq_cst); }

  /// No replica has reported anything later. At most 66 microseconds too high, while no report takes back an earlier
  /// one.
  [[nodiscard]] std::int64_t freshest() const noexcept { return freshest_.load(std::memory_order_seq_cst); }

  std::uint32_t number;
  std::atomic<std::uint64_t> begin;  // at most; set once

 private:
  static constexpr std::int64_t step = 1 << 16;  // of `freshest_`, nanoseconds: not every report writes it

  // Where it cannot be noted in a few steps, anything may have been.
  template <class Number>
  static void raise(std::atomic<Number>& highest, Number to) noexcept {
    Number seen = highest.load(std::memory_order_seq_cst);
    for (int i = 0; i < 16; ++i) {
      if (seen >= to) return;
      if (highest.compare_exchange_strong(seen, to, std::memory_order_seq_cst)) return;
    }
    highest.store(std::numeric_limits<Number>::max(), std::memory_order_seq_cst);
  }

  alignas(cache_line_size) std::atomic<std::uint64_t> furthest_{0};
  std::atomic<std::int64_t> freshest_{replica_progress<>::never};
};

/// The epochs that are remembered, the present one last.
class replica_epochs {
 public:
  static constexpr std::size_t most = 16;

  explicit replica_epochs(std::uint32_t first) { all_.push_back(std::make_shared<replica_epoch>(first)); }

  [[nodiscard]] std::uint32_t present() const noexcept { return all_.back()->number; }
  [[nodiscard]] replica_epoch& current() const noexcept { return *all_.back(); }

  /// How much of what an earlier epoch wrote is still there, at most; `unknown`: all of it, as far as one can tell.
  [[nodiscard]] std::uint64_t kept_of(std::uint32_t epoch) const noexcept {
    std::uint64_t kept = replica_epoch::unknown;
    for (std::size_t i = all_.size(); i-- > 0 && all_[i]->number > epoch;) {
      const std::uint64_t begin = all_[i]->begin.load(std::memory_order_relaxed);
      if (begin < kept) kept = begin;
    }
    return kept;
  }

  [[nodiscard]] replica_epochs followed_by(std::uint32_t number, std::uint64_t begin) const {
    replica_epochs next{*this};
    if (next.all_.size() == most) next.all_.erase(next.all_.begin());
    next.all_.push_back(std::make_shared<replica_epoch>(number, begin));
    return next;
  }

 private:
  std::vector<std::shared_ptr<replica_epoch>> all_;
};

}  // namespace banyan::detail
