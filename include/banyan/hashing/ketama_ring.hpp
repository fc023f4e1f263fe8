#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
#include <banyan/hashing/md5.hpp>
#include <banyan/hashing/named_nodes.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

struct ketama_options {};

/// The rule of libmemcached's weighted ketama (MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, keys by MD5): on average 160 points
/// a server, four of each MD5 of "name-number". The figures are single precision, as there.
///
/// Source: R. Jones, "libketama", Last.fm 2007; libmemcached 1.0.
class ketama_scheme {
 public:
  using options = ketama_options;

  ketama_scheme() = default;

  ketama_scheme(std::span<const weighted_node<std::string>> nodes, ketama_options) : nodes_{nodes.size()} {
    double total = 0;
    for (const weighted_node<std::string>& node : nodes) total += node.weight;
    if (total > 4294967295.0) invalid_option("weight", total, "all together must be below 2^32");
    std::vector<std::uint64_t> points;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
      const float share = static_cast<float>(nodes[i].weight) / static_cast<float>(total);
      const float blocks = share * 160.0F / 4.0F * static_cast<float>(nodes.size());
      const auto count = static_cast<std::uint32_t>(std::floor(static_cast<float>(blocks + 0.0000000001)));
      const std::string_view name = without_default_port(nodes[i].node);
      for (std::uint32_t block = 0; block < count; ++block) {
        const md5_digest digest = md5(std::string{name} + '-' + std::to_string(block));
        for (std::size_t part = 0; part < 4; ++part)
          points.push_back(detail::point_circle::point(word(digest, part), i));
      }
    }
    circle_ = detail::point_circle{points};
  }

  [[nodiscard]] static std::uint32_t hash(std::string_view key) noexcept { return word(md5(key), 0); }

  /// The number of the server at a point of the circle; `find_if` as in `ring_placement`.
  [[nodiscard]] std::uint32_t find(std::uint32_t point) const noexcept {
    return circle_.owner(circle_.at_or_after(point));
  }
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint32_t point, F accept) const {
    return circle_.find_if(point, nodes_, accept);
  }

  /// The point of the circle that a key's point falls on, for comparison with other implementations' lists.
  [[nodiscard]] std::uint32_t landing(std::uint32_t point) const noexcept {
    const std::size_t at = circle_.at_or_after(point);
    return circle_.position(at == circle_.size() ? 0 : at);
  }

  [[nodiscard]] std::size_t points() const noexcept { return circle_.size(); }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return circle_.memory(); }

 private:
  [[nodiscard]] static std::uint32_t word(const md5_digest& digest, std::size_t i) noexcept {
    return detail::read_little_endian<std::uint32_t>(digest.data() + 4 * i);
  }

  [[nodiscard]] static std::string_view without_default_port(std::string_view name) noexcept {
    constexpr std::string_view port = ":11211";
    return name.ends_with(port) ? name.substr(0, name.size() - port.size()) : name;
  }

  detail::point_circle circle_;
  std::size_t nodes_ = 0;
};

/// A ring that sends each key to the server that libmemcached with weighted ketama sends it to. Name a server "host",
/// or "host:port" where the port is not 11211; the order of the servers does not matter.
///
///     banyan::ketama_ring ring{{{"10.0.1.1", 600}, {"10.0.1.2", 300}}};
using ketama_ring = named_nodes<ketama_scheme>;

}  // namespace banyan
