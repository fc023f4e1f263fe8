#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/hazard_slots.hpp>

namespace banyan {

/// An immutable value that many threads read without a lock while others replace it as a whole.
///
///     banyan::published<std::vector<endpoint>> members{load()};
///     auto now = members.read();            // pins what is current
///     use(now->front());                    // stays alive and unchanged while `now` lives
///     members.update([&](const auto& old) { auto copy = old; copy.push_back(e); return copy; });
///
/// Readers write to a cache line of their own and do no read-modify-write (see `hazard_domain` for the systems where
/// they do one on it). A value that has been replaced is destroyed by a later call to `publish`, `update` or
/// `hazard_domain::reclaim` that finds it unpinned, at the earliest by the one that replaced it, on that thread.
///
/// Thread-safe but for construction and destruction; no pin may outlive the object.
template <class T>
class published {
  struct node : hazard_pointer_obj_base<node> {
    template <class... Args>
    explicit node(Args&&... args) : value(std::forward<Args>(args)...) {}
    const T value;
  };

 public:
  /// Keeps one value alive; a local variable of the thread that made it.
  class pin {
   public:
    [[nodiscard]] const T& operator*() const noexcept { return node_->value; }
    [[nodiscard]] const T* operator->() const noexcept { return &node_->value; }

    /// False only for a `try_read` that failed.
    [[nodiscard]] explicit operator bool() const noexcept { return node_ != nullptr; }

    /// The calling thread's record in the domain, for those who keep something for each thread. Not of a failed one.
    [[nodiscard]] hazard_domain::thread_record& thread() noexcept { return hazard_.record(); }

   private:
    friend published;
    explicit pin(const published& from)
        : hazard_{*from.domain_},
          // (1) acquire, inside: pairs with the release in (2).
          node_{detail::load_protected(from.current_, [this](const node* seen) { hazard_.publish(0, seen); })} {}

    BANYAN_ALWAYS_INLINE pin(std::nothrow_t, const published& from) noexcept : hazard_{std::nothrow, *from.domain_} {
      if (hazard_) [[likely]] {
        // (1) as above
        node_ = detail::load_protected(from.current_, [this](const node* seen) { hazard_.publish(0, seen); });
      }
    }

    hazard_slots<1> hazard_;
    const node* node_ = nullptr;
  };

  /// A value that is made but not yet visible; after `commit`, the one that was replaced. It dies with this object, or,
  /// having been visible, once nobody pins it. For writers that hold a lock: nothing is destroyed while they do.
  class staged {
   public:
    explicit staged(T value, hazard_domain& domain = hazard_domain::global())
        : node_{std::make_unique<node>(std::move(value))}, domain_{&domain} {}
    staged(staged&&) noexcept = default;
    staged& operator=(staged&&) = delete;

    ~staged() {
      if (replaced_ && node_ != nullptr) discard(node_.release(), *domain_);
    }

   private:
    friend published;
    std::unique_ptr<node> node_;
    hazard_domain* domain_;
    bool replaced_ = false;
  };

  /// A value of `T{}`. Throws what that throws, and `std::bad_alloc`.
  published() requires std::is_default_constructible_v<T> : published{T()} {}

  /// Throws what moving `T` throws, and `std::bad_alloc`.
  explicit published(T value, hazard_domain& domain = hazard_domain::global())
      : domain_{&domain}, current_{new node(std::move(value))} {}

  published(const published&) = delete;
  published& operator=(const published&) = delete;

  ~published() { delete current_.load(std::memory_order_acquire); }  // acquire: pairs with the release in (2)

  /// Pins the current value. Lock-free, O(1): a repetition means that somebody published. Throws `std::bad_alloc` at
  /// the thread's first use or when it holds more than 8 hazards.
  [[nodiscard]] pin read() const { return pin{*this}; }

  /// As `read`, for code that must not throw: ask whether it succeeded.
  [[nodiscard]] BANYAN_ALWAYS_INLINE pin try_read() const noexcept { return pin{std::nothrow, *this}; }

  /// Replaces the value. Lock-free apart from the destructors of old values; a few microseconds for the barrier. Throws
  /// what moving `T` throws and `std::bad_alloc`, before anything changes.
  void publish(T value) {
    auto* const fresh = new node(std::move(value));
    // (2) release: pairs with (1). acquire: what we destroy was published by another thread's (2).
    discard(current_.exchange(fresh, std::memory_order_acq_rel), *domain_);
  }

  /// Swaps the value with a staged one of the same domain, once. Wait-free, O(1).
  void commit(staged& next) noexcept {
    next.node_.reset(current_.exchange(next.node_.release(), std::memory_order_acq_rel));  // as (2)
    next.replaced_ = true;
  }

  /// Replaces the value by `f(const T&)`; called again on the new current value when another writer came first, with
  /// one object pinned. Lock-free: a repetition means that somebody published. Throws what `f` throws, what moving `T`
  /// throws and `std::bad_alloc`; then nothing has changed.
  template <class F>
  void update(F f) {
    for (;;) {
      node* old = nullptr;
      {
        const pin now = read();
        auto fresh = std::make_unique<node>(f(*now));
        node* expected = const_cast<node*>(now.node_);
        // (2) release, acquire: as in publish.
        if (current_.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
          static_cast<void>(fresh.release());
          old = expected;
        }
      }
      if (old != nullptr) {
        discard(old, *domain_);
        return;
      }
    }
  }

 private:
  // Writers are rare and values may be large, so we do not wait for a batch.
  static void discard(node* old, hazard_domain& domain) noexcept {
    old->retire(domain);
    domain.reclaim();
  }

  hazard_domain* domain_;
  std::atomic<node*> current_;
};

}  // namespace banyan
