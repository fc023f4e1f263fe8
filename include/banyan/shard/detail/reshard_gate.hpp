#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/shard/reshard_phase.hpp>

namespace banyan::detail {

/// Knows the phase of this process and when no call is left that began under the one before. Two phases are in use at a
/// time, so calls are counted under the step's lowest bit.
class reshard_gate {
  struct counters {
    std::array<std::atomic<std::uint64_t>, 2> in_flight{};
  };

 public:
  static constexpr std::uint64_t left_behind = ~std::uint64_t{0};

  /// One call, from beginning to end.
  class pass {
   public:
    pass(pass&& other) noexcept
        : gate_{std::exchange(other.gate_, nullptr)}, word_{other.word_}, count_{other.count_} {}
    pass& operator=(pass&&) = delete;
    ~pass() {
      if (gate_ != nullptr) gate_->leave(*count_, word_);
    }
    /// Not of one that was refused.
    [[nodiscard]] reshard_phase phase() const noexcept { return phase_in(word_); }
    [[nodiscard]] explicit operator bool() const noexcept { return gate_ != nullptr; }

   private:
    friend reshard_gate;
    pass(reshard_gate* gate, std::uint64_t word, std::atomic<std::uint64_t>* count) noexcept
        : gate_{gate}, word_{word}, count_{count} {}
    reshard_gate* gate_;
    std::uint64_t word_;
    std::atomic<std::uint64_t>* count_;
  };

  /// Refused while there is no phase, and once left behind. Lock-free: a repetition means that the phase changed.
  [[nodiscard]] pass enter() noexcept {
    for (;;) {
      const std::uint64_t word = current_.load();
      if (word == 0 || word == left_behind) return pass{nullptr, word, nullptr};
      std::atomic<std::uint64_t>& count = stripe().in_flight[step_in(word) & 1];
      // Counted before looking again; who changes the phase looks at the counts after changing it (Dekker's pattern, so
      // all of these are seq_cst): either we see the change or our call is seen.
      count.fetch_add(1);
      if (current_.load() == word) return pass{this, word, &count};
      leave(count, word);
    }
  }

  [[nodiscard]] std::uint64_t step() const noexcept {
    const std::uint64_t word = current_.load();
    return word == left_behind ? 0 : step_in(word);
  }
  [[nodiscard]] bool is_left_behind() const noexcept { return current_.load() == left_behind; }

  /// One thread at a time. The step must follow the current one, under which all calls run, or be the first.
  void change(std::uint64_t step, reshard_phase phase) noexcept {
    current_.store((step << 8) | static_cast<std::uint64_t>(phase));
  }
  void shut() noexcept { current_.store(left_behind); }

  /// The step under which all calls run or have run; 0 when there is none or calls of the one before are under way.
  /// Wait-free.
  [[nodiscard]] std::uint64_t settled_step() noexcept {
    const std::uint64_t now = step();
    if (now == 0 || settled_.load() == now) return now;
    for (const auto& each : stripes_) {
      // Who entered too late and has yet to step back is counted as well: then we are told no, once too often.
      if ((*each).in_flight[(now + 1) & 1].load() != 0) return 0;
    }
    if (step() != now) return 0;
    settled_.store(now);
    return now;
  }

  /// Waits for `settled_step() == step`; false when the deadline comes first. Blocking on calls under way.
  bool wait_settled(std::uint64_t step, steady_clock::time_point deadline) noexcept {
    for (;;) {
      const std::uint32_t seen = departures_.value().load();
      const std::uint64_t settled = settled_step();
      if (settled >= step) return true;
      if (!departures_.wait_until(seen, deadline)) return settled_step() >= step;
    }
  }

 private:
  static constexpr std::size_t stripe_count = 8;

  static constexpr std::uint64_t step_in(std::uint64_t word) noexcept { return word >> 8; }
  static constexpr reshard_phase phase_in(std::uint64_t word) noexcept {
    return static_cast<reshard_phase>(word & 0xffU);
  }

  counters& stripe() noexcept {
    const auto* const record = hazard_domain::global().try_local();
    return *stripes_[record == nullptr ? 0 : record->index() % stripe_count];
  }

  void leave(std::atomic<std::uint64_t>& count, std::uint64_t word) noexcept {
    count.fetch_sub(1);
    if (current_.load() == word) return;
    departures_.value().fetch_add(1);
    departures_.notify_all();
  }

  std::atomic<std::uint64_t> current_{0};  // step << 8 | phase; 0 before the first
  std::atomic<std::uint64_t> settled_{0};
  parking_word departures_;
  std::array<padded<counters>, stripe_count> stripes_{};
};

}  // namespace banyan::detail
