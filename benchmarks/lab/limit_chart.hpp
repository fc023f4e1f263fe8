#pragma once

#include <string>
#include <string_view>

#include "limit_study.hpp"

namespace banyan::lab {

/// Rules for the page's style sheet: the colours of the pictures, light and dark.
std::string_view limit_colours() noexcept;

/// How high the pictures of one scenario reach, so that they can be compared.
struct limit_heights {
  double requests = 1;   ///< a second
  double in_flight = 2;  ///< the highest limit, at least ten times the workers; a longer queue is cut off
};
limit_heights heights_of(const limit_result& result);

/// A picture of one run over time: above, requests that arrived and those that were answered in time; below, on a
/// logarithmic scale, requests in the service and the concurrency limit where there is one. Time in which there is
/// trouble is shaded.
std::string run_picture(const limit_result& result, const limit_run& run, const limit_heights& heights);

/// What the lines of `run_picture` mean, as an HTML list.
std::string run_legend();

}  // namespace banyan::lab
