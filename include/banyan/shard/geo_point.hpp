#pragma once

namespace banyan {

/// A place on Earth, in degrees: latitude -90 to 90, north positive; longitude -180 to 180, east positive.
struct geo_point {
  double latitude = 0;
  double longitude = 0;
};

}  // namespace banyan
