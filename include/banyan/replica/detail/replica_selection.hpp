#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/pick_attempt.hpp>
#include <banyan/balance/detail/thread_sequence.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/pick_token.hpp>
#include <banyan/cluster/slow_start.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/random.hpp>
#include <banyan/replica/detail/fallback_budget.hpp>
#include <banyan/replica/detail/replica_filter.hpp>
#include <banyan/replica/detail/replica_layout.hpp>

namespace banyan::detail {

/// What a thread keeps for its reads. The first threads have one each; all others share one.
class alignas(cache_line_size) replica_reader {
 public:
  thread_sequence sequence;
  std::atomic<std::uint32_t> reads{0};

  /// Draws have hardly ever led to anybody lately: do without.
  [[nodiscard]] bool draws_are_hopeless() const noexcept { return misses_.load(std::memory_order_relaxed) >= hopeless; }
  void drawn(bool found) noexcept {
    const std::uint32_t misses = misses_.load(std::memory_order_relaxed);
    if (found && misses != 0) misses_.store(misses / 2, std::memory_order_relaxed);
    if (!found && misses < hopeless) misses_.store(misses + 1, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t hopeless = 8;
  std::atomic<std::uint32_t> misses_{0};  // draws in a row, about; of several threads where they share one
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

/// One read's way through a layout. The policy is asked, which chooses among those that have what is asked for. Where
/// it finds none of them, since they are few, the less busy of two that earlier reads have found is taken; then
/// everybody is asked in turn. When only some outside the latency window have it, the policy chooses among these; at
/// last comes the one to avoid.
template <class Policy>
class replica_selection {
 public:
  using layout = replica_layout<Policy>;
  using group = replica_group<Policy>;

  replica_selection(const pick_attempt<Policy>& trying, replica_filter& filter, replica_reader& reader,
                    bool avoid_strictly) noexcept
      : trying_{trying}, filter_{filter}, reader_{reader}, avoid_strictly_{avoid_strictly} {}

  /// The replica, its use counted; null when there is none.
  [[nodiscard]] BANYAN_ALWAYS_INLINE const candidate* pick(const layout& now) noexcept {
    const replica_epoch& epoch = now.epochs.current();
    if (filter_.nobody_in(epoch)) return nullptr;
    if (now.groups.empty()) return nullptr;
    const std::size_t first = trying_.group_for(now.groups);
    const bool hopeless = reader_.draws_are_hopeless();
    if (!hopeless) [[likely]] {
      if (const candidate* const one = ask(now.groups[first])) return one;
    }
    return pick_another(now, first, hopeless);
  }

 private:
  static constexpr std::uint64_t look_afresh = 64;  // one read of so many goes through all, though others were found

  struct qualified {
    const replica_filter& filter;
    const group& from;
    BANYAN_ALWAYS_INLINE bool operator()(std::uint32_t place) const noexcept {
      return filter.qualifies(*from.records[place]);
    }
  };

  // The policy may or may not have looked.
  [[nodiscard]] BANYAN_ALWAYS_INLINE const candidate* ask(const group& from) noexcept {
    filter_.apply_to(from.records, trying_.context());
    const candidate* const one = trying_.ask(from, qualified{filter_, from});
    reader_.drawn(one != nullptr);
    return one;
  }

  [[gnu::noinline]] const candidate* pick_another(const layout& now, std::size_t first, bool hopeless) noexcept {
    const group& from = now.groups[first];
    const std::uint64_t drawn = trying_.context()();
    const bool afresh = drawn % look_afresh == 0;
    // With a key it is the policy that says who is next.
    const pick_request& request = trying_.context().request();
    if (hopeless && (afresh || request.key || request.cookie)) {
      if (const candidate* const one = ask(from)) return one;
    }
    if (!afresh) {
      if (const candidate* const one = less_busy_of_found(from, static_cast<std::uint32_t>(drawn >> 32))) return one;
    }
    const auto slot = static_cast<std::uint32_t>(drawn >> 16);
    if (const candidate* const one = search_all(now, first, slot)) return one;
    if (outside_window_) {
      filter_.ignore_window();
      pick_access::forget_refusals(trying_.context());
      if (const candidate* const one = trying_.ask(from, qualified{filter_, from})) return one;
      if (const candidate* const one = search_all(now, first, slot)) return one;
    }
    if (avoided_ != nullptr && !avoid_strictly_ && trying_.begin(*avoided_)) return trying_.settled(*avoided_);
    return nullptr;
  }

  // Of two that still have it.
  const candidate* less_busy_of_found(const group& from, std::uint32_t start) noexcept {
    pick_context& context = trying_.context();
    const candidate* one = nullptr;
    for (std::uint32_t i = 0; i < found_replicas::looked_at; ++i) {
      const std::uint32_t place = from.found->at(start + i);
      if (place >= from.candidates.size()) continue;
      const candidate& other = from.candidates[place];
      if (&other == one || !filter_.qualifies(*from.records[place]) || !trying_.welcome(other)) continue;
      if (one != nullptr) {
        const auto of_one = static_cast<float>(context.in_flight(*one) + 1);
        const auto of_other = static_cast<float>(context.in_flight(other) + 1);
        if (of_other * one->weight() < of_one * other.weight()) one = &other;
        break;
      }
      one = &other;
    }
    return one != nullptr && trying_.begin(*one) ? trying_.settled(*one) : nullptr;
  }

  const candidate* search_all(const layout& now, std::size_t first, std::uint32_t slot) noexcept {
    for (std::size_t i = 0; i < now.groups.size(); ++i) {
      const group& each = now.groups[first + i < now.groups.size() ? first + i : first + i - now.groups.size()];
      const std::uint32_t place = search(each.candidates, each.records);
      if (place == pick_context::none) continue;
      each.found->put(slot, place);
      return trying_.settled(each.candidates[place]);
    }
    const std::uint32_t place = search(now.spare, now.spare_records);
    return place != pick_context::none ? trying_.settled(now.spare[place]) : nullptr;
  }

  // Notes who would do if nobody is found.
  std::uint32_t search(const std::vector<candidate>& all, const std::vector<const replica_record*>& records) noexcept {
    return trying_.search(all, [&](std::size_t place) {
      if (!filter_.has(*records[place])) return false;
      if (trying_.avoided(all[place])) {
        avoided_ = &all[place];
        return false;
      }
      if (filter_.near(*records[place])) return true;
      outside_window_ = true;
      return false;
    });
  }

  const pick_attempt<Policy>& trying_;
  replica_filter& filter_;
  replica_reader& reader_;
  bool avoid_strictly_;
  bool outside_window_ = false;         // somebody there has it
  const candidate* avoided_ = nullptr;  // has it
};

}  // namespace banyan::detail
