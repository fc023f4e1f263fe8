#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

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

  std::uint32_t number;
  std::atomic<std::uint64_t> begin;  // at most; set once
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
