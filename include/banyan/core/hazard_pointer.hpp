#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include <banyan/core/hazard_domain.hpp>

namespace banyan {

/// Base of objects that may be protected and retired: `struct node : hazard_pointer_obj_base<node>`. The names and
/// meanings are those of C++26 [saferecl.hp].
template <class T, class D = std::default_delete<T>>
class hazard_pointer_obj_base : private detail::retired_node {
 public:
  /// Hands the object over: `d(ptr)` runs once no hazard pointer protects it, on whichever thread comes by. The object
  /// must be unreachable for new readers, and is retired once. Does not allocate, unless it is the thread's first use
  /// of the domain; a deleter must not throw. Lock-free apart from the deleters it may run, amortized O(1).
  void retire(D d = D(), hazard_domain& domain = hazard_domain::global()) noexcept {
    deleter_ = std::move(d);
    const T* const address = static_cast<T*>(this);
    retired_address = address;
    reclaim_retired = [](detail::retired_node& node) noexcept {
      auto& self = static_cast<hazard_pointer_obj_base&>(node);
      D deleter = std::move(self.deleter_);
      deleter(static_cast<T*>(&self));
    };
    domain.retire(*this);
  }

  /// As above, into a given domain.
  void retire(hazard_domain& domain) noexcept { retire(D(), domain); }

 protected:
  hazard_pointer_obj_base() = default;
  // Copies are objects of their own: neither retired nor with a deleter yet.
  hazard_pointer_obj_base(const hazard_pointer_obj_base&) noexcept(std::is_nothrow_default_constructible_v<D>)
      : detail::retired_node{} {}
  hazard_pointer_obj_base& operator=(const hazard_pointer_obj_base&) noexcept { return *this; }
  ~hazard_pointer_obj_base() = default;

 private:
  [[no_unique_address]] D deleter_{};
};

/// A single-reader single-writer pointer that protects one object in the global domain, or is empty. Movable, also to
/// another thread, and may be destroyed there. The names and meanings are those of C++26 [saferecl.hp].
///
/// Every operation but `make_hazard_pointer` and `protect` is wait-free, O(1).
class hazard_pointer {
 public:
  /// Empty: it may be assigned, swapped, asked and destroyed.
  hazard_pointer() noexcept = default;

  hazard_pointer(hazard_pointer&& other) noexcept
      : slot_{std::exchange(other.slot_, nullptr)}, home_{std::exchange(other.home_, nullptr)} {}

  hazard_pointer& operator=(hazard_pointer&& other) noexcept {
    hazard_pointer{std::move(other)}.swap(*this);
    return *this;
  }

  ~hazard_pointer() {
    if (slot_ == nullptr) return;
    hazard_domain::records::clear(*slot_);
    if (home_ == nullptr) {
      hazard_domain::records::give_back_overflow(*slot_);
      return;
    }
    const auto i = static_cast<std::uint32_t>(slot_ - home_->slots.data());
    if (home_ == detail::this_thread_hazards.global) [[likely]] {
      home_->used.store(home_->used.load(std::memory_order_relaxed) & ~(1U << i), std::memory_order_relaxed);
    } else {
      home_->give_back_from_elsewhere(i);
    }
  }

  [[nodiscard]] bool empty() const noexcept { return slot_ == nullptr; }

  /// Loads `src` and protects what it points to until the hazard pointer is reset, used anew or destroyed. Not empty.
  /// Lock-free: each repetition means that somebody changed `src`.
  template <class T>
  [[nodiscard]] T* protect(const std::atomic<T*>& src) noexcept {
    return detail::load_protected(src, [this](const T* seen) { reset_protection(seen); });
  }

  /// Protects `ptr` if `src` still holds it; if not, protects nothing, sets `ptr` to what `src` holds, returns false.
  template <class T>
  [[nodiscard]] bool try_protect(T*& ptr, const std::atomic<T*>& src) noexcept {
    T* const expected = ptr;
    reset_protection(expected);
    ptr = src.load(std::memory_order_acquire);  // acquire: pairs with the release by which the writer put the object in
    if (ptr == expected) return true;
    reset_protection();
    return false;
  }

  /// Protects `*ptr`, provided that it cannot have been retired yet. Not empty.
  template <class T>
  void reset_protection(const T* ptr) noexcept {
    hazard_domain::global().records_.publish(
        *slot_, home_ != nullptr ? home_->meeting : hazard_domain::records::meeting_of(*slot_), ptr);
  }

  /// Ends the protection. Not empty.
  void reset_protection(std::nullptr_t = nullptr) noexcept { hazard_domain::records::clear(*slot_); }

  void swap(hazard_pointer& other) noexcept {
    std::swap(slot_, other.slot_);
    std::swap(home_, other.home_);
  }
  friend void swap(hazard_pointer& a, hazard_pointer& b) noexcept { a.swap(b); }

 private:
  friend hazard_pointer make_hazard_pointer();
  explicit hazard_pointer(std::in_place_t) {
    const hazard_domain::claimed_slot claimed = hazard_domain::global().claim_slot();
    slot_ = claimed.slot;
    home_ = claimed.home;
  }

  detail::hazard_slot* slot_ = nullptr;
  hazard_domain::thread_record* home_ = nullptr;  // null: an overflow slot
};

/// A hazard pointer that is not empty. Wait-free, O(1), while the thread uses at most 8 slots; beyond, and at the
/// thread's first use, lock-free, O(slots), may allocate and throws `std::bad_alloc`.
[[nodiscard]] inline hazard_pointer make_hazard_pointer() { return hazard_pointer{std::in_place}; }

}  // namespace banyan
