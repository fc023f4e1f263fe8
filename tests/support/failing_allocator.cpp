#include "support/failing_allocator.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "support/postponed_stop.hpp"

namespace banyan::testing {

namespace {

constinit thread_local detail::allocation_state state;

// Live blocks, counted in stripes so that counting does not become the one line all threads of a test meet at: that
// would slow them into step with each other and hide races. Relaxed throughout for the same reason; the sum is only
// read when the threads that allocated have been joined.
struct alignas(64) stripe {
  std::atomic<std::int64_t> live{0};
};
constinit std::array<stripe, 64> stripes;
constinit std::atomic<std::size_t> next_stripe{0};
constinit thread_local std::size_t own_stripe = 0;

void count(std::int64_t change) noexcept {
  if (own_stripe == 0) own_stripe = 1 + next_stripe.fetch_add(1, std::memory_order_relaxed) % stripes.size();
  stripes[own_stripe - 1].live.fetch_add(change, std::memory_order_relaxed);
}

bool must_fail() noexcept {
  ++state.allocations;
  if (state.suspended != 0 || state.remaining == 0) return false;
  if (state.remaining > 1) {
    --state.remaining;
    return false;
  }
  // `remaining` stays at 1 until the last of the failures in a row.
  if (state.failures_left <= 1) state.remaining = 0;
  --state.failures_left;
  ++state.failed;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (must_fail()) return nullptr;
  if (size == 0) size = 1;
  const postponed_stop excused;
  void* block = nullptr;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
    block = std::malloc(size);
  } else if (const std::size_t rounded = (size + alignment - 1) / alignment * alignment; rounded >= size) {
    block = std::aligned_alloc(alignment, rounded);
  }
  if (block != nullptr) count(1);
  return block;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 1) {
  if (void* block = allocate(size, alignment); block != nullptr) return block;
#if defined(__cpp_exceptions)
  throw std::bad_alloc{};
#else
  std::abort();
#endif
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  const postponed_stop excused;
  count(-1);
  std::free(block);
}

constexpr std::size_t number(std::align_val_t alignment) noexcept { return static_cast<std::size_t>(alignment); }

}  // namespace

detail::allocation_state& detail::this_threads_allocations() noexcept { return state; }

std::int64_t live_allocations() noexcept {
  std::int64_t sum = 0;
  for (const stripe& each : stripes) sum += each.live.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace banyan::testing

namespace testing = banyan::testing;

void* operator new(std::size_t size) { return testing::allocate_or_throw(size); }
void* operator new[](std::size_t size) { return testing::allocate_or_throw(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return testing::allocate_or_throw(size, testing::number(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return testing::allocate_or_throw(size, testing::number(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return testing::allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return testing::allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return testing::allocate(size, testing::number(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return testing::allocate(size, testing::number(alignment));
}

void operator delete(void* block) noexcept { testing::release(block); }
void operator delete[](void* block) noexcept { testing::release(block); }
void operator delete(void* block, std::size_t) noexcept { testing::release(block); }
void operator delete[](void* block, std::size_t) noexcept { testing::release(block); }
void operator delete(void* block, std::align_val_t) noexcept { testing::release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { testing::release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { testing::release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { testing::release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { testing::release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { testing::release(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept { testing::release(block); }
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept { testing::release(block); }
