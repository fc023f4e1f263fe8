#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <banyan/core/hash.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/detail/sphere.hpp>
#include <banyan/shard/geo_options.hpp>
#include <banyan/shard/geo_point.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Sends a region, a country or a place to the nearest shard that may have its data.
///
///     banyan::geo_router router{{.shards = {{0, {50.1, 8.7}}, {1, {39.0, -77.5}}, {2, {47.4, 8.5}}},
///                                .regions = {{"EU", {50, 10}}, {"DE", {51, 10}, "EU"}, {"US", {39, -98}}},
///                                .rules = {{"EU", {0}}}}};
///     router.route("DE");                       // 0
///     router.route("DE", {47.7, 9.2});          // 0, though shard 2 is nearer: residency wins
///
/// Residency rules win over distance and over availability: a region of which all allowed shards are closed has
/// `no_shard`, never another one's. The rules of a region and of all that it lies in hold together.
///
/// Codes are compared as they are: "DE" is not "de". An unknown code has `no_shard`. Distance is along the great
/// circle, on a sphere; of shards equally near, the lowest number. Immutable: what changes it gives a new value. Thread
/// safety: const use by many threads.
class geo_router {
 public:
  using key_type = std::string_view;

  /// Throws `std::invalid_argument` for places that are not on Earth (NaN is not), no shards, a shard, region or rule
  /// that is there twice, an empty code, a region within an unknown one or, round about, within itself, a rule for an
  /// unknown region or for a shard that does not exist, and rules that together leave a region no shard;
  /// `std::bad_alloc`.
  explicit geo_router(geo_options options) : plan_{std::make_shared<const plan>(std::move(options))} { settle(); }

  /// The shard of a region, by where the region is. Wait-free, O(1) expected, and the hash of the code.
  [[nodiscard]] shard_id route(std::string_view code) const noexcept {
    const std::size_t region = plan_->find(code);
    return region == plan::none ? no_shard : nearest_[region];
  }

  /// The shard of a place in a region: of those that the region allows, the nearest to the place. `no_shard` for an
  /// unknown code and a place that is not on Earth. Wait-free, O(shards).
  [[nodiscard]] shard_id route(std::string_view code, geo_point at) const noexcept {
    const std::size_t region = plan_->find(code);
    if (region == plan::none || !detail::on_earth(at)) return no_shard;
    return nearest(plan_->allowed[region], detail::direction(at));
  }

  /// The shard of a place of which no more is known. The rules are those of the region whose point is nearest, which
  /// near borders is a guess: give the code where the law depends on it. `no_shard` for a place that is not on Earth.
  /// Wait-free, O(shards + regions).
  [[nodiscard]] shard_id route(geo_point at) const noexcept {
    if (!detail::on_earth(at)) return no_shard;
    const detail::unit_vector there = detail::direction(at);
    const std::size_t region = plan_->nearest_region(there);
    return nearest(region == plan::none ? plan_->everywhere : plan_->allowed[region], there);
  }

  /// Without a shard that is out of service; what it had goes to the next nearest that is allowed. Throws
  /// `std::invalid_argument` when there is no such shard.
  [[nodiscard]] geo_router close(shard_id shard) const { return with(shard, true); }

  /// With it again.
  [[nodiscard]] geo_router open(shard_id shard) const { return with(shard, false); }

  /// The same routes under another version.
  [[nodiscard]] geo_router with_version(std::uint64_t version) const {
    geo_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  /// Shards that are not closed.
  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

 private:
  /// What does not change when shards close. Shards and regions go by their number in these lists.
  struct plan {
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    explicit plan(geo_options options) {
      read_shards(options.shards);
      read_regions(options.regions);
      read_rules(options.rules);
    }

    void read_shards(std::vector<geo_shard>& given) {
      if (given.empty()) invalid_option("geo_options.shards", 0, "must be at least 1");
      std::sort(given.begin(), given.end(), [](const geo_shard& a, const geo_shard& b) { return a.shard < b.shard; });
      for (const auto& [shard, at] : given) {
        detail::check_shard("geo_options.shards", shard);
        if (!ids.empty() && ids.back() == shard) invalid_option("geo_options.shards", shard, "must not be there twice");
        check("geo_shard.at", at);
        everywhere.push_back(ids.size());
        ids.push_back(shard);
        places.push_back(detail::direction(at));
      }
    }

    void read_regions(const std::vector<geo_region>& given) {
      for (const geo_region& region : given) {
        check("geo_region.at", region.at);
        if (region.code.empty()) invalid_option("geo_region.code", region.code, "must not be empty");
        if (!codes.emplace(region.code, regions.size()).second)
          invalid_option("geo_region.code", region.code, "must not be there twice");
        regions.push_back(detail::direction(region.at));
      }
      for (const geo_region& region : given) {
        const std::size_t outer = region.within.empty() ? none : find(region.within);
        if (!region.within.empty() && outer == none)
          invalid_option("geo_region.within", region.within, "must be a region");
        within.push_back(outer);
      }
      for (std::size_t start = 0; start < regions.size(); ++start) {
        std::size_t steps = 0;
        for (std::size_t at = start; at != none; at = within[at]) {
          if (++steps > regions.size())
            invalid_option("geo_region.within", given[start].code, "must not go in a circle");
        }
      }
    }

    void read_rules(const std::vector<residency_rule>& given) {
      std::vector<const residency_rule*> rule_of(regions.size());
      for (const residency_rule& rule : given) {
        const std::size_t region = find(rule.code);
        if (region == none) invalid_option("residency_rule.code", rule.code, "must be a region");
        if (rule_of[region] != nullptr) invalid_option("residency_rule.code", rule.code, "must not be there twice");
        for (const shard_id id : rule.allowed) {
          if (!detail::contains_shard(ids, id))
            invalid_option("residency_rule.allowed", id, "must be one of the shards");
        }
        rule_of[region] = &rule;
      }
      for (const auto& [code, region] : codes) {
        std::vector<std::size_t> left = everywhere;
        for (std::size_t at = region; at != none; at = within[at]) {
          if (rule_of[at] == nullptr) continue;
          const std::vector<shard_id>& ok = rule_of[at]->allowed;
          std::erase_if(left, [&](std::size_t i) { return std::find(ok.begin(), ok.end(), ids[i]) == ok.end(); });
        }
        if (left.empty()) invalid_option("residency_rule.allowed", code, "must leave the region a shard");
        allowed.resize(regions.size());
        allowed[region] = std::move(left);
      }
    }

    static void check(std::string_view field, geo_point at) {
      if (!(at.latitude >= -90 && at.latitude <= 90))
        invalid_option(field, at.latitude, "must be -90 to 90 (latitude)");
      if (!detail::on_earth(at)) invalid_option(field, at.longitude, "must be -180 to 180 (longitude)");
    }

    [[nodiscard]] std::size_t find(std::string_view code) const noexcept {
      const auto at = codes.find(code);
      return at == codes.end() ? none : at->second;
    }

    [[nodiscard]] std::size_t nearest_region(const detail::unit_vector& there) const noexcept {
      std::size_t best = none;
      for (std::size_t i = 0; i < regions.size(); ++i) {
        if (best == none || regions[i] * there > regions[best] * there) best = i;
      }
      return best;
    }

    std::vector<shard_id> ids;  // ascending
    std::vector<detail::unit_vector> places;
    std::vector<std::size_t> everywhere;  // all shards
    std::unordered_map<std::string, std::size_t, seeded_hash, std::equal_to<>> codes;
    std::vector<detail::unit_vector> regions;
    std::vector<std::size_t> within;
    std::vector<std::vector<std::size_t>> allowed;  // shards, for each region
  };

  [[nodiscard]] geo_router with(shard_id shard, bool closed) const {
    if (!detail::contains_shard(plan_->ids, shard))
      invalid_option("geo_router.shard", shard, "must be one of the shards");
    geo_router fresh = *this;
    std::erase(fresh.closed_, shard);
    if (closed) fresh.closed_.push_back(shard);
    fresh.settle();
    ++fresh.version_;
    return fresh;
  }

  void settle() {
    shards_ = plan_->ids;
    std::erase_if(shards_, [&](shard_id id) { return is_closed(id); });
    nearest_.clear();
    for (std::size_t i = 0; i < plan_->regions.size(); ++i) {
      nearest_.push_back(nearest(plan_->allowed[i], plan_->regions[i]));
    }
  }

  [[nodiscard]] bool is_closed(shard_id id) const noexcept {
    return std::find(closed_.begin(), closed_.end(), id) != closed_.end();
  }

  [[nodiscard]] shard_id nearest(const std::vector<std::size_t>& among,
                                 const detail::unit_vector& there) const noexcept {
    shard_id best = no_shard;
    double closest = -2;
    for (const std::size_t i : among) {
      const double here = plan_->places[i] * there;
      if (here > closest && !is_closed(plan_->ids[i])) {
        closest = here;
        best = plan_->ids[i];
      }
    }
    return best;
  }

  std::shared_ptr<const plan> plan_;
  std::vector<shard_id> closed_;
  std::vector<shard_id> shards_;
  std::vector<shard_id> nearest_;  // of each region
  std::uint64_t version_ = 1;
};

}  // namespace banyan
