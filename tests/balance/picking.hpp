#pragma once

#include <banyan/balance/balancer.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/core/clock.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace banyan::testing {

/// A cluster of numbered endpoints, host-0 and so on, with a balancer.
template <class Policy>
class picking {
 public:
  using members_type = cluster<std::size_t, manual_clock>;
  using balancer_type = balancer<std::size_t, Policy, manual_clock>;
  using token = typename balancer_type::token;

  explicit picking(const std::vector<double>& weights, Policy policy = Policy{}, std::uint64_t seed = 1) {
    for (const double weight : weights) add(weight);
    lb_ = std::make_unique<balancer_type>(members_, std::move(policy), balancer_options{.seed = seed});
  }

  endpoint_id add(double weight = 1) {
    const std::size_t number = ids_.size();
    ids_.push_back(members_.add(number, {.weight = weight, .name = "host-" + std::to_string(number)}));
    return ids_.back();
  }

  [[nodiscard]] members_type& members() { return members_; }
  [[nodiscard]] balancer_type& lb() { return *lb_; }
  [[nodiscard]] endpoint_id id(std::size_t number) const { return ids_[number]; }
  [[nodiscard]] std::size_t size() const { return ids_.size(); }

  token pick(const pick_request& request = {}) { return lb_->pick(request); }
  token pick_key(std::uint64_t key) { return lb_->pick({.key = key}); }

  /// The endpoint's number; the request ends at once.
  std::size_t number(const pick_request& request = {}) {
    const token one = pick(request);
    return one ? *one : none;
  }
  static constexpr std::size_t none = ~std::size_t{0};

  /// As letters.
  std::string sequence(std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + number());
    return text;
  }

  /// How often each was picked.
  std::vector<std::size_t> counts(std::size_t picks) {
    std::vector<std::size_t> all(size());
    for (std::size_t i = 0; i < picks; ++i) ++all.at(number());
    return all;
  }

 private:
  members_type members_;
  std::vector<endpoint_id> ids_;
  std::unique_ptr<balancer_type> lb_;
};

/// Pearson's statistic, brought to about a standard normal one (Wilson and Hilferty): above 4 for one right sample in
/// 30,000.
inline double misfit(const std::vector<std::size_t>& counts, const std::vector<double>& weights) {
  double samples = 0;
  double sum = 0;
  for (const std::size_t each : counts) samples += static_cast<double>(each);
  for (const double each : weights) sum += each;
  double square = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = samples * weights[i] / sum;
    square += (static_cast<double>(counts[i]) - expected) * (static_cast<double>(counts[i]) - expected) / expected;
  }
  const auto freedom = static_cast<double>(counts.size() - 1);
  if (freedom == 0) return 0;
  return (std::cbrt(square / freedom) - (1 - 2 / (9 * freedom))) / std::sqrt(2 / (9 * freedom));
}

}  // namespace banyan::testing
