#pragma once

#include <atomic>
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
    explicit stay(callers_code& of) noexcept : of_{&of}, outer_{innermost()} {
      of_->inside_.fetch_add(1, std::memory_order_seq_cst);
      innermost() = this;
    }
    stay(const stay&) = delete;
    stay& operator=(const stay&) = delete;
    ~stay() {
      innermost() = outer_;
      of_->inside_.fetch_sub(1, std::memory_order_seq_cst);
    }

   private:
    friend callers_code;
    static stay*& innermost() noexcept {
      static thread_local stay* scope = nullptr;
      return scope;
    }
    callers_code* of_;
    stay* outer_;
  };

  /// Whether another thread than the calling one is inside.
  [[nodiscard]] bool others_inside() const noexcept {
    std::uint32_t mine = 0;
    for (const stay* each = stay::innermost(); each != nullptr; each = each->outer_) {
      if (each->of_ == this) ++mine;
    }
    return inside_.load(std::memory_order_seq_cst) > mine;
  }

 private:
  std::atomic<std::uint32_t> inside_{0};
};

}  // namespace banyan::detail
