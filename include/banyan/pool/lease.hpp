#pragma once

#include <cstdint>
#include <utility>

namespace banyan {

namespace detail {
template <class T>
class pool_machine;
}

/// Something borrowed from a pool, for as long as the lease lives; its destructor gives it back. Movable, also to
/// another thread. It may outlive the pool: what it holds stays alive, and is closed when the lease dies.
///
/// Use by one thread at a time. Giving back is lock-free apart from the hooks, and from closing what is to be closed.
template <class T>
class [[nodiscard]] lease {
 public:
  /// Holds nothing.
  lease() noexcept = default;

  lease(lease&& other) noexcept : from_{std::exchange(other.from_, nullptr)}, item_{other.item_} {}
  lease& operator=(lease&& other) noexcept {
    lease{std::move(other)}.swap(*this);
    return *this;
  }
  ~lease() { release(); }

  [[nodiscard]] explicit operator bool() const noexcept { return from_ != nullptr; }

  /// Not of an empty lease.
  [[nodiscard]] T& operator*() const noexcept { return from_->value(item_); }
  [[nodiscard]] T* operator->() const noexcept { return &from_->value(item_); }

  /// Gives it back now.
  void release() noexcept {
    if (from_ != nullptr) std::exchange(from_, nullptr)->give_back(item_);
  }

  /// It is broken: it is closed, here and now, and not lent again.
  void discard() noexcept {
    if (from_ != nullptr) std::exchange(from_, nullptr)->give_back_broken(item_);
  }

  void swap(lease& other) noexcept {
    std::swap(from_, other.from_);
    std::swap(item_, other.item_);
  }

 private:
  friend detail::pool_machine<T>;
  lease(detail::pool_machine<T>& from, std::uint32_t item) noexcept : from_{&from}, item_{item} {}

  detail::pool_machine<T>* from_ = nullptr;
  std::uint32_t item_ = 0;
};

}  // namespace banyan
