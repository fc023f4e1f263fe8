#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/thread_sequence.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/pick_token.hpp>
#include <banyan/cluster/slow_start.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/random.hpp>
#include <banyan/replica/detail/fallback_budget.hpp>
#include <banyan/replica/detail/read_requirement.hpp>
#include <banyan/replica/detail/replica_layout.hpp>

namespace banyan::detail {

/// What a thread keeps for its reads. The first threads have one each; all others share one.
struct alignas(cache_line_size) replica_reader {
  thread_sequence sequence;
  std::atomic<std::uint32_t> reads{0};
};

class replica_readers {
 public:
  explicit replica_readers(std::uint64_t seed) {
    splitmix64 seeds{seed};
    for (std::size_t i = 0; i < all_.size(); ++i) all_[i].sequence.set_up(seeds(), i == own, started_);
  }

  [[nodiscard]] replica_reader& of(std::uint32_t thread_index) noexcept {
    return all_[thread_index < own ? thread_index : own];
  }

  /// Counts a read; true every `fallback_budget::batch` times.
  bool count(std::uint32_t thread_index) noexcept {
    std::atomic<std::uint32_t>& reads = of(thread_index).reads;
    std::uint32_t before = 0;
    if (thread_index < own) [[likely]] {
      before = reads.load(std::memory_order_relaxed);
      reads.store(before + 1, std::memory_order_relaxed);
    } else {
      before = reads.fetch_add(1, std::memory_order_relaxed);
    }
    return before % fallback_budget<>::batch == fallback_budget<>::batch - 1;
  }

 private:
  static constexpr std::size_t own = 64;
  std::array<replica_reader, own + 1> all_;
  std::atomic<std::uint32_t> started_{0};
};

/// One read's way through a layout: the policy is asked a few times; when it names nobody who has what is asked for,
/// those that earlier reads have found are, then everybody in turn.
template <class Policy>
class replica_selection {
 public:
  using layout = replica_layout<Policy>;
  using group = replica_group<Policy>;

  struct terms {
    cluster_terms& cluster;
    const slow_start_options& slow_start;
    const replica_fitness& fitness;
    std::int64_t farthest;  // round trip
    bool avoid_strictly;
  };

  replica_selection(const terms& given, const read_requirement& need, std::int64_t now,
                    hazard_domain::thread_record& thread, pick_context& context) noexcept
      : given_{given},
        need_{need},
        oldest_report_{given.fitness.timed() ? time_before(now, given.fitness.timeout) : replica_progress<>::never},
        thread_{thread},
        context_{context} {}

  /// The replica, its use counted; null when there is none.
  [[nodiscard]] BANYAN_ALWAYS_INLINE const candidate* pick(const layout& now, Policy& policy) noexcept {
    if (now.groups.empty()) return nullptr;
    const std::size_t first = now.groups.size() == 1 ? 0 : draw(now.groups);
    const group& from = now.groups[first];
    for (;;) {
      const std::uint32_t choice = policy.choose(from.table, from.candidates, context_);
      if (choice == pick_context::none) break;
      const candidate& one = from.candidates[choice];
      if (qualifies(*from.records[choice]) && welcome(one) && begin(one)) [[likely]] {
        if constexpr (requires { policy.settled(one, context_); }) policy.settled(one, context_);
        return &one;
      }
      if (!pick_access::refuse(context_, choice) || context_.attempt() >= tries) break;
    }
    const candidate* const one = pick_another(now, first);
    if constexpr (requires { policy.settled(*one, context_); }) {
      if (one != nullptr) policy.settled(*one, context_);
    }
    return one;
  }

 private:
  static constexpr std::uint32_t tries = 3;
  static constexpr std::uint64_t look_afresh = 64;  // one read of so many goes through all, though others were found

  [[nodiscard]] bool has(const replica_record& one) const noexcept {
    return has_it(one.progress, need_, given_.fitness, oldest_report_);
  }
  [[nodiscard]] bool near(const replica_record& one) const noexcept {
    return given_.farthest == replica_fitness::none || one.progress.round_trip() <= given_.farthest;
  }
  [[nodiscard]] bool qualifies(const replica_record& one) const noexcept { return has(one) && near(one); }

  [[nodiscard]] std::size_t draw(const std::vector<group>& groups) noexcept {
    const std::optional<std::uint64_t>& key = context_.request().key;
    const std::uint64_t at = (key ? mix_bits(*key ^ 0x6a09e667f3bcc908U) : context_()) >> 32;
    std::size_t i = 0;
    while (i + 1 < groups.size() && groups[i].up_to <= at) ++i;
    return i;
  }

  [[nodiscard]] bool avoided(const candidate& one) const noexcept {
    const endpoint_id avoid = context_.request().avoid;
    return avoid && one.id() == avoid;
  }

  // Not to be avoided, and lets the request in if it is in slow start.
  [[nodiscard]] bool welcome(const candidate& one) const noexcept {
    if (avoided(one)) [[unlikely]] {
      return false;
    }
    return !pick_access::may_warm_up(one) || warm_enough(one);
  }

  BANYAN_COLD bool warm_enough(const candidate& one) const noexcept {
    endpoint_record& record = pick_access::record(one);
    const std::int64_t since = record.warming_since();
    if (since == endpoint_record::not_warming) return true;
    const std::chrono::nanoseconds age{context_.now() - since};
    if (age >= given_.slow_start.window) {
      record.end_warm_up(since);
      return true;
    }
    const std::optional<std::uint64_t>& key = context_.request().key;
    const std::uint64_t drawn = key ? mix_bits(*key ^ one.name_hash()) : context_();
    return static_cast<double>(drawn >> 11) * 0x1p-53 < slow_start_fraction(age, given_.slow_start);
  }

  BANYAN_ALWAYS_INLINE bool begin(const candidate& one) const noexcept {
    cluster_terms& common = given_.cluster;
    const auto meet = [&] { common.domain->meet(thread_); };
    const std::uint32_t stripe = pick_access::stripe(context_);
    if (endpoint_state::try_begin(pick_access::cells(one), common.stripes, stripe, meet)) [[likely]] {
      return true;
    }
    if (endpoint_state::end(pick_access::cells(one), common.stripes, stripe, meet)) pick_access::record(one).settle();
    return false;
  }

  [[gnu::noinline]] const candidate* pick_another(const layout& now, std::size_t first) noexcept {
    const std::uint64_t drawn = context_();
    const group& from = now.groups[first];
    if (drawn % look_afresh != 0) {
      if (const candidate* const one = less_busy_of_found(from, static_cast<std::uint32_t>(drawn >> 32))) return one;
    }
    second_best_ = nullptr;
    third_best_ = nullptr;
    for (std::size_t i = 0; i < now.groups.size(); ++i) {
      const group& each = now.groups[first + i < now.groups.size() ? first + i : first + i - now.groups.size()];
      const std::uint32_t place = search(each.candidates, each.records);
      if (place == pick_context::none) continue;
      each.found->put(static_cast<std::uint32_t>(drawn >> 16), place);
      return &each.candidates[place];
    }
    const std::uint32_t place = search(now.spare, now.spare_records);
    if (place != pick_context::none) return &now.spare[place];
    if (second_best_ != nullptr && begin(*second_best_)) return second_best_;
    if (third_best_ != nullptr && !given_.avoid_strictly && begin(*third_best_)) return third_best_;
    return nullptr;
  }

  // Of two, as far as there are two.
  const candidate* less_busy_of_found(const group& from, std::uint32_t start) noexcept {
    const candidate* one = nullptr;
    for (std::uint32_t i = 0; i < found_replicas::size; ++i) {
      const std::uint32_t place = from.found->at(start + i);
      if (place >= from.candidates.size()) continue;
      const candidate& other = from.candidates[place];
      if (&other == one || !qualifies(*from.records[place]) || avoided(other)) continue;
      if (one != nullptr) {
        const auto of_one = static_cast<float>(context_.in_flight(*one) + 1);
        const auto of_other = static_cast<float>(context_.in_flight(other) + 1);
        if (of_other * one->weight() < of_one * other.weight()) one = &other;
        break;
      }
      one = &other;
    }
    return one != nullptr && begin(*one) ? one : nullptr;
  }

  // From a random place on, so that they share what nobody else takes. Notes who would do if nobody is found.
  std::uint32_t search(const std::vector<candidate>& all, const std::vector<const replica_record*>& records) noexcept {
    const std::size_t start = random_below(context_, all.size());
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::size_t place = start + k < all.size() ? start + k : start + k - all.size();
      if (!has(*records[place])) continue;
      const candidate& one = all[place];
      if (avoided(one)) {
        if (third_best_ == nullptr) third_best_ = &one;
      } else if (!near(*records[place])) {
        if (second_best_ == nullptr) second_best_ = &one;
      } else if (begin(one)) {
        return static_cast<std::uint32_t>(place);
      }
    }
    return pick_context::none;
  }

  const terms& given_;
  const read_requirement& need_;
  std::int64_t oldest_report_;
  hazard_domain::thread_record& thread_;
  pick_context& context_;
  const candidate* second_best_ = nullptr;  // outside the latency window
  const candidate* third_best_ = nullptr;   // to be avoided
};

}  // namespace banyan::detail
