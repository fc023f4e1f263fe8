#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/shard/gather_error.hpp>

namespace banyan::detail {

/// Calls `call(0)` to `call(count - 1)` on an executor, each of which returns `expected<T, E>`, and collects what they
/// return until a deadline. It is shared by whoever waits and all tasks, so that nothing dangles when tasks are late.
template <class T, class E, class Call>
class gather_run : public std::enable_shared_from_this<gather_run<T, E, Call>> {
 public:
  using answer = expected<T, gather_error<E>>;

  gather_run(std::size_t count, Call call)
      : slots_(count), left_{static_cast<std::uint32_t>(count)}, call_{std::move(call)} {}

  template <executor Executor>
  void start(Executor& where, steady_clock::time_point deadline) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      // Where tasks run in `execute`, time goes by here.
      if (deadline != steady_clock::time_point::max() && steady_clock::now() >= deadline) return;
#if defined(__cpp_exceptions)
      try {
        where.execute(part{this->shared_from_this(), i});
      } catch (...) {  // the task has been destroyed, which the slot knows
      }
#else
      where.execute(part{this->shared_from_this(), i});
#endif
    }
  }

  /// Waits for all answers, until the deadline. Tasks that have not begun by then will not. Once.
  std::vector<answer> collect(steady_clock::time_point deadline) {
    static_cast<void>(ready_.wait_until(0, deadline));
    std::vector<answer> all;
    all.reserve(slots_.size());
    for (slot& each : slots_) {
      stage seen = stage::waiting;
      // (2) acquire: pairs with the release in (1).
      if (each.at.compare_exchange_strong(seen, stage::called_off, std::memory_order_acquire)) {
        all.push_back(fault(gather_fault::not_started));
      } else if (seen == stage::answered && each.result.has_value()) {
        all.push_back(std::move(*each.result));
      } else {
        all.push_back(fault(gather_fault::timed_out));
      }
    }
    return all;
  }

 private:
  enum class stage : std::uint8_t { waiting, running, answered, called_off };

  struct slot {
    std::atomic<stage> at{stage::waiting};
    std::optional<answer> result{};
  };

  // What the executor gets. Dropped without having run, it says so.
  class part {
   public:
    part(std::shared_ptr<gather_run> of, std::size_t index) noexcept : of_{std::move(of)}, index_{index} {}
    part(part&&) noexcept = default;
    part& operator=(part&&) = delete;
    ~part() {
      if (of_ != nullptr) of_->drop(index_);
    }
    void operator()() { std::exchange(of_, nullptr)->run(index_); }

   private:
    std::shared_ptr<gather_run> of_;
    std::size_t index_;
  };

  static unexpected<gather_error<E>> fault(gather_fault what) {
    return unexpected<gather_error<E>>{gather_error<E>{what, std::nullopt, nullptr}};
  }

  bool begin(slot& mine) noexcept {
    stage seen = stage::waiting;
    return mine.at.compare_exchange_strong(seen, stage::running, std::memory_order_relaxed);  // decides, and no more
  }

  void run(std::size_t index) {
    slot& mine = slots_[index];
    if (!begin(mine)) return;
#if defined(__cpp_exceptions)
    try {
      mine.result.emplace(call_(index));
    } catch (...) {
      mine.result.emplace(unexpected<gather_error<E>>{gather_error<E> {
        gather_fault::threw,
        std::nullopt,
        std::current_exception()
      }});
    }
#else
    mine.result.emplace(call_(index));
#endif
    end(mine);
  }

  void drop(std::size_t index) noexcept {
    slot& mine = slots_[index];
    if (!begin(mine)) return;
    mine.result.emplace(fault(gather_fault::dropped));
    end(mine);
  }

  void end(slot& mine) noexcept {
    mine.at.store(stage::answered, std::memory_order_release);  // (1) release: pairs with the acquire in (2)
    // release, acquire: the last one has seen what all wrote, and hands it on by the word below.
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    ready_.value().store(1, std::memory_order_release);  // pairs with the acquire in parking_word::wait_until
    ready_.notify_all();
  }

  std::vector<slot> slots_;
  std::atomic<std::uint32_t> left_;
  parking_word ready_;
  Call call_;
};

/// See `gather_run`. Blocks until the deadline.
template <class T, class E, executor Executor, class Call>
std::vector<expected<T, gather_error<E>>> gather(std::size_t count, Executor& where, Call call,
                                                 steady_clock::time_point deadline) {
  if (count == 0) return {};
  const auto run = std::make_shared<gather_run<T, E, Call>>(count, std::move(call));
  run->start(where, deadline);
  return run->collect(deadline);
}

}  // namespace banyan::detail
