#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace banyan {

/// Names one endpoint of a cluster for as long as the cluster lives: numbers are given out once, in order of joining.
/// The default value names none.
class endpoint_id {
 public:
  constexpr endpoint_id() noexcept = default;
  explicit constexpr endpoint_id(std::uint64_t value) noexcept : value_{value} {}

  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  explicit constexpr operator bool() const noexcept { return value_ != 0; }

  friend constexpr auto operator<=>(endpoint_id, endpoint_id) noexcept = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace banyan

template <>
struct std::hash<banyan::endpoint_id> {
  std::size_t operator()(banyan::endpoint_id id) const noexcept { return std::hash<std::uint64_t>{}(id.value()); }
};
