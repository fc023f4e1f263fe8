#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace banyan {

/// How durations are distributed, counted in classes, four to an octave: what is read from it is right within 25 %.
/// From 0 to 2^43 ns, about 2.4 hours; longer ones count as that, negative ones as 0.
class duration_distribution {
 public:
  static constexpr std::size_t classes = 4 * 42;

  [[nodiscard]] static constexpr std::size_t class_of(std::chrono::nanoseconds d) noexcept {
    const auto ns = d.count() > 0 ? static_cast<std::uint64_t>(d.count()) : 0;
    if (ns < 4) return static_cast<std::size_t>(ns);
    const auto octave = static_cast<std::size_t>(std::bit_width(ns)) - 3;  // the top three bits are 1xx
    const std::size_t found = 4 * octave + static_cast<std::size_t>(ns >> octave);
    return found < classes ? found : classes - 1;
  }

  /// The least duration of the class after this one.
  [[nodiscard]] static constexpr std::chrono::nanoseconds end_of(std::size_t number) noexcept {
    ++number;
    if (number < 8) return std::chrono::nanoseconds{number};
    const std::size_t octave = number / 4 - 1;
    return std::chrono::nanoseconds{static_cast<std::int64_t>((number % 4 + 4) << octave)};
  }

  void add(std::chrono::nanoseconds d, std::uint64_t times = 1) noexcept { counts_[class_of(d)] += times; }
  void add_to_class(std::size_t number, std::uint64_t times) noexcept { counts_[number] += times; }

  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t all = 0;
    for (const std::uint64_t c : counts_) all += c;
    return all;
  }

  [[nodiscard]] const std::array<std::uint64_t, classes>& counts() const noexcept { return counts_; }

  /// A duration that the share `q` (0 to 1) did not exceed: the end of its class. 0 when nothing was counted.
  [[nodiscard]] std::chrono::nanoseconds quantile(double q) const noexcept {
    const std::uint64_t all = count();
    if (all == 0) return {};
    const double wanted = q * static_cast<double>(all);
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < classes; ++i) {
      so_far += counts_[i];
      if (so_far != 0 && static_cast<double>(so_far) >= wanted) return end_of(i);
    }
    return end_of(classes - 1);
  }

 private:
  std::array<std::uint64_t, classes> counts_{};
};

/// A `duration_distribution` that many threads add to. Thread-safe; `record` is wait-free, O(1), one read-modify-write.
class duration_histogram {
 public:
  void record(std::chrono::nanoseconds d) noexcept {
    // relaxed: counts only
    counts_[duration_distribution::class_of(d)].fetch_add(1, std::memory_order_relaxed);
  }

  /// What has been recorded; of what is recorded meanwhile, some. Wait-free, O(classes).
  [[nodiscard]] duration_distribution read() const noexcept {
    duration_distribution result;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      result.add_to_class(i, counts_[i].load(std::memory_order_relaxed));
    }
    return result;
  }

 private:
  std::array<std::atomic<std::uint64_t>, duration_distribution::classes> counts_{};
};

}  // namespace banyan
