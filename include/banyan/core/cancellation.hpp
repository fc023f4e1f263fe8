#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

#include <banyan/core/parking_word.hpp>

namespace banyan {

class cancellation;

namespace detail {

/// What `cancellation` knows of an `on_cancel`.
class cancel_watcher {
 protected:
  explicit cancel_watcher(void (*run)(cancel_watcher&) noexcept) noexcept : run_{run} {}
  ~cancel_watcher() = default;

 private:
  friend class banyan::cancellation;
  void (*run_)(cancel_watcher&) noexcept;
  cancel_watcher* next_ = nullptr;
  cancel_watcher** link_ = nullptr;  // what points to this one; null when it is in no list
  parking_word ran_{0};
};

}  // namespace detail

/// A flag that says: nobody wants this any more. Set once, for ever; who works looks at it, who sleeps is woken by an
/// `on_cancel`.
///
///     banyan::cancellation given_up;
///     while (!given_up.requested()) step();                        // one thread
///     given_up.request();                                          // another
///
/// What `std::stop_source`, `std::stop_token` and `std::stop_callback` do, where the standard library has none; without
/// shared ownership: it must outlive those who look at it.
///
/// Thread-safe. `requested` is wait-free. `request` and registration take a lock for a few instructions; callbacks run
/// outside it.
class cancellation {
 public:
  cancellation() = default;
  cancellation(const cancellation&) = delete;
  cancellation& operator=(const cancellation&) = delete;

  /// Once true, it stays so (acquire).
  [[nodiscard]] bool requested() const noexcept {
    return requested_.load(std::memory_order_acquire);  // (2) pairs with (1)
  }

  /// Sets the flag and runs the callbacks, on this thread. True for the first; the others do nothing. Blocking as long
  /// as the callbacks run.
  bool request() noexcept {
    std::unique_lock lock{mutex_};
    if (requested_.load(std::memory_order_relaxed)) return false;
    requester_ = std::this_thread::get_id();
    requested_.store(true, std::memory_order_release);  // (1) pairs with (2)
    while (first_ != nullptr) {
      detail::cancel_watcher& each = *first_;
      unlink(each);
      bool gone = false;
      gone_ = &gone;
      lock.unlock();
      each.run_(each);
      lock.lock();
      gone_ = nullptr;
      if (gone) continue;  // it was destroyed by its own callback
      // Under the lock, so that it is not destroyed before we are through with it.
      each.ran_.value().store(1, std::memory_order_release);  // (3) pairs with the acquire in parking_word::wait
      each.ran_.notify_all();
    }
    return true;
  }

 private:
  template <class F>
  friend class on_cancel;

  // False when the flag is set already.
  bool link(detail::cancel_watcher& watcher) noexcept {
    const std::lock_guard lock{mutex_};
    if (requested_.load(std::memory_order_relaxed)) return false;
    watcher.next_ = first_;
    watcher.link_ = &first_;
    if (first_ != nullptr) first_->link_ = &watcher.next_;
    first_ = &watcher;
    return true;
  }

  // Afterwards its callback does not run and will not, unless it is what calls.
  void part(detail::cancel_watcher& watcher) noexcept {
    {
      const std::lock_guard lock{mutex_};
      if (watcher.link_ != nullptr) {
        unlink(watcher);
        return;
      }
      if (watcher.ran_.value().load(std::memory_order_relaxed) != 0) return;
      if (gone_ != nullptr && requester_ == std::this_thread::get_id()) {
        *gone_ = true;
        return;
      }
    }
    watcher.ran_.wait(0);
    // The requester holds the lock while it is still at it.
    const std::lock_guard lock{mutex_};
  }

  static void unlink(detail::cancel_watcher& watcher) noexcept {
    *watcher.link_ = watcher.next_;
    if (watcher.next_ != nullptr) watcher.next_->link_ = watcher.link_;
    watcher.link_ = nullptr;
  }

  std::atomic<bool> requested_{false};
  std::mutex mutex_;
  detail::cancel_watcher* first_ = nullptr;
  bool* gone_ = nullptr;  // while a callback runs
  std::thread::id requester_;
};

/// While it lives, `function()` is called when the flag is set: at once, on this thread, if it is set already; else on
/// the thread that sets it. The function must not throw.
///
/// Blocking: the destructor waits for a callback that is running on another thread, as that of `std::stop_callback`
/// does. A callback may destroy its own `on_cancel`.
template <class F>
class on_cancel : private detail::cancel_watcher {
 public:
  on_cancel(cancellation& flag, F function)
      : cancel_watcher{&call}, flag_{&flag}, function_(std::move(function)), linked_{flag.link(*this)} {
    if (!linked_) std::invoke(function_);
  }
  on_cancel(const on_cancel&) = delete;
  on_cancel& operator=(const on_cancel&) = delete;
  ~on_cancel() {
    if (linked_) flag_->part(*this);
  }

 private:
  static void call(cancel_watcher& self) noexcept { std::invoke(static_cast<on_cancel&>(self).function_); }

  cancellation* flag_;
  F function_;
  bool linked_;
};

}  // namespace banyan
