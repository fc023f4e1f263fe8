#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/detail/hazard_records.hpp>
#include <banyan/core/hazard_domain.hpp>

namespace banyan {

/// `N` hazards of the calling thread for the length of a scope: a local variable, never shared or passed to another
/// thread. The protocol: load a pointer, `publish` it, load the pointer again (acquire); if it is unchanged, the object
/// stays alive until the slot is cleared, published anew, or the scope ends.
///
/// Construction is wait-free, O(1), while the thread uses at most 8 slots; beyond, and at the thread's first use, it is
/// lock-free and may allocate; when memory is out it throws `std::bad_alloc`, or with `std::nothrow` leaves the scope
/// without slots. Everything else is wait-free, O(1).
template <std::size_t N>
class hazard_slots {
  static_assert(N >= 1 && N <= detail::hazard_record::slot_count);

 public:
  BANYAN_ALWAYS_INLINE explicit hazard_slots(hazard_domain& domain = hazard_domain::global())
      : domain_{&domain}, record_{&domain.require_local()} {
    if (take_first_free()) [[likely]] {
      return;
    }
    take_elsewhere();
    if (slots_ == nullptr) hazard_domain::out_of_memory();
  }

  /// As above, for code that must not throw: ask afterwards whether there are slots. Without any, only asking and
  /// destruction are allowed.
  BANYAN_ALWAYS_INLINE explicit hazard_slots(std::nothrow_t, hazard_domain& domain = hazard_domain::global()) noexcept
      : domain_{&domain}, record_{domain.try_local()} {
    if (record_ != nullptr && !take_first_free()) [[unlikely]] {
      take_elsewhere();
    }
  }

  /// Whether it has its slots. Always so after the constructor that throws.
  [[nodiscard]] explicit operator bool() const noexcept { return slots_ != nullptr; }

  BANYAN_ALWAYS_INLINE ~hazard_slots() {
    if (taken_ != 0) [[likely]] {
      for (std::size_t i = 0; i < N; ++i) clear(i);
      record_->used.store(record_->used.load(std::memory_order_relaxed) & ~taken_, std::memory_order_relaxed);
    } else if (slots_ != nullptr) {
      for (std::size_t i = 0; i < N; ++i) clear(i);
      hazard_domain::records::give_back_overflow_scope(*slots_);
    }
  }

  hazard_slots(const hazard_slots&) = delete;
  hazard_slots& operator=(const hazard_slots&) = delete;

  /// Announces use of `p` through slot `i`. The caller validates afterwards with an acquire load of where it found `p`.
  BANYAN_ALWAYS_INLINE void publish(std::size_t i, const void* p) noexcept {
    domain_->records_.publish(slots_[i], record_->meeting, p);
  }

  /// Ends the protection of what slot `i` names.
  void clear(std::size_t i) noexcept { hazard_domain::records::clear(slots_[i]); }

  [[nodiscard]] hazard_domain::thread_record& record() noexcept { return *record_; }

 private:
  static constexpr std::uint32_t block = (1U << N) - 1;

  // The first free slot of the record and its neighbours; scopes nest, so this nearly always fits.
  BANYAN_ALWAYS_INLINE bool take_first_free() noexcept {
    using detail::hazard_record;
    const std::uint32_t used = record_->used.load(std::memory_order_relaxed);
    const auto first =
        static_cast<std::uint32_t>(std::countr_zero((~used & hazard_record::all_slots) | ~hazard_record::all_slots));
    const std::uint32_t wanted = block << first;
    if (((used | ~hazard_record::all_slots) & wanted) != 0) return false;
    record_->used.store(used | wanted, std::memory_order_relaxed);
    taken_ = wanted;
    slots_ = &record_->slots[first];
    return true;
  }

  BANYAN_ALWAYS_INLINE void take_elsewhere() noexcept {
    const hazard_domain::slot_block found = domain_->take_slots(*record_, block);
    slots_ = found.slots;
    taken_ = found.taken;
  }

  hazard_domain* domain_;
  hazard_domain::thread_record* record_;
  detail::hazard_slot* slots_ = nullptr;  // N of them, side by side
  std::uint32_t taken_ = 0;               // their bits in the record; 0 when they lie outside it
};

}  // namespace banyan
