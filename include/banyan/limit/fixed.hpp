#pragma once

#include <algorithm>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/limit_policy.hpp>

namespace banyan {

/// A limit that does not change by itself, for `concurrency_limiter`: a bulkhead.
///
/// All functions are O(1), wait-free and thread-safe; the constructor throws `std::invalid_argument`.
///
/// Source: M. Nygard, "Release It!", 2007.
class fixed {
 public:
  static constexpr bool adaptive = false;

  struct options {
    std::uint32_t limit = 20;  ///< from 1 to `max_concurrency_limit`
  };

  explicit fixed(const options& wanted) : limit_{wanted.limit} {
    if (wanted.limit == 0 || wanted.limit > max_concurrency_limit)
      invalid_option("fixed::options.limit", wanted.limit, "must be from 1 to 1048575");
  }

  [[nodiscard]] std::uint64_t initial() const noexcept { return limit_; }
  [[nodiscard]] std::uint64_t next(std::uint64_t word, const limit_sample&) const noexcept { return word; }
  [[nodiscard]] std::uint32_t limit(std::uint64_t word) const noexcept { return static_cast<std::uint32_t>(word); }
  [[nodiscard]] std::uint64_t with_limit(std::uint64_t, std::uint32_t limit) const noexcept {
    return std::clamp<std::uint32_t>(limit, 1, max_concurrency_limit);
  }

 private:
  std::uint32_t limit_;
};

static_assert(limit_policy<fixed>);

}  // namespace banyan
