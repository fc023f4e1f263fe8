#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace banyan::detail {

/// The set of nodes that a search has asked already. It allocates only when there are more than 1,024 nodes and more
/// than 32 of them were asked.
class asked_nodes {
 public:
  explicit asked_nodes(std::size_t nodes) noexcept : nodes_{nodes} {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Adds a node; false if it was there. Throws `std::bad_alloc`.
  bool insert(std::uint32_t node) {
    if (nodes_ <= inline_bits) return set(inline_.data(), node);
    if (many_ != nullptr) return set(many_.get(), node);
    for (std::size_t i = 0; i < size_; ++i) {
      if (inline_[i] == node) return false;
    }
    if (size_ < inline_.size()) {
      inline_[size_++] = node;
      return true;
    }
    many_ = std::make_unique<std::uint64_t[]>(nodes_ / 64 + 1);
    size_ = 0;
    for (const std::uint64_t known : inline_) set(many_.get(), static_cast<std::uint32_t>(known));
    return set(many_.get(), node);
  }

 private:
  static constexpr std::size_t words = 32;
  static constexpr std::size_t inline_bits = 1024;
  static_assert(words * 64 >= inline_bits);

  bool set(std::uint64_t* bits, std::uint32_t node) noexcept {
    std::uint64_t& word = bits[node / 64];
    const std::uint64_t bit = std::uint64_t{1} << (node % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    ++size_;
    return true;
  }

  std::size_t nodes_;
  std::size_t size_ = 0;
  std::array<std::uint64_t, words> inline_{};  // bits of up to 1,024 nodes, or up to 32 numbers of nodes
  std::unique_ptr<std::uint64_t[]> many_;
};

}  // namespace banyan::detail
