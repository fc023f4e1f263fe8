#pragma once

#include <chrono>
#include <cstdint>
#include <new>
#include <utility>

#include <banyan/cluster/detail/endpoint_record.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/hazard_domain.hpp>

namespace banyan {

namespace detail {
struct token_access;
}

/// One use of an endpoint: a request that is in flight there. Empty when there was nobody to take it. The endpoint and
/// its value stay alive until the token dies, also when the endpoint is removed or the cluster destroyed meanwhile.
///
/// `succeeded` and `failed` report how it went; the first report counts, dying without one means cancelled. The use
/// ends when the token dies, not with the report: the value may still be read in between.
///
/// Move-only; may be given to another thread; one thread at a time. Every operation is wait-free and O(1), but the last
/// token of an endpoint that drains or was removed runs what waits for that and frees it.
template <class T, class Clock = steady_clock>
class pick_token {
 public:
  using time_point = typename Clock::time_point;

  pick_token() = default;
  pick_token(pick_token&& other) noexcept
      : record_{std::exchange(other.record_, nullptr)}, reported_{other.reported_} {}
  pick_token& operator=(pick_token&& other) noexcept {
    pick_token taken{std::move(other)};
    std::swap(record_, taken.record_);
    std::swap(reported_, taken.reported_);
    return *this;
  }
  ~pick_token() {
    if (record_ != nullptr) give_back();
  }

  /// Whether somebody was picked.
  [[nodiscard]] explicit operator bool() const noexcept { return record_ != nullptr; }

  /// The user's value; not of an empty token. Shared by all tokens of the endpoint.
  [[nodiscard]] T& operator*() const noexcept { return record_->value(); }
  [[nodiscard]] T* operator->() const noexcept { return &record_->value(); }

  /// Which endpoint; none for an empty token.
  [[nodiscard]] endpoint_id id() const noexcept { return record_ != nullptr ? record_->id() : endpoint_id{}; }

  /// What a client may hand back to be sent to the same endpoint again: see `pick_request::cookie`. It stays the same
  /// over restarts. 0 for an empty token.
  [[nodiscard]] std::uint64_t cookie() const noexcept { return record_ != nullptr ? record_->name_hash() : 0; }

  /// The request was answered after `latency`.
  void succeeded(std::chrono::nanoseconds latency, time_point now = Clock::now()) noexcept {
    report(outcome::success, latency.count(), now);
  }

  /// The request was answered; the latency is not known or means nothing.
  void succeeded() noexcept { report(outcome::success, 0, time_point{}); }

  /// The request failed: the endpoint's fault, as far as one can tell. `latency`: how long that took; at least the
  /// cluster's `failure_penalty` goes into the moving average.
  void failed(std::chrono::nanoseconds latency = std::chrono::nanoseconds{0}, time_point now = Clock::now()) noexcept {
    report(outcome::failure, latency.count(), now);
  }

  /// The request failed without an answer: the connection was refused or broke, or time ran out. Counts as `failed`,
  /// and in a run of its own: see `outlier_detector_options::consecutive_unanswered`.
  void unanswered(std::chrono::nanoseconds latency = std::chrono::nanoseconds{0},
                  time_point now = Clock::now()) noexcept {
    report(outcome::unanswered, latency.count(), now);
  }

 private:
  friend detail::token_access;
  using outcome = detail::endpoint_record::outcome;

  using record = detail::valued_endpoint<T>;

  explicit pick_token(record& counted) noexcept : record_{&counted} {}

  void report(outcome how, std::int64_t nanoseconds, time_point now) noexcept {
    if (record_ == nullptr || std::exchange(reported_, true)) return;
    detail::cluster_terms& terms = record_->terms();
    const auto* const thread = terms.domain->try_local();
    const std::uint32_t mine = thread != nullptr ? terms.stripe_of(*thread) : terms.stripes.exclusive;
    record_->report(mine, how, nanoseconds, detail::nanoseconds_of(now));
  }

  void give_back() noexcept {
    detail::end_use(*record_);
    record_ = nullptr;
  }

  record* record_ = nullptr;
  bool reported_ = false;
};

namespace detail {

struct token_access {
  /// The use has been counted.
  template <class T, class Clock>
  [[nodiscard]] static pick_token<T, Clock> make(endpoint_record& counted) noexcept {
    return pick_token<T, Clock>{static_cast<valued_endpoint<T>&>(counted)};
  }
};

}  // namespace detail

}  // namespace banyan
