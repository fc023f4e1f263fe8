#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "balance_study.hpp"
#include "svg_chart.hpp"

namespace banyan::lab {

/// Rules for the page's style sheet: the colours of the policies and of the load pictures, light and dark.
std::string_view balance_colours() noexcept;

/// One curve for each policy: latency in ms (y) by how few requests take longer, one in x.
std::vector<chart_series> latency_curves(const balance_result& result);

/// How these are drawn: both axes logarithmic.
chart_options latency_axes(const balance_result& result);

/// A picture of one run: a row for each server (of more than 40, the first 40), time to the right, the darker the more
/// requests are there.
std::string load_picture(const balance_run& run);

/// What the shades of `load_picture` mean, as an HTML list.
std::string load_legend();

}  // namespace banyan::lab
