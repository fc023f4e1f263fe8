#pragma once

#include <cmath>
#include <numbers>

#include <banyan/shard/geo_point.hpp>

namespace banyan::detail {

/// A place as a unit vector: the nearer two places, the greater the product of theirs, across poles and the date line
/// alike.
struct unit_vector {
  double x = 1;
  double y = 0;
  double z = 0;

  [[nodiscard]] double operator*(const unit_vector& other) const noexcept {
    return x * other.x + y * other.y + z * other.z;
  }
};

/// False for NaN and what is not on Earth.
[[nodiscard]] inline bool on_earth(geo_point p) noexcept {
  return p.latitude >= -90 && p.latitude <= 90 && p.longitude >= -180 && p.longitude <= 180;
}

[[nodiscard]] inline unit_vector direction(geo_point p) noexcept {
  constexpr double radians = std::numbers::pi / 180;
  const double north = p.latitude * radians;
  const double east = p.longitude * radians;
  return {std::cos(north) * std::cos(east), std::cos(north) * std::sin(east), std::sin(north)};
}

}  // namespace banyan::detail
