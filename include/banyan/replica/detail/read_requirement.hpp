#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

#include <banyan/replica/consistency_level.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>
#include <banyan/replica/detail/replica_progress.hpp>
#include <banyan/replica/read_outcome.hpp>
#include <banyan/replica/replica_set_options.hpp>

namespace banyan::detail {

/// What a replica must have for one read.
struct read_requirement {
  std::uint64_t position = 0;
  std::int64_t fresh_as_of = replica_progress<>::never;
  bool replicas = true;  // false: none will do
};

/// What every read asks of a replica, in nanoseconds.
struct replica_fitness {
  explicit replica_fitness(const replica_set_options& options) {
    if (options.max_lag) {
      lag.out_at = options.max_lag->count();
      lag.in_at = static_cast<std::int64_t>(static_cast<double>(lag.out_at) * options.resume_at);
      timeout = lag.out_at > ten_seconds ? lag.out_at : ten_seconds;
    }
    if (options.report_timeout) timeout = options.report_timeout->count();
    if (options.latency_window) window = options.latency_window->count();
  }

  static constexpr std::int64_t ten_seconds = 10'000'000'000;
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

  [[nodiscard]] bool timed() const noexcept { return timeout != none; }

  lag_limits lag{};
  std::int64_t timeout = none;
  std::int64_t window = none;
};

/// `a - b`, or the nearest number that there is; `b` not negative.
[[nodiscard]] constexpr std::int64_t time_before(std::int64_t a, std::int64_t b) noexcept {
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min() + 1;
  return a < lowest + b ? lowest : a - b;
}

/// What a read with this token asks for. `replica`: what is in `need`; else why it goes nowhere, or to the primary.
[[nodiscard]] inline read_outcome requirement_of(const consistency_level& level, const consistency_token& session,
                                                 std::uint16_t set, const replica_epochs& epochs, std::int64_t now,
                                                 read_requirement& need) noexcept {
  using kind = consistency_level::kind;
  if (level.what == kind::eventual) return read_outcome::replica;
  if (level.what == kind::strong) return read_outcome::primary;
  if (level.what == kind::bounded_staleness) {
    need.fresh_as_of = time_before(now, level.bound.count());
    return read_outcome::replica;
  }
  if (session.set() != 0 && set != 0 && session.set() != set) return read_outcome::other_set;
  if (level.what == kind::read_your_writes_within) {
    const std::int64_t since = session.time();
    need.replicas = since == consistency_token::no_time || since < time_before(now, level.bound.count());
    return read_outcome::replica;
  }
  if (session.bound_by_time()) need.fresh_as_of = session.time();
  need.position = session.position();
  if (session.epoch() != 0 && session.epoch() != epochs.present()) {
    if (session.epoch() > epochs.present()) return read_outcome::newer_epoch;
    const std::uint64_t kept = epochs.kept_of(session.epoch());
    if (need.position > kept) need.position = kept;
  }
  return read_outcome::replica;
}

}  // namespace banyan::detail
