#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <utility>

#include <banyan/core/detail/caught.hpp>
#include <banyan/pool/detail/pool_request.hpp>

namespace banyan::detail {

/// Answered by calling something, once.
template <class T, class F>
class callback_request final : public pool_request<T> {
 public:
  template <class G>
  callback_request(pool_machine<T>& machine, const char* tag, std::int64_t deadline, G&& callback)
      : pool_request<T>{machine, tag, deadline}, callback_(std::forward<G>(callback)) {}

  void answered(typename pool_request<T>::answer&& result) noexcept override {
    // What it throws has nowhere to go; the lease went in by value and is given back.
    (void)caught([&] { callback_(std::move(result)); });
  }

 private:
  F callback_;
};

/// Answered by resuming a coroutine, unless that was destroyed before.
///
///     waiting --answered--> resumed        (the pool's side; then the coroutine reads the result)
///             --abandoned-> abandoned      (the coroutine's frame is gone; the result goes back)
template <class T>
class coroutine_request final : public pool_request<T> {
 public:
  using pool_request<T>::pool_request;

  void answered(typename pool_request<T>::answer&& result) noexcept override {
    result_ = std::move(result);
    // (1) release: pairs with (2), for the result. acquire: the handle was written before the request was made known.
    if (stage_.exchange(resumed, std::memory_order_acq_rel) == waiting) {
      handle_.resume();
    } else {
      result_ = unanswered();
    }
  }

  void wait_as(std::coroutine_handle<> handle) noexcept { handle_ = handle; }

  /// The awaiting frame is going. Not at the same time as the resumption: one executor, or strand, runs both.
  void abandon() noexcept { stage_.exchange(abandoned, std::memory_order_acq_rel); }

  [[nodiscard]] typename pool_request<T>::answer take() noexcept { return std::move(result_); }

 private:
  static typename pool_request<T>::answer unanswered() noexcept { return unexpected{pool_error{pool_errc::cancelled}}; }

  static constexpr int waiting = 0;
  static constexpr int resumed = 1;
  static constexpr int abandoned = 2;

  std::coroutine_handle<> handle_;
  typename pool_request<T>::answer result_ = unanswered();
  std::atomic<int> stage_{waiting};
};

}  // namespace banyan::detail
