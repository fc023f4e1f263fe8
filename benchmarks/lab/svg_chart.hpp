#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::lab {

/// A point of a curve; `title` is what a reader sees when pointing at it.
struct chart_point {
  double x = 0;
  double y = 0;
  std::string title{};
};

/// A curve. `style` is the class of its group in the picture: the page's style sheet gives it colour and width.
struct chart_series {
  std::string name{};
  std::string style{};
  int marker = 0;  ///< shape of its points; curves must be told apart without colour too
  bool dashed = false;
  std::vector<chart_point> points{};  ///< by ascending x, above 0
  std::size_t marked = 1;             ///< every how many-th point shows its marker
};

/// A mark on the horizontal axis.
struct chart_tick {
  double at = 0;
  std::string text{};
};

/// The vertical axis: shares in [0, 1] as percent, or values above 0 on a logarithmic scale.
enum class chart_heights { percent, logarithmic };

/// How a chart is drawn. Lengths are in the units of the picture, which a page may scale.
struct chart_options {
  double width = 860;
  double height = 440;
  bool labels = true;  ///< names beside the ends of the curves; without, the page needs a legend
  double label_room = 104;
  chart_heights heights = chart_heights::percent;
  double x_from = 0;    ///< where the horizontal axis begins; 0: at the first point
  std::string title{};  ///< for those who do not see the picture
  std::string x_label{};
  std::string y_label{};
  std::vector<chart_tick> x_ticks{};
};

/// A line chart as an inline `<svg>` element, with a logarithmic horizontal axis. It holds no colours; the page's style
/// sheet does.
std::string line_chart(const std::vector<chart_series>& series, const chart_options& options);

/// A small `<svg>` with a series' line and marker, for a legend.
std::string legend_sample(const chart_series& series);

/// The legend of a chart, as an HTML list in the order given.
std::string chart_legend(const std::vector<chart_series>& series);

/// `text` with the characters that mean something in HTML and XML replaced, and control characters left out.
std::string escape_markup(std::string_view text);

}  // namespace banyan::lab
