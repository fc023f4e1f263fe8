#include "service_times.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "bad_input.hpp"

namespace banyan::lab {

std::string_view name_of(service_times service) noexcept {
  return service == service_times::exponential ? "exponential"
         : service == service_times::lognormal ? "lognormal"
                                               : "fixed";
}

service_times service_times_of(std::string_view option, std::string_view name) {
  for (const service_times each : {service_times::exponential, service_times::lognormal, service_times::fixed}) {
    if (name == name_of(each)) return each;
  }
  throw bad_input(
      fmt::format("{} {}: must be one of exponential, lognormal, fixed", option, name.empty() ? "\"\"" : name));
}

double unit_service_time(service_times service, double first, double second) noexcept {
  switch (service) {
    case service_times::exponential:
      return -std::log(1 - first);
    case service_times::lognormal:
      return std::exp(std::sqrt(-2 * std::log(1 - first)) * std::cos(2 * std::numbers::pi * second) - 0.5);
    case service_times::fixed:
      break;
  }
  return 1;
}

}  // namespace banyan::lab
