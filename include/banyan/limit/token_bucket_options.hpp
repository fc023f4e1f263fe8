#pragma once

#include <cstdint>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/gcra_terms.hpp>

namespace banyan {

struct token_bucket_options {
  double rate = 0;          ///< tokens a second; above 0, at most 1e15
  std::uint64_t burst = 1;  ///< how many may be there at once; from 1 to 2^51, and it fills within two years
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const token_bucket_options& options) {
  using detail::gcra_terms;
  if (!(options.rate > 0 && options.rate <= gcra_terms::max_rate))
    invalid_option("token_bucket_options.rate", options.rate, "must be above 0 and at most 1e15");
  if (options.burst == 0 || options.burst > gcra_terms::max_burst)
    invalid_option("token_bucket_options.burst", options.burst, "must be from 1 to 2^51");
  if (!gcra_terms::acceptable(options.rate, options.burst))
    invalid_option("token_bucket_options.rate", options.rate, "must fill the burst within two years");
}

}  // namespace banyan
