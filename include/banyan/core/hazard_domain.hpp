#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/detail/hazard_records.hpp>
#include <banyan/core/detail/process_barrier.hpp>
#include <banyan/core/detail/retired_objects.hpp>

namespace banyan {

class hazard_domain;
template <std::size_t N>
class hazard_slots;

namespace detail {

// What a thread holds. Constant-initialised and trivially destroyed: reading it needs no guard, and it can be used
// before, while and after the thread's other thread-locals are destroyed.
struct thread_hazards {
  hazard_record* global = nullptr;  // record in hazard_domain::global()
  hazard_record* others = nullptr;  // records in other domains
  unsigned exits = 0;               // how many exit hooks have run
};
inline constinit thread_local thread_hazards this_thread_hazards{};

}  // namespace detail

/// Hazard pointers: a reader publishes the address of the object it is about to use, and whoever wants to free the
/// object waits until nobody names it. Readers write only to their own cache line; a reader that stops keeps alive only
/// the objects it names. No thread registers: the first use takes a record, the thread's exit gives it back.
///
/// A domain is owned by nobody and never destroyed, so it may be used from static destructors and from thread-local
/// ones. Header statics can differ between shared libraries: a component that crosses libraries keeps a pointer to its
/// domain instead of calling `global()` twice.
///
/// Where Linux offers `membarrier`, publishing is a plain store (asymmetric form); else it is one atomic
/// read-modify-write on a line of the thread's own. After fork, the child goes on; what other threads had pinned in the
/// parent stays pinned in the child and leaks there.
///
/// Signal handlers may use `hazard_slots` on threads that have used the domain before.
class hazard_domain {
 public:
  /// The record of one thread; `index()` is a small number, exclusive to the thread while it lives and reused later.
  using thread_record = detail::hazard_record;

  hazard_domain(const hazard_domain&) = delete;
  hazard_domain& operator=(const hazard_domain&) = delete;

  /// The domain for everybody. Wait-free.
  [[nodiscard]] static hazard_domain& global() noexcept;

  /// A domain of its own, which lives as long as the process. Meant for tests and for measuring: `asymmetric = false`
  /// asks for the form without `membarrier`. Throws `std::bad_alloc`.
  [[nodiscard]] static hazard_domain& make_immortal(bool asymmetric = true) {
    auto* const made = new hazard_domain{asymmetric};
    // Kept in a list only so that tools that look for leaks find it.
    static constinit std::atomic<hazard_domain*> all{nullptr};
    made->made_before_ = all.load(std::memory_order_relaxed);
    while (!all.compare_exchange_weak(made->made_before_, made, std::memory_order_relaxed)) {
    }
    return *made;
  }

  /// The calling thread's record, acquired on first use. Terminates when memory is out at first use; `try_local` and
  /// `hazard_slots` tell instead. Wait-free afterwards, O(1); the first use is lock-free, O(records).
  thread_record& local() noexcept {
    thread_record* const record = try_local();
    if (record == nullptr) [[unlikely]] {
      std::abort();
    }
    return *record;
  }

  /// As `local`, null when memory is out.
  [[nodiscard]] thread_record* try_local() noexcept {
    if (this == &global()) [[likely]] {
      thread_record* const record = detail::this_thread_hazards.global;
      if (record != nullptr) [[likely]] {
        return record;
      }
    }
    return find_or_take_record();
  }

  /// The reader's half of the asymmetric barrier by itself, for protocols that publish something other than an address
  /// (a flag, a count): the partner of `synchronize`. Let one thread store to A, `meet`, then load B, and another store
  /// to B, `synchronize`, then load A: at least one of the two loads sees the other thread's store, or a later one. The
  /// four accesses are to atomics, and may be relaxed; nothing is promised between two threads that both `meet`.
  /// `record` is the calling thread's in this domain. Costs nothing but a compiler barrier where the domain is
  /// `asymmetric()`, else a read-modify-write on a line of the thread's own. Wait-free, O(1).
  BANYAN_ALWAYS_INLINE void meet(thread_record& record) noexcept { records_.meet(record.meeting); }

  /// The reclaiming side's barrier: every hazard that was published and then validated against what the caller had not
  /// yet unlinked is seen by a `for_each_hazard` that follows. Also the partner of `meet`. Lock-free: a system call of
  /// 2-20 us, or O(slots).
  void synchronize() noexcept {
    settle_barrier();
    records_.synchronize();
  }

  /// Calls `f(const void*)` with each published address. Lock-free, O(slots).
  template <class F>
  void for_each_hazard(F f) const {
    records_.for_each_hazard(f);
  }

  /// Whether readers pay for a plain store only. Wait-free.
  [[nodiscard]] bool asymmetric() const noexcept { return records_.barrier().light(); }

  /// Hands over an object whose links are gone; `node.retired_address` is what readers publish. Does not allocate,
  /// unless it is the thread's first use of the domain. Frees up to all waiting objects when it comes to the threshold
  /// of max(1000, 2 * slots). Lock-free apart from the deleters it runs.
  void retire(detail::retired_node& node) noexcept {
    thread_record* const record = try_local();
    const bool full = retired_.push(node, record != nullptr ? record->index() : 0, records_);
    if (full && record != nullptr) [[unlikely]] {
      retired_.reclaim(*record, records_);
    }
  }

  /// Frees now all retired objects that nobody protects. Does nothing inside a deleter. Lock-free apart from the
  /// deleters, O(waiting objects + slots).
  void reclaim() noexcept {
    thread_record* const record = try_local();
    if (record != nullptr) retired_.reclaim(*record, records_);
  }

  /// Number of hazard slots that exist. Wait-free.
  [[nodiscard]] std::size_t slots() const noexcept { return records_.slots(); }

 private:
  using records = detail::hazard_records<detail::process_barrier>;

  template <std::size_t>
  friend class hazard_slots;
  friend class hazard_pointer;

  constexpr explicit hazard_domain(bool asymmetric) noexcept : records_{detail::process_barrier{asymmetric}} {}

  void settle_barrier() noexcept { records_.barrier().settle(); }

  BANYAN_COLD thread_record* find_or_take_record() noexcept {
    detail::thread_hazards& mine = detail::this_thread_hazards;
    for (thread_record* record = mine.others; record != nullptr; record = record->next_of_thread) {
      if (record->domain == this) return record;
    }
    settle_barrier();
    thread_record* const record = records_.take_record();
    if (record == nullptr) return nullptr;
    record->domain = this;
    record->next_of_thread = nullptr;
    if (this == &global()) {
      mine.global = record;
    } else {
      record->next_of_thread = mine.others;
      mine.others = record;
    }
    arm_exit_hook<0>();
    return record;
  }

  static void thread_exits() noexcept {
    detail::thread_hazards& mine = detail::this_thread_hazards;
    ++mine.exits;
    if (mine.global != nullptr) {
      thread_record& record = *mine.global;
      mine.global = nullptr;
      records::give_back_record(record);
    }
    while (mine.others != nullptr) {
      thread_record& record = *mine.others;
      mine.others = record.next_of_thread;
      records::give_back_record(record);
    }
  }

  template <unsigned Level>
  struct exit_hook {
    constexpr exit_hook() noexcept = default;
    ~exit_hook() { thread_exits(); }
    void arm() const noexcept {}
  };

  // A thread-local's destructor that runs after our hook may use the domain again and take a record again; a further
  // hook then gives it back. Past the last hook the record stays with its dead thread.
  template <unsigned Level>
  static void arm_exit_hook() noexcept {
    if constexpr (Level < 4) {
      if (detail::this_thread_hazards.exits > Level) {
        arm_exit_hook<Level + 1>();
      } else {
        static thread_local const exit_hook<Level> hook;
        hook.arm();
      }
    }
  }

  struct slot_block {
    detail::hazard_slot* slots;  // null: memory is out
    std::uint32_t taken;         // their bits in the record; 0 when they lie outside it
  };

  // Room for `block` anywhere in the record, or outside it. Handed out by value: a scope whose address went into a call
  // could no longer be kept in registers.
  BANYAN_COLD slot_block take_slots(thread_record& record, std::uint32_t block) noexcept {
    record.collect_returned();
    const std::uint32_t used = record.used.load(std::memory_order_relaxed);
    for (std::uint32_t first = 0; first < thread_record::slot_count; ++first) {
      const std::uint32_t wanted = block << first;
      if (((used | ~thread_record::all_slots) & wanted) != 0) continue;
      record.used.store(record.used.load(std::memory_order_relaxed) | wanted, std::memory_order_relaxed);
      return {&record.slots[first], wanted};
    }
    return {records_.take_overflow_scope(), 0};
  }

  struct claimed_slot {
    detail::hazard_slot* slot;
    thread_record* home;  // null: an overflow slot
  };

  claimed_slot claim_slot() {
    thread_record& record = require_local();
    std::uint32_t used = record.used.load(std::memory_order_relaxed);
    if (used == thread_record::all_slots) {
      record.collect_returned();
      used = record.used.load(std::memory_order_relaxed);
    }
    if (used != thread_record::all_slots) {
      const auto i = static_cast<std::uint32_t>(std::countr_one(used));
      record.used.store(used | (1U << i), std::memory_order_relaxed);
      return {&record.slots[i], &record};
    }
    detail::hazard_slot* const slot = records_.take_overflow();
    if (slot == nullptr) out_of_memory();
    return {slot, nullptr};
  }

  thread_record& require_local() {
    thread_record* const record = try_local();
    if (record == nullptr) [[unlikely]] {
      out_of_memory();
    }
    return *record;
  }

  [[noreturn]] static void out_of_memory() {
#if defined(__cpp_exceptions)
    throw std::bad_alloc{};
#else
    std::abort();
#endif
  }

  records records_;
  detail::retired_objects retired_;
  hazard_domain* made_before_ = nullptr;
};

inline hazard_domain& hazard_domain::global() noexcept {
  static constinit hazard_domain domain{true};
  return domain;
}

}  // namespace banyan

#include <banyan/core/hazard_slots.hpp>  // last: it needs the whole domain, and whoever uses a domain needs it
