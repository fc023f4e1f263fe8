#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>

#if !defined(__cpp_exceptions)
#include <cstdlib>
#endif

/// Makes the n-th allocation fail, and counts the allocations that are alive. failing_allocator.cpp replaces operators
/// new and delete of the whole test program by ones that call `malloc` and `free` (so the sanitizers still see every
/// block); this header steers them.
///
///     const auto report = banyan::testing::for_every_failing_allocation([] {
///       banyan::lru_cache<std::string, int> cache{{.capacity = 4}};
///       cache.put("a", 1);
///     });
///     INFO(report.describe());
///     CHECK(report.clean());
///
/// Only allocations by this thread fail. Do not use the test framework's assertions while a failure is armed: they
/// allocate. Return a value from the function or put them in an `unfailing_section`.
namespace banyan::testing {

namespace detail {

/// Per thread. `remaining` counts down to the allocation that fails; 0 means that none will.
struct allocation_state {
  std::uint64_t remaining = 0;
  std::uint64_t failures_left = 0;
  std::uint64_t failed = 0;
  std::uint64_t suspended = 0;
  std::uint64_t allocations = 0;
};

/// This thread's state. Defined in failing_allocator.cpp, which any use of this header thereby links in.
allocation_state& this_threads_allocations() noexcept;

}  // namespace detail

/// Blocks of operator new that all threads of the program hold at this moment. Exact while no other thread allocates.
std::int64_t live_allocations() noexcept;

/// Calls of operator new by this thread since it started; to show that something does not allocate.
inline std::uint64_t allocations_by_this_thread() noexcept { return detail::this_threads_allocations().allocations; }

/// Counts what is still allocated since its construction.
///
///     const leak_check leaks;
///     { std::vector<int> v(10); }
///     CHECK(leaks.leaked() == 0);
class leak_check {
 public:
  leak_check() noexcept : before_{live_allocations()} {}
  std::int64_t leaked() const noexcept { return live_allocations() - before_; }

 private:
  std::int64_t before_;
};

/// While it lives, this thread's n-th allocation from its construction on fails, n counted from 1 (0: none does), and
/// the `in_a_row - 1` that follow it. Restores what was armed before. The ordinary forms of operator new throw
/// std::bad_alloc, or abort where exceptions are off; the nothrow forms return null.
class fail_nth_allocation {
 public:
  static constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();

  explicit fail_nth_allocation(std::uint64_t n, std::uint64_t in_a_row = 1) noexcept
      : saved_{detail::this_threads_allocations()} {
    detail::allocation_state& state = detail::this_threads_allocations();
    state.remaining = n;
    state.failures_left = in_a_row;
    state.failed = 0;
    state.suspended = 0;
  }

  ~fail_nth_allocation() {
    detail::allocation_state& state = detail::this_threads_allocations();
    const std::uint64_t allocations = state.allocations;
    state = saved_;
    state.allocations = allocations;
  }

  fail_nth_allocation(const fail_nth_allocation&) = delete;
  fail_nth_allocation& operator=(const fail_nth_allocation&) = delete;

  /// Whether an allocation has failed since.
  bool fired() const noexcept { return detail::this_threads_allocations().failed != 0; }

 private:
  detail::allocation_state saved_;
};

/// While it lives, allocations by this thread neither fail nor count towards the one that will.
class unfailing_section {
 public:
  unfailing_section() noexcept { ++detail::this_threads_allocations().suspended; }
  ~unfailing_section() { --detail::this_threads_allocations().suspended; }

  unfailing_section(const unfailing_section&) = delete;
  unfailing_section& operator=(const unfailing_section&) = delete;
};

struct failing_allocation_report {
  bool complete = false;          ///< a run went through in which no allocation failed
  std::uint64_t allocations = 0;  ///< how many allocations were made to fail, one in each run
  std::uint64_t survived = 0;     ///< runs that ended normally although an allocation failed (fine, if it is meant)
  std::uint64_t leaking = 0;      ///< runs that left more allocated than before
  std::uint64_t first_leak = 0;  ///< the number of the failing allocation in the first of those; 0: without any failing
  std::int64_t first_leaked = 0;  ///< how many blocks it left

  bool clean() const noexcept { return complete && leaking == 0; }

  std::string describe() const {
    std::string text = std::to_string(allocations) + " allocations made to fail, " + std::to_string(survived) +
                       " of these runs ended normally";
    if (!complete) text += "; stopped at the limit before all had failed";
    if (leaking != 0) {
      text += "; " + std::to_string(leaking) + " runs leaked, first with allocation " + std::to_string(first_leak) +
              " failing: " + std::to_string(first_leaked) + " blocks";
    }
    return text;
  }
};

/// Calls `function()` again and again: once with nothing failing (twice, in fact: the first call may fill caches that
/// live on), then with the first allocation failing, then the second, and so on until a run needs no more allocations.
/// std::bad_alloc is expected and swallowed; any other exception comes through. A run that leaves more allocated than
/// it found is a leak, so objects whose memory is reclaimed later must be reclaimed inside `function`.
///
/// `after(n)`, if given, is called after each run with nothing failing, to check that what outlives the run is intact;
/// `n` is the number of the allocation that failed (0: none).
///
/// Where exceptions are off, only code that uses the nothrow forms of operator new can be tested.
template <class Function, class After>
failing_allocation_report for_every_failing_allocation(Function&& function, After&& after,
                                                       std::uint64_t limit = 100'000) {
  failing_allocation_report report;
  const auto note_leak = [&report](std::uint64_t n, std::int64_t leaked) {
    if (leaked <= 0) return;
    if (report.leaking++ == 0) {
      report.first_leak = n;
      report.first_leaked = leaked;
    }
  };
  function();
  after(std::uint64_t{0});
  {
    const leak_check leaks;
    function();
    note_leak(0, leaks.leaked());
    after(std::uint64_t{0});
  }
  for (std::uint64_t n = 1; n <= limit; ++n) {
    const leak_check leaks;
    bool fired = false;
    bool ended = false;
    {
      const fail_nth_allocation guard{n};
#if defined(__cpp_exceptions)
      try {
        function();
        ended = true;
      } catch (const std::bad_alloc&) {
      }
#else
      function();
      ended = true;
#endif
      fired = guard.fired();
    }
    note_leak(n, leaks.leaked());
    after(fired ? n : std::uint64_t{0});
    if (!fired) {
      // A std::bad_alloc of the function's own making, without a failed allocation, does not count as a complete run.
      report.complete = ended;
      return report;
    }
    ++report.allocations;
    if (ended) ++report.survived;
  }
  return report;
}

template <class Function>
failing_allocation_report for_every_failing_allocation(Function&& function) {
  return for_every_failing_allocation(function, [](std::uint64_t) {});
}

}  // namespace banyan::testing
