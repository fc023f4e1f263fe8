#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/core/clock.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/replica/detail/position_gate.hpp>

namespace banyan {

/// How far a projection has applied an event log (the read side of CQRS: a search index, a cache, a table of counts),
/// so that a read that follows a write can wait for it:
///
///     const std::uint64_t position = log.append(event);          // the write; hand the position to the reader
///     ...
///     index.add(event); model.applied(event.position);           // the projection, after each event or batch
///     ...
///     if (!model.wait_for(position, 50ms)) ...                   // the read: stale, or from elsewhere
///
/// Positions are the log's own numbers, as a `consistency_token` carries them; nothing has been applied at first, and 0
/// is reached always. They need not be without gaps. `applied(p)` says that everything up to p is in.
///
/// Thread-safe.
class read_model {
 public:
  read_model() = default;
  /// A projection that was kept: all up to `position` is in.
  explicit read_model(std::uint64_t position) noexcept { applied(position); }
  read_model(const read_model&) = delete;
  read_model& operator=(const read_model&) = delete;
  ~read_model() = default;  // with nobody waiting

  /// Everything up to `position` is in. False, and no change, when that was known. Lock-free; a system call when the
  /// least position that is waited for has been reached.
  bool applied(std::uint64_t position) noexcept {
    bool wake = false;
    const bool advanced = gate_.advance(position, wake);
    if (wake) turn_.notify_all();
    return advanced;
  }

  /// Wait-free.
  [[nodiscard]] std::uint64_t position() const noexcept { return gate_.position(); }

  /// Whether all up to `position` is in. Wait-free.
  [[nodiscard]] bool has(std::uint64_t position) const noexcept { return this->position() >= position; }

  /// Blocks until all up to `position` is in, or `until`; whether it is in. Any number of threads may wait; those
  /// that do wake up together when the first of their positions is reached.
  [[nodiscard]] bool wait_until(std::uint64_t position, steady_clock::time_point until) noexcept {
    if (has(position)) return true;
    const visit inside{gate_};
    for (;;) {
      const std::uint32_t seen = gate_.turn();
      bool wake = false;
      const bool reached = gate_.want(position, wake);
      if (wake) turn_.notify_all();
      if (reached) return true;
      const auto now = steady_clock::now();
      if (now >= until) return has(position);
      // It looks by itself now and then: whoever should wake it may have been stopped just before.
      (void)turn_.wait_until(seen, until - now < own_look ? until : now + own_look);
    }
  }

  /// As `wait_until`, from now.
  [[nodiscard]] bool wait_for(std::uint64_t position, std::chrono::nanoseconds at_most) noexcept {
    if (has(position)) return true;
    const auto now = steady_clock::now();
    const auto longest = steady_clock::time_point::max() - now;
    return wait_until(position, at_most < longest ? now + at_most : steady_clock::time_point::max());
  }

 private:
  static constexpr std::chrono::milliseconds own_look{100};

  struct visit {
    explicit visit(detail::position_gate<>& given) noexcept : gate{given} { gate.enter(); }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;
    ~visit() { gate.leave(); }
    detail::position_gate<>& gate;
  };

  parking_word turn_;
  detail::position_gate<> gate_{turn_.value()};
};

}  // namespace banyan
