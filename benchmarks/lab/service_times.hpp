#pragma once

#include <string_view>

namespace banyan::lab {

/// How long requests take, around the same mean.
enum class service_times {
  exponential,
  lognormal,  ///< the logarithm's standard deviation is 1
  fixed
};

std::string_view name_of(service_times service) noexcept;

/// Throws `bad_input` naming the option when there is none of that name.
service_times service_times_of(std::string_view option, std::string_view name);

/// The time of a request for a mean of 1, from two independent numbers in [0, 1).
double unit_service_time(service_times service, double first, double second) noexcept;

}  // namespace banyan::lab
