#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/crc32.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
#include <banyan/hashing/named_nodes.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

struct nginx_options {};

/// The rule of nginx's `hash ... consistent` (which is Cache::Memcached::Fast's): 160 points for each unit of weight,
/// each the CRC-32 of host, a zero byte, port, and the point before it. Of points that fall together the first counts.
///
/// Source: nginx, ngx_http_upstream_hash_module.
class nginx_scheme {
 public:
  using options = nginx_options;

  nginx_scheme() = default;

  nginx_scheme(std::span<const weighted_node<std::string>> nodes, nginx_options) : nodes_{nodes.size()} {
    constexpr std::uint64_t most_units = (std::uint64_t{1} << 26) / 160;
    double total = 0;
    for (const weighted_node<std::string>& node : nodes) total += node.weight;
    if (total > static_cast<double>(most_units))
      invalid_option("weight", total, "all together must be at most 2^26 / 160");
    std::vector<std::uint64_t> points;
    points.reserve(static_cast<std::size_t>(total) * 160);
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
      const std::uint32_t base = base_of(nodes[i].node);
      std::uint32_t point = 0;
      for (std::uint64_t left = static_cast<std::uint64_t>(nodes[i].weight) * 160; left > 0; --left) {
        const char before[4] = {static_cast<char>(point), static_cast<char>(point >> 8), static_cast<char>(point >> 16),
                                static_cast<char>(point >> 24)};
        point = crc32({before, 4}, base);
        points.push_back(detail::point_circle::point(point, i));
      }
    }
    std::sort(points.begin(), points.end());
    const auto same = [](std::uint64_t a, std::uint64_t b) { return (a >> 32) == (b >> 32); };
    points.erase(std::unique(points.begin(), points.end(), same), points.end());
    circle_ = detail::point_circle{points};
  }

  [[nodiscard]] static std::uint32_t hash(std::string_view key) noexcept { return crc32(key); }

  /// The number of the server at a point of the circle; `find_if` as in `ring_placement`.
  [[nodiscard]] std::uint32_t find(std::uint32_t point) const noexcept {
    return circle_.owner(circle_.at_or_after(point));
  }
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint32_t point, F accept) const {
    return circle_.find_if(point, nodes_, accept);
  }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return circle_.memory(); }

 private:
  /// The sum over host, zero byte and port; a name without digits behind its last colon is a host without a port.
  [[nodiscard]] static std::uint32_t base_of(std::string_view name) noexcept {
    std::string_view host = name;
    std::string_view port;
    if (is_socket(name)) {
      host.remove_prefix(5);
    } else {
      std::size_t at = name.size();
      while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9') --at;
      if (at > 0 && name[at - 1] == ':') {
        host = name.substr(0, at - 1);
        port = name.substr(at);
      }
    }
    return crc32(port, crc32(std::string_view{"\0", 1}, crc32(host)));
  }

  [[nodiscard]] static constexpr bool is_socket(std::string_view name) noexcept {
    constexpr std::string_view scheme = "unix:";
    if (name.size() < scheme.size()) return false;
    for (std::size_t i = 0; i < scheme.size(); ++i) {
      const char c = name[i];
      if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return false;
    }
    return true;
  }

  detail::point_circle circle_;
  std::size_t nodes_ = 0;
};

/// A ring that sends each key to the server that nginx's `hash $key consistent` sends it to. Name the servers as in the
/// `upstream` block's lines, with their weights (1 where it gives none).
///
///     banyan::nginx_ring ring{{{"10.0.0.1:443", 100}, {"10.0.0.2:443", 100}}};
using nginx_ring = named_nodes<nginx_scheme>;

}  // namespace banyan
