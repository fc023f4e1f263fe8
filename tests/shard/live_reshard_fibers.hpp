#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define BANYAN_FIBERS_UNDER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define BANYAN_FIBERS_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BANYAN_FIBERS_UNDER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define BANYAN_FIBERS_UNDER_TSAN 1
#endif
#endif
#if defined(BANYAN_FIBERS_UNDER_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(BANYAN_FIBERS_UNDER_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

/// Functions that stop in the middle of a call and go on when told to: so a test may interleave several users of a
/// library that knows nothing of it, in one thread, the same way each time.
namespace banyan::testing {

class fiber {
 public:
  explicit fiber(std::function<void()> body) : body_{std::move(body)}, stack_{new char[stack_size]} {
    ::getcontext(&own_);
    own_.uc_stack.ss_sp = stack_.get();
    own_.uc_stack.ss_size = stack_size;
    own_.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&own_, reinterpret_cast<void (*)()>(&fiber::enter), 2, static_cast<unsigned>(self >> 32),
                  static_cast<unsigned>(self & 0xffff'ffffU));
#if defined(BANYAN_FIBERS_UNDER_TSAN)
    tsan_own_ = __tsan_create_fiber(0);
#endif
  }
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;
  ~fiber() {
#if defined(BANYAN_FIBERS_UNDER_TSAN)
    __tsan_destroy_fiber(tsan_own_);
#endif
  }

  [[nodiscard]] bool finished() const noexcept { return finished_; }

  /// Lets it go on until it stops again. Not from within a fiber.
  void resume() {
    current() = this;
#if defined(BANYAN_FIBERS_UNDER_TSAN)
    tsan_other_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_own_, 0);
#endif
#if defined(BANYAN_FIBERS_UNDER_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_.get(), stack_size);
#endif
    ::swapcontext(&other_, &own_);
#if defined(BANYAN_FIBERS_UNDER_ASAN)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    current() = nullptr;
  }

  /// Stops the fiber that runs; nothing outside of one.
  static void pause() {
    if (current() != nullptr) current()->stop(false);
  }

 private:
  static constexpr std::size_t stack_size = std::size_t{64} * 1024;

  static fiber*& current() {
    static fiber* running = nullptr;
    return running;
  }

  static void enter(unsigned high, unsigned low) {
    auto* const self =
        reinterpret_cast<fiber*>((static_cast<std::uintptr_t>(high) << 32) | static_cast<std::uintptr_t>(low));
#if defined(BANYAN_FIBERS_UNDER_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &self->outer_stack_, &self->outer_size_);
#endif
    self->body_();
    self->finished_ = true;
    self->stop(true);
  }

  void stop([[maybe_unused]] bool for_good) {
#if defined(BANYAN_FIBERS_UNDER_TSAN)
    __tsan_switch_to_fiber(tsan_other_, 0);
#endif
#if defined(BANYAN_FIBERS_UNDER_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, outer_stack_, outer_size_);
#endif
    ::swapcontext(&own_, &other_);
#if defined(BANYAN_FIBERS_UNDER_ASAN)
    __sanitizer_finish_switch_fiber(fake, &outer_stack_, &outer_size_);
#endif
  }

  std::function<void()> body_;
  std::unique_ptr<char[]> stack_;
  ucontext_t own_{};
  ucontext_t other_{};
  bool finished_ = false;
#if defined(BANYAN_FIBERS_UNDER_ASAN)
  const void* outer_stack_ = nullptr;
  std::size_t outer_size_ = 0;
#endif
#if defined(BANYAN_FIBERS_UNDER_TSAN)
  void* tsan_own_ = nullptr;
  void* tsan_other_ = nullptr;
#endif
};

}  // namespace banyan::testing
