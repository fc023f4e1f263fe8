#pragma once

#include <cstdint>

#include <banyan/limit/detail/gcra_bucket.hpp>

namespace banyan {

struct token_bucket_options {
  double rate = 0;          ///< tokens a second; above 0, at most 1e15
  std::uint64_t burst = 1;  ///< how many may be there at once; from 1 to 2^51, and it fills within two years
};

namespace detail {

inline gcra_terms terms_of(const token_bucket_options& options) {
  return checked_terms({"token_bucket_options.rate", "token_bucket_options.burst"}, options.rate, options.burst);
}

}  // namespace detail

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const token_bucket_options& options) { static_cast<void>(detail::terms_of(options)); }

}  // namespace banyan
