#pragma once

#include <atomic>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

/// Keys and values that misbehave on demand, for robustness tests: they throw at their n-th copy, move, comparison or
/// hash, are move-only or over-aligned, count their living instances, and notice when they are used after their
/// destruction or were moved by copying bytes.
///
///     const auto report = banyan::testing::for_every_fault(fault_kind::copy, [] {
///       std::vector<tracked> v;
///       for (int i = 0; i < 4; ++i) v.push_back(tracked{i});
///     });
///     INFO(report.describe());
///     CHECK(report.clean());
///
///     banyan::lru_cache<tracked, tracked, throwing_hash, throwing_equal> ...
///
/// Counting and throwing are thread-safe and wait-free; the count-down is one for the whole program, so that a fault
/// also fires when a component does the copying on a thread of its own. Where exceptions are off, faults count but do
/// not throw.
namespace banyan::testing {

enum class fault_kind { construct, copy, move, compare, hash, call };
inline constexpr std::size_t fault_kinds = 6;

/// What an armed fault throws. Not a std::exception, so that nobody catches it by accident.
struct injected_fault {
  fault_kind kind;
  friend bool operator==(const injected_fault&, const injected_fault&) = default;
};

namespace detail {

// Relaxed: these are counts, and no other memory depends on them.
inline constinit std::atomic<std::uint64_t> fault_countdown[fault_kinds]{};
inline constinit std::atomic<std::uint64_t> faults_fired[fault_kinds]{};
inline constinit std::atomic<std::int64_t> tracked_alive{0};
inline constinit std::atomic<std::uint64_t> tracked_misuses{0};

}  // namespace detail

/// Call this where something of this kind happens; throws when an armed fault is due. `fault_kind::call` is for the
/// loaders, listeners, factories and deleters of tests.
inline void fault_point(fault_kind kind) {
  std::atomic<std::uint64_t>& countdown = detail::fault_countdown[static_cast<std::size_t>(kind)];
  std::uint64_t left = countdown.load(std::memory_order_relaxed);
  while (left != 0 && !countdown.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
  }
  if (left != 1) return;
  detail::faults_fired[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
#if defined(__cpp_exceptions)
  throw injected_fault{kind};
#endif
}

/// While it lives, the n-th event of this kind, counted from 1, throws (0: none does). One per kind at a time.
class throw_at {
 public:
  throw_at(fault_kind kind, std::uint64_t n) noexcept : index_{static_cast<std::size_t>(kind)} {
    detail::faults_fired[index_].store(0, std::memory_order_relaxed);
    detail::fault_countdown[index_].store(n, std::memory_order_relaxed);
  }
  ~throw_at() { detail::fault_countdown[index_].store(0, std::memory_order_relaxed); }

  throw_at(const throw_at&) = delete;
  throw_at& operator=(const throw_at&) = delete;

  bool fired() const noexcept { return detail::faults_fired[index_].load(std::memory_order_relaxed) != 0; }

 private:
  std::size_t index_;
};

/// Living instances of all tracked types.
inline std::int64_t tracked_instances() noexcept { return detail::tracked_alive.load(std::memory_order_relaxed); }

/// Uses of tracked objects that were destroyed, never constructed, or moved by copying their bytes, since the start.
inline std::uint64_t tracked_misuses() noexcept { return detail::tracked_misuses.load(std::memory_order_relaxed); }

enum class copying { yes, no };
enum class moving {
  may_throw,  ///< a fault point, and not noexcept
  nothrow,    ///< noexcept, no fault point
};

/// A number with a life of its own. After being moved from, its value is `moved_from`.
template <copying Copying = copying::yes, moving Moving = moving::may_throw, std::size_t Alignment = alignof(void*)>
class alignas(Alignment) basic_tracked {
 public:
  static constexpr std::int64_t moved_from = -1;
  static constexpr bool nothrow_move = Moving == moving::nothrow;

  basic_tracked() : basic_tracked(0) {}
  explicit basic_tracked(std::int64_t value) : value_{value} {
    fault_point(fault_kind::construct);
    start_life();
  }

  basic_tracked(const basic_tracked& other) requires(Copying == copying::yes) : value_{other.checked()} {
    fault_point(fault_kind::copy);
    start_life();
  }
  basic_tracked(basic_tracked&& other) noexcept(nothrow_move) : value_{other.checked()} {
    if constexpr (!nothrow_move) fault_point(fault_kind::move);
    other.value_ = moved_from;
    start_life();
  }
  basic_tracked& operator=(const basic_tracked& other) requires(Copying == copying::yes) {
    checked();
    const std::int64_t value = other.checked();
    fault_point(fault_kind::copy);
    value_ = value;
    return *this;
  }
  basic_tracked& operator=(basic_tracked&& other) noexcept(nothrow_move) {
    checked();
    const std::int64_t value = other.checked();
    if constexpr (!nothrow_move) fault_point(fault_kind::move);
    other.value_ = moved_from;
    value_ = value;
    return *this;
  }

  ~basic_tracked() {
    checked();
    self_ = nullptr;
    detail::tracked_alive.fetch_sub(1, std::memory_order_relaxed);
  }

  std::int64_t value() const noexcept { return checked(); }

  friend bool operator==(const basic_tracked& a, const basic_tracked& b) {
    const bool equal = a.checked() == b.checked();
    fault_point(fault_kind::compare);
    return equal;
  }
  friend std::strong_ordering operator<=>(const basic_tracked& a, const basic_tracked& b) {
    const std::strong_ordering order = a.checked() <=> b.checked();
    fault_point(fault_kind::compare);
    return order;
  }

 private:
  void start_life() noexcept {
    self_ = this;
    detail::tracked_alive.fetch_add(1, std::memory_order_relaxed);
  }

  std::int64_t checked() const noexcept {
    const bool misplaced = reinterpret_cast<std::uintptr_t>(this) % Alignment != 0;
    if (self_ != this || misplaced) detail::tracked_misuses.fetch_add(1, std::memory_order_relaxed);
    return value_;
  }

  // Volatile, so that the compiler does not drop the last store before the object's end, which is the one that shows a
  // use afterwards.
  const basic_tracked* volatile self_ = nullptr;
  std::int64_t value_;
};

using tracked = basic_tracked<>;                                                   ///< everything may throw
using nothrow_move_tracked = basic_tracked<copying::yes, moving::nothrow>;         ///< copies may throw
using move_only_tracked = basic_tracked<copying::no, moving::nothrow>;             ///< as std::unique_ptr
using throwing_move_only_tracked = basic_tracked<copying::no, moving::may_throw>;  ///< the hardest to keep
using over_aligned_tracked = basic_tracked<copying::yes, moving::may_throw, 128>;  ///< more than new gives by default

static_assert(std::is_copy_constructible_v<tracked> && !std::is_nothrow_move_constructible_v<tracked>);
static_assert(!std::is_copy_constructible_v<move_only_tracked> && !std::is_copy_assignable_v<move_only_tracked>);
static_assert(std::is_nothrow_move_constructible_v<move_only_tracked>);
static_assert(alignof(over_aligned_tracked) == 128);

/// Hashes tracked objects and anything std::hash knows; a fault point. `Mask` makes keys collide: 0 puts all in one
/// bucket, which is a hash flood.
template <std::uint64_t Mask = ~std::uint64_t{0}>
struct basic_throwing_hash {
  template <class T>
  std::size_t operator()(const T& key) const {
    fault_point(fault_kind::hash);
    if constexpr (requires {
                    { key.value() } -> std::same_as<std::int64_t>;
                  }) {
      return static_cast<std::size_t>((static_cast<std::uint64_t>(key.value()) * 0x9e3779b97f4a7c15ULL) & Mask);
    } else {
      return static_cast<std::size_t>(std::hash<T>{}(key)&Mask);
    }
  }
};
using throwing_hash = basic_throwing_hash<>;
using colliding_hash = basic_throwing_hash<0>;

/// Compares by ==; a fault point of its own for types whose == is none (with tracked objects it counts twice).
struct throwing_equal {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    fault_point(fault_kind::compare);
    return a == b;
  }
};

struct throwing_less {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    fault_point(fault_kind::compare);
    return a < b;
  }
};

struct fault_report {
  bool complete = false;       ///< a run went through in which no fault fired
  std::uint64_t faults = 0;    ///< faults fired, one in each run
  std::uint64_t survived = 0;  ///< runs that ended normally although a fault fired
  std::int64_t leaked = 0;     ///< tracked instances left over (or, negative, destroyed twice), over all runs
  std::uint64_t misuses = 0;   ///< see tracked_misuses

  bool clean() const noexcept { return complete && leaked == 0 && misuses == 0; }

  std::string describe() const {
    return std::to_string(faults) + " faults, " + std::to_string(survived) + " survived, " + std::to_string(leaked) +
           " instances left over, " + std::to_string(misuses) + " misuses" +
           (complete ? "" : "; stopped before all faults had fired");
  }
};

/// Calls `function()` with the first event of this kind throwing, then the second, and so on until a run ends in which
/// none threw. injected_fault is swallowed; other exceptions come through. `function` must destroy every tracked object
/// it makes.
template <class Function>
fault_report for_every_fault(fault_kind kind, Function&& function, std::uint64_t limit = 100'000) {
  fault_report report;
  const std::int64_t alive = tracked_instances();
  const std::uint64_t misuses = tracked_misuses();
  for (std::uint64_t n = 1; n <= limit && !report.complete; ++n) {
    const throw_at guard{kind, n};
    bool ended = false;
#if defined(__cpp_exceptions)
    try {
      function();
      ended = true;
    } catch (const injected_fault&) {
    }
#else
    function();
    ended = true;
#endif
    if (guard.fired()) {
      ++report.faults;
      if (ended) ++report.survived;
    } else {
      report.complete = true;
    }
  }
  report.leaked = tracked_instances() - alive;
  report.misuses = tracked_misuses() - misuses;
  return report;
}

}  // namespace banyan::testing
