#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// Records what concurrent threads did, for the checker in linearizability.hpp.
///
///     history_recorder<op, answer> recorder{threads, calls_per_thread};
///     ... on thread t:
///     recorder.record(t, op{.kind = read}, [&] { return answer{shared.load()}; });
///     ... after joining the threads:
///     std::vector<recorded_call<op, answer>> calls = recorder.calls();
namespace banyan::testing {

inline constexpr std::uint64_t no_response = std::numeric_limits<std::uint64_t>::max();

/// One call: what was asked, what came back, and when. A call without a result is pending: it may have taken effect or
/// not. Times are ticks of one counter; no two are equal.
template <class Operation, class Result>
struct recorded_call {
  using operation_type = Operation;
  using result_type = Result;

  std::size_t thread = 0;
  Operation operation{};
  std::optional<Result> result{};
  std::uint64_t invoked = 0;
  std::uint64_t responded = no_response;

  bool pending() const noexcept { return !result.has_value(); }
};

/// Each thread writes to a buffer of its own, allocated beforehand; the one shared thing is the counter that tells the
/// time. That counter orders the threads, so data races may go unseen by ThreadSanitizer in a recorded run: look for
/// them in runs without a recorder.
///
/// Thread-safe as long as each thread number is used by one thread at a time. Recording is wait-free, O(1), and
/// allocates only what copying the operation and the result does.
template <class Operation, class Result>
class history_recorder {
 public:
  using call_type = recorded_call<Operation, Result>;

  history_recorder(std::size_t threads, std::size_t calls_per_thread) : lanes_(threads) {
    for (lane& each : lanes_) each.calls.reserve(calls_per_thread);
  }

  /// Calls `function` and records it as one call of `thread`. If it throws, the call stays pending.
  template <class Function>
  Result record(std::size_t thread, Operation operation, Function&& function) {
    const std::size_t index = begin(thread, std::move(operation));
    Result result = function();
    end(thread, index, result);
    return result;
  }

  /// The two halves of `record`, for calls that end elsewhere or never.
  std::size_t begin(std::size_t thread, Operation operation) {
    lane& own = lanes_[thread];
    if (own.calls.size() == own.calls.capacity()) {
      ++own.lost;
      return lost_call;
    }
    own.calls.push_back(call_type{thread, std::move(operation), std::nullopt, 0, no_response});
    own.calls.back().invoked = clock_.fetch_add(1);
    return own.calls.size() - 1;
  }
  void end(std::size_t thread, std::size_t index, Result result) {
    const std::uint64_t now = clock_.fetch_add(1);
    if (index == lost_call) return;
    call_type& call = lanes_[thread].calls[index];
    call.result.emplace(std::move(result));
    call.responded = now;
  }

  /// Whether `thread` has no room left. A call recorded without room makes the history worthless.
  bool full(std::size_t thread) const { return lanes_[thread].calls.size() == lanes_[thread].calls.capacity(); }

  /// Everything recorded, by time of invocation. To be called when the threads have been joined. Throws
  /// std::length_error when calls were lost for lack of room.
  std::vector<call_type> calls() const {
    std::vector<call_type> all;
    for (const lane& each : lanes_) {
      if (each.lost != 0) fail("history_recorder: calls_per_thread too small, lost " + std::to_string(each.lost));
      all.insert(all.end(), each.calls.begin(), each.calls.end());
    }
    std::sort(all.begin(), all.end(), [](const call_type& a, const call_type& b) { return a.invoked < b.invoked; });
    return all;
  }

 private:
  static constexpr std::size_t lost_call = std::numeric_limits<std::size_t>::max();

  struct alignas(64) lane {
    std::vector<call_type> calls;
    std::size_t lost = 0;
  };

  [[noreturn]] static void fail(const std::string& message) {
#if defined(__cpp_exceptions)
    throw std::length_error(message);
#else
    std::fprintf(stderr, "%s\n", message.c_str());
    std::abort();
#endif
  }

  std::vector<lane> lanes_;
  alignas(64) std::atomic<std::uint64_t> clock_{1};
};

}  // namespace banyan::testing
