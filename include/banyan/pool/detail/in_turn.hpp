#pragma once

namespace banyan::detail {

/// Things to be done on this thread one after the other: what is begun while another is being done waits for its turn
/// instead of standing on that one's stack. So a thousand callbacks may each set off the next.
class in_turn {
 public:
  class step {
   public:
    step() = default;
    step(const step&) = delete;
    step& operator=(const step&) = delete;
    /// May destroy the object.
    virtual void run() noexcept = 0;

   protected:
    ~step() = default;

   private:
    friend in_turn;
    step* next_ = nullptr;
  };

  /// Runs it now, or when those before it have returned.
  static void run(step& one) noexcept {
    line& mine = of_this_thread();
    one.next_ = nullptr;
    if (mine.busy) {
      (mine.last != nullptr ? mine.last->next_ : mine.first) = &one;
      mine.last = &one;
      return;
    }
    mine.busy = true;
    one.run();
    while (mine.first != nullptr) {
      step& next = *mine.first;
      mine.first = next.next_;
      if (mine.first == nullptr) mine.last = nullptr;
      next.run();
    }
    mine.busy = false;
  }

  /// Runs `f`, an executor's call; a step that the executor brings here meanwhile takes its turn.
  template <class F>
  static void handing_over(F f) noexcept {
    ++of_this_thread().handing_over;
    f();
    --of_this_thread().handing_over;
  }

  /// A step that comes from an executor: at once, unless that runs its tasks inside `execute`.
  static void run_from_executor(step& one) noexcept {
    if (of_this_thread().handing_over != 0) {
      run(one);
    } else {
      one.run();
    }
  }

 private:
  struct line {
    step* first = nullptr;
    step* last = nullptr;
    bool busy = false;
    unsigned handing_over = 0;
  };
  static line& of_this_thread() noexcept {
    static thread_local line mine;
    return mine;
  }
};

}  // namespace banyan::detail
