#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// How many threads may be in the caller's code (a factory, a hook) on the pool's own account. A thread is counted
/// before it looks whether the pool is closed or stopped; who closes or stops it looks at the count afterwards (both
/// sequentially consistent), so that one of the two sees the other.
class callers_code {
 public:
  /// One thread's stay; a local variable.
  class stay {
   public:
    explicit stay(callers_code& of) noexcept : of_{of} {
      of_.inside_.fetch_add(1, std::memory_order_seq_cst);
      nesting& mine = of_this_thread();
      if (mine.depth < mine.in.size()) mine.in[mine.depth] = &of_;
      ++mine.depth;
    }
    stay(const stay&) = delete;
    stay& operator=(const stay&) = delete;
    ~stay() {
      --of_this_thread().depth;
      of_.inside_.fetch_sub(1, std::memory_order_seq_cst);
    }

   private:
    callers_code& of_;
  };

  /// Whether another thread than the calling one is inside. A thread that is in eight pools' code at once, one inside
  /// the other, counts as another to the ninth.
  [[nodiscard]] bool others_inside() const noexcept {
    const nesting& mine = of_this_thread();
    std::uint32_t own = 0;
    for (std::size_t i = 0; i < mine.depth && i < mine.in.size(); ++i) {
      if (mine.in[i] == this) ++own;
    }
    return inside_.load(std::memory_order_seq_cst) > own;
  }

 private:
  struct nesting {
    std::array<const callers_code*, 8> in{};
    std::size_t depth = 0;
  };
  static nesting& of_this_thread() noexcept {
    static thread_local nesting mine;
    return mine;
  }

  std::atomic<std::uint32_t> inside_{0};
};

}  // namespace banyan::detail
