#pragma once

#include <coroutine>
#include <cstdint>
#include <utility>

#include <banyan/pool/detail/acquire_requests.hpp>
#include <banyan/pool/detail/pool_machine.hpp>

namespace banyan {

/// What `connection_pool::acquire_awaitable` returns: `co_await` it, once, for an `expected` of a lease. The coroutine
/// is resumed on the pool's executor; without one, on the thread that gives a connection back, or at once. A coroutine
/// that is destroyed while it waits leaves the line, and what it was about to get is passed on; destroy it where its
/// executor would resume it, not beside a resumption. Awaiting and destroying are lock-free, O(1) amortised.
template <class T>
class [[nodiscard]] acquire_awaiter {
 public:
  acquire_awaiter(acquire_awaiter&& other) noexcept
      : request_{std::exchange(other.request_, nullptr)}, now_{other.now_} {}
  acquire_awaiter& operator=(acquire_awaiter&&) = delete;

  ~acquire_awaiter() {
    if (request_ == nullptr) return;
    if (begun_ && !ended_) {
      request_->abandon();
      request_->machine().cancel(*request_);
    }
    if (!begun_) request_->unref();  // the pool's
    request_->unref();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }

  void await_suspend(std::coroutine_handle<> handle) noexcept {
    begun_ = true;
    request_->wait_as(handle);
    // The coroutine may be resumed, and this object be gone, before this call returns.
    request_->machine().borrow(*request_, now_);
  }

  [[nodiscard]] expected<lease<T>, pool_error> await_resume() noexcept {
    ended_ = true;
    return request_->take();
  }

 private:
  template <class, class>
  friend class connection_pool;

  acquire_awaiter(detail::coroutine_request<T>& request, std::int64_t now) noexcept : request_{&request}, now_{now} {}

  detail::coroutine_request<T>* request_;
  std::int64_t now_;
  bool begun_ = false;
  bool ended_ = false;
};

/// Names an asynchronous request, to cancel it. Letting it go changes nothing.
template <class T>
class pending_acquire {
 public:
  pending_acquire() noexcept = default;
  pending_acquire(pending_acquire&& other) noexcept : request_{std::exchange(other.request_, nullptr)} {}
  pending_acquire& operator=(pending_acquire&& other) noexcept {
    pending_acquire{std::move(other)}.swap(*this);
    return *this;
  }
  ~pending_acquire() {
    if (request_ != nullptr) request_->unref();
  }

  /// Leaves the line: the callback is told `pool_errc::cancelled`. False when it is being answered, or has been.
  /// Lock-free, O(1) amortised; thread-safe.
  bool cancel() noexcept { return request_ != nullptr && request_->machine().cancel(*request_); }

  void swap(pending_acquire& other) noexcept { std::swap(request_, other.request_); }

 private:
  template <class, class>
  friend class connection_pool;
  explicit pending_acquire(detail::pool_request<T>& request) noexcept : request_{&request} {}

  detail::pool_request<T>* request_ = nullptr;
};

}  // namespace banyan
