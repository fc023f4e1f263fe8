#pragma once

#include <cstddef>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// A first guess for the number of connections that keep a database server busy: cores x 2 + spindles. With everything
/// in memory or on flash, spindles is 0 or 1. More connections than that queue inside the server, where they cost
/// memory and locks, instead of in the pool, where they cost nothing. Throws `std::invalid_argument` for 0 cores.
///
/// Source: the PostgreSQL project's wiki, "Number of database connections"; HikariCP, "About pool sizing".
[[nodiscard]] constexpr std::size_t pool_size_for(std::size_t cores, std::size_t spindles = 1) {
  if (cores == 0) invalid_option("cores", cores, "must be at least 1");
  return cores * 2 + spindles;
}

}  // namespace banyan
