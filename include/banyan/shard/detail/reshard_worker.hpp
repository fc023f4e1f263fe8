#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/core/expected.hpp>
#include <banyan/shard/detail/reshard_bring_up_to.hpp>
#include <banyan/shard/reshard_error.hpp>
#include <banyan/shard/reshard_phase.hpp>
#include <banyan/shard/reshard_record.hpp>
#include <banyan/shard/reshard_state.hpp>
#include <banyan/shard/reshard_store.hpp>

namespace banyan::detail {

/// The passes of `backfill` and `verify`, batch by batch. All that is between two batches is in the state.
template <class Source, class Target, class Equal>
class reshard_worker {
 public:
  using key_type = typename Source::key_type;
  using value_type = typename Source::value_type;
  using record_type = reshard_record<value_type>;
  using error_type = reshard_error<typename Source::error_type>;

  reshard_worker(Source& source, Target& target, std::uint32_t generation, std::function<bool(const key_type&)> moves,
                 Equal equal)
      : source_{source},
        target_{target},
        base_{generation_base(generation)},
        moves_{std::move(moves)},
        equal_{std::move(equal)} {}

  /// Takes effect at the target first; then `state` has moved on, to be saved. How many records were scanned. When it
  /// fails, the batch is to be done again from the old state.
  expected<std::size_t, error_type> batch(reshard_state& state, std::size_t limit, std::vector<key_type>& conflicts) {
    const bool backfills = state.phase == reshard_phase::backfill;
    const bool at_source = state.pass == reshard_pass::over_source;
    auto page = at_source ? source_.scan(state.cursor, limit) : target_.scan(state.cursor, limit);
    if (!page) {
      return failed(at_source ? reshard_fault::source_failed : reshard_fault::target_failed, std::move(page).error());
    }
    for (const auto& [key, record] : page->records) {
      if (moves_ != nullptr && !moves_(key)) continue;
      auto agrees = backfills ? copy(key, record, 0, state.copied)
                              : (at_source ? compare(key, record, state) : look_for_origin(key, record, state));
      if (!agrees) return unexpected<error_type>{std::move(agrees).error()};
      if (*agrees) continue;
      ++state.conflicts;
      conflicts.push_back(key);
    }
    state.cursor = std::move(page->next);
    if (state.cursor.empty()) {
      state.pass = !backfills && at_source ? reshard_pass::over_target : reshard_pass::complete;
    }
    return page->records.size();
  }

 private:
  using verdict = expected<bool, error_type>;  // false: a conflict

  static unexpected<error_type> failed(reshard_fault fault, typename Source::error_type&& cause) {
    return unexpected<error_type>{error_type{fault, std::move(cause)}};
  }

  verdict copy(const key_type& key, const record_type& record, std::uint64_t guess, std::uint64_t& count) {
    // Version 0 could be copied nowhere, and those of this generation the source does not give.
    if (record.version == 0 || record.version >= base_) return false;
    auto there = bring_up_to(target_, key, guess, record);
    if (!there) return unexpected<error_type>{std::move(there).error()};
    if (there->stored) ++count;
    return true;
  }

  verdict compare(const key_type& key, const record_type& record, reshard_state& state) {
    ++state.verified;
    auto there = target_.read(key);
    if (!there) return failed(reshard_fault::target_failed, std::move(there).error());
    if (there->version < record.version || record.version == 0)
      return copy(key, record, there->version, state.repaired);
    // A newer one at the target means that the source has changed since the scan.
    return there->version != record.version || same(there->value, record.value);
  }

  verdict look_for_origin(const key_type& key, const record_type& record, reshard_state& state) {
    ++state.verified;
    auto here = source_.read(key);
    if (!here) return failed(reshard_fault::source_failed, std::move(here).error());
    // The source has been read later, so it is not a question of time.
    return here->version >= record.version;
  }

  [[nodiscard]] bool same(const std::optional<value_type>& a, const std::optional<value_type>& b) const {
    return a.has_value() == b.has_value() && (!a.has_value() || equal_(*a, *b));
  }

  Source& source_;
  Target& target_;
  const std::uint64_t base_;
  const std::function<bool(const key_type&)> moves_;
  [[no_unique_address]] Equal equal_;
};

}  // namespace banyan::detail
