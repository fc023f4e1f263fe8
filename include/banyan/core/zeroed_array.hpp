#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define BANYAN_HAS_MMAP 1
#else
#define BANYAN_HAS_MMAP 0
#endif

namespace banyan {

/// A fixed array of zero-initialised elements whose memory the system commits page by page, on first touch. A large
/// array costs what is used of it, and touching it never calls an allocator, so lock-free code may use it as its arena.
///
/// `T` must be an implicit-lifetime-like type for which all-bits-zero is a valid value: integers, `std::atomic` of
/// integers, trivially destructible aggregates of those, or raw storage.
///
/// Construction throws `std::bad_alloc` (or aborts where exceptions are off). Elements: O(1), wait-free. Not
/// thread-safe itself; its elements are what they are.
template <class T>
requires std::is_trivially_destructible_v<T>
class zeroed_array {
 public:
  zeroed_array() = default;

  /// `used`: how many elements, from the front, are going to be touched sooner or later. Where these fill large pages
  /// of the system, it is asked for such: fewer address translations. The rest is committed in small pages.
  explicit zeroed_array(std::size_t size) : zeroed_array{size, size} {}
  zeroed_array(std::size_t size, std::size_t used) : size_{size} {
    if (size == 0) return;
    if (size > std::numeric_limits<std::size_t>::max() / sizeof(T)) fail();
    const std::size_t bytes = size * sizeof(T);
#if BANYAN_HAS_MMAP
    if (bytes >= map_threshold && alignof(T) <= 4096) {
      int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
      flags |= MAP_NORESERVE;
#endif
      // A large page can only start where one would: reserve enough to begin there.
      const std::size_t large = large_pages(used * sizeof(T)) * large_page;
      mapped_bytes_ = large != 0 ? bytes + large_page : bytes;
      void* memory = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, flags, -1, 0);
      if (memory == MAP_FAILED) fail();
      mapping_ = memory;
#if defined(MADV_HUGEPAGE)
      if (large != 0) {
        const auto at = reinterpret_cast<std::uintptr_t>(memory);
        memory = static_cast<unsigned char*>(memory) + (large_page - at % large_page) % large_page;
        (void)::madvise(memory, large < bytes ? large : bytes, MADV_HUGEPAGE);  // a wish: small pages do as well
      }
#endif
      data_ = static_cast<T*>(memory);
      return;
    }
#endif
    auto* memory = static_cast<unsigned char*>(::operator new (bytes, std::align_val_t{alignof(T)}));
    for (std::size_t i = 0; i < bytes; ++i) memory[i] = 0;
    data_ = reinterpret_cast<T*>(memory);
  }

  zeroed_array(zeroed_array&& other) noexcept { swap(other); }
  zeroed_array& operator=(zeroed_array&& other) noexcept {
    zeroed_array{std::move(other)}.swap(*this);
    return *this;
  }

  ~zeroed_array() {
    if (data_ == nullptr) return;
#if BANYAN_HAS_MMAP
    if (mapping_ != nullptr) {
      ::munmap(mapping_, mapped_bytes_);
      return;
    }
#endif
    ::operator delete (static_cast<void*>(data_), std::align_val_t{alignof(T)});
  }

  void swap(zeroed_array& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapping_, other.mapping_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
  }

  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + size_; }

 private:
  // Below this a mapping of its own (whole pages, a system call) costs more than clearing the memory.
  static constexpr std::size_t map_threshold = std::size_t{16} * 1024;

  static constexpr std::size_t large_page = std::size_t{2} * 1024 * 1024;

  // Large pages for so many bytes: whole ones, and a last one if it gets filled by three quarters at least.
  static constexpr std::size_t large_pages(std::size_t used_bytes) noexcept {
    return (used_bytes + large_page / 4) / large_page;
  }

  [[noreturn]] static void fail() {
#if defined(__cpp_exceptions)
    throw std::bad_alloc{};
#else
    __builtin_trap();
#endif
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  void* mapping_ = nullptr;  // what to unmap; null when the memory is the allocator's
  std::size_t mapped_bytes_ = 0;
};

}  // namespace banyan
