#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/reshard_worker.hpp>
#include <banyan/shard/reshard_error.hpp>
#include <banyan/shard/reshard_options.hpp>
#include <banyan/shard/reshard_phase.hpp>
#include <banyan/shard/reshard_progress.hpp>
#include <banyan/shard/reshard_record.hpp>
#include <banyan/shard/reshard_state.hpp>
#include <banyan/shard/reshard_store.hpp>

namespace banyan {

/// Moves keys from a source to a target while both are in use:
///
///     prepared --> dual_write --> backfill --> verify --> cutover --> handover --> done
///         |             |             |           |          |
///         |             |             |           |          v
///         |             |             |           |    rolling_back
///         v             v             v           v          v
///         '-------------'-------------'-----------'---> rolled_back
///
/// | phase | a write goes to | a read asks | the driver |
/// |---|---|---|---|
/// | prepared, rolled_back | source | source | |
/// | dual_write | source, then target if it can | source | |
/// | backfill | source, then target if it can | source | copies all records |
/// | verify, rolling_back | source, then target | source, and brings the target along | verify: compares and mends |
/// | cutover | source, then target | target | |
/// | handover | seals the key at the source, once, then target | target | |
/// | done | target | target | |
///
/// One process has the driver (this class); all processes read and write by a `reshard_access`. The driver says which
/// phase is next; the caller tells all processes, and confirms it once no process works under the phase before:
///
///     banyan::live_reshard reshard{old_shards, new_shards, save, {.generation = 1}, moves};
///     while (!reshard.settled()) {
///       tell_all(reshard.announcement());                               // each calls access.adopt, ...
///       if (all_have_settled(reshard.step_number())) reshard.confirm(reshard.step_number());  // ... and settles
///       const auto progress = reshard.step();      // after save_failed, replace the driver: see Crashes
///       if (progress && *progress == banyan::reshard_progress::ready) reshard.advance();      // when you see fit
///     }
///
/// So at most two neighbouring phases are in use at a time, as with online changes of a schema. A process that joins
/// must first make itself known, then ask for the announcement. One that does not answer has to be cut off from the
/// stores before the rest is confirmed.
///
/// **Why nothing is lost, stale or undead.** The only atomic thing needed is `put_if` for one key.
/// 1. A version of a key names one record: the source gives the versions, each once; those the target gives from
///    `handover` on are above them (see `generation_base`).
/// 2. Until then a key's version at the source is at least that at the target: writes go there first, and all else
///    that reaches the target is a record the source had. A record never replaces a newer one, so a copy that comes
///    late, twice, or after a deletion changes nothing; a deletion is a record like any other.
/// 3. While reads ask the source, it alone decides, and the target does not matter. Hence writes may miss a target that
///    is not up to it until `verify`, and going back up to there needs no more than to stop writing to it.
/// 4. Once `verify` is confirmed, what a call wrote or returned is at the target, or something newer is, before it
///    returns. Verifying begins then, and brings along all the source had at that moment. So when it is through, the
///    target has all that was ever acknowledged or seen, and reads may go to either: `verify` beside `cutover`, in
///    either direction.
/// 5. Under `cutover` every write is at the source before it can be seen, so going back loses nothing; but over
///    `rolling_back`, whose reads bring the target along for those that still ask it.
/// 6. `handover` beside `cutover`: all read the target, but source and target must not both give versions to a key. So
///    whoever first writes a key under `handover` seals it at the source, by a record of the version `generation_base`.
///    What was written there before is brought to the target as that record; who comes later, under `cutover`, finds
///    the seal and writes at the target as well. Without such a seal, increments were counted twice: one that the
///    target refused could not know whether a later one, built on it, had been accepted.
/// 7. `done` beside `handover`: the target decides, and the source is not needed any more.
///
/// Both passes of verifying matter: over the source for what the target misses, over the target for what the source
/// does not know, such as the remains of an earlier attempt. Those, and equal versions with different values (compared
/// by `equal`), mean that somebody writes past `reshard_access`; they are `conflicts` and keep `verify` from ending.
///
/// **Crashes.** `save(revision, text)` must store the text, durably, unless the revision stored is as high or higher,
/// in one atomic step, and say whether it did. A batch is saved after it took effect, a phase before it is announced.
/// When `save` says no, or throws, it is not known what is saved, nor what a process that joins has been told; so this
/// driver does nothing more but say `save_failed`. After that, as after a crash, make a new one from the saved text: it
/// repeats at most one batch, and each batch may be repeated. If two drivers are at work, only one gets anywhere.
///
/// After `settled()`, nobody needs the keys at the source (or, rolled back, at the target) nor the marks of deletions.
/// They may be removed once no call that failed can still have an effect. Until then, queries over a whole store find
/// keys there that are not its any more: `reshard_shards` shows how to leave them out.
///
/// One thread at a time; calls block on the stores and `save`, whose exceptions are let through (after one of a store
/// the same call may be made again). Each call does O(batch) store calls.
///
/// Source: the barrier between phases from I. Rae et al., "Online, asynchronous schema change in F1", VLDB 2013; reads
/// that write back from H. Attiya, A. Bar-Noy, D. Dolev, "Sharing memory robustly in message-passing systems", JACM 42
/// (1995).
template <class Source, class Target, class Save, class Equal = std::equal_to<>, class Clock = steady_clock>
requires reshard_stores<Source, Target> && std::is_invocable_r_v<bool, Save&, std::uint64_t, std::string_view>
class live_reshard {
 public:
  using key_type = typename Source::key_type;
  using value_type = typename Source::value_type;
  using record_type = reshard_record<value_type>;
  using error_type = reshard_error<typename Source::error_type>;
  using time_point = typename Clock::time_point;

  /// From the beginning. `moves` as for `reshard_access`. The stores must outlive the driver. Throws
  /// `std::invalid_argument` when an option is out of its range.
  live_reshard(Source& source, Target& target, Save save, reshard_options options,
               std::function<bool(const key_type&)> moves = nullptr, Equal equal = {})
      : worker_{source, target, options.generation, std::move(moves), std::move(equal)},
        save_{std::move(save)},
        options_{options} {
    check(options);
    state_.generation = options.generation;
    state_.source_version = options.source_version;
    state_.target_version = options.target_version;
  }

  /// From where another driver was when it saved `saved`. Throws `std::invalid_argument` as above, and when that was
  /// another reshard: of another generation, or between other versions of the routers.
  live_reshard(Source& source, Target& target, Save save, reshard_options options, reshard_state saved,
               std::function<bool(const key_type&)> moves = nullptr, Equal equal = {})
      : live_reshard{source, target, std::move(save), options, std::move(moves), std::move(equal)} {
    if (saved.generation != options.generation)
      invalid_option("reshard_options.generation", options.generation, "must be that of the saved state");
    if (saved.source_version != options.source_version)
      invalid_option("reshard_options.source_version", options.source_version, "must be that of the saved state");
    if (saved.target_version != options.target_version)
      invalid_option("reshard_options.target_version", options.target_version, "must be that of the saved state");
    state_ = std::move(saved);
  }

  [[nodiscard]] const reshard_state& state() const noexcept { return state_; }
  [[nodiscard]] reshard_announcement announcement() const noexcept { return state_.announcement(); }
  [[nodiscard]] reshard_phase phase() const noexcept { return state_.phase; }
  [[nodiscard]] std::uint64_t step_number() const noexcept { return state_.step; }
  [[nodiscard]] bool settled() const noexcept { return state_.settled(); }

  /// The keys that the latest `step` found in conflict.
  [[nodiscard]] const std::vector<key_type>& conflicts() const noexcept { return conflicts_; }

  /// All processes run under the step announced, and none has calls under way that began before. An older step, or one
  /// confirmed already, does nothing.
  expected<void, error_type> confirm(std::uint64_t step) {
    if (in_doubt_) return failed(reshard_fault::save_failed);
    if (step > state_.step) return failed(reshard_fault::another_driver);
    if (step < state_.step || state_.confirmed) return {};
    reshard_state next = state_;
    next.confirmed = true;
    if (!keep(std::move(next))) return failed(reshard_fault::save_failed);
    return {};
  }

  /// Does the next batch of this phase's work, if it is time.
  expected<reshard_progress, error_type> step(time_point now = Clock::now()) {
    conflicts_.clear();
    if (in_doubt_) return failed(reshard_fault::save_failed);
    if (state_.settled()) return reshard_progress::settled;
    // What is copied too early is copied in vain, and verified too early means not verified.
    if (!state_.confirmed) return reshard_progress::waiting;
    if (state_.pass == reshard_pass::complete) {
      const bool stuck = state_.phase == reshard_phase::verify && state_.conflicts != 0;
      return stuck ? reshard_progress::conflicts : reshard_progress::ready;
    }
    if (now < resumes_at()) return reshard_progress::throttled;
    reshard_state next = state_;
    auto scanned = worker_.batch(next, options_.batch, conflicts_);
    if (!scanned) return unexpected<error_type>{std::move(scanned).error()};
    wait_for(*scanned, now);
    if (!keep(std::move(next))) return failed(reshard_fault::save_failed);
    return reshard_progress::worked;
  }

  /// Goes to the next phase, once this one's work is done and confirmed; else `not_ready`. There is no way back once
  /// `cutover` has been left. Repeated by mistake it does no harm: the new phase is not confirmed.
  expected<reshard_announcement, error_type> advance() {
    if (in_doubt_) return failed(reshard_fault::save_failed);
    if (!state_.confirmed || state_.settled() || state_.pass != reshard_pass::complete)
      return failed(reshard_fault::not_ready);
    if (state_.phase == reshard_phase::verify && state_.conflicts != 0) return failed(reshard_fault::not_ready);
    return change(state_.phase == reshard_phase::rolling_back
                      ? reshard_phase::rolled_back
                      : static_cast<reshard_phase>(static_cast<std::uint8_t>(state_.phase) + 1));
  }

  /// Goes back, from any phase up to `cutover`; `too_late` then. The source has everything. While reads may go to the
  /// target, that takes a phase of its own, `rolling_back`: confirm it, then `advance()`. Else it is `rolled_back` at
  /// once, and confirming that is all. Repeated it does nothing.
  expected<reshard_announcement, error_type> roll_back() {
    if (in_doubt_) return failed(reshard_fault::save_failed);
    switch (state_.phase) {
      case reshard_phase::handover:
      case reshard_phase::done:
        return failed(reshard_fault::too_late);
      case reshard_phase::rolling_back:
      case reshard_phase::rolled_back:
        return announcement();
      case reshard_phase::cutover:
        return change(reshard_phase::rolling_back);
      default:
        return change(reshard_phase::rolled_back);
    }
  }

  /// Verifies from the beginning; only under `verify`, else `not_ready`.
  expected<void, error_type> verify_again() {
    if (in_doubt_) return failed(reshard_fault::save_failed);
    if (state_.phase != reshard_phase::verify) return failed(reshard_fault::not_ready);
    reshard_state next = state_;
    begin_work(next);
    if (!keep(std::move(next))) return failed(reshard_fault::save_failed);
    return {};
  }

  /// No batch begins before `until`. `resume` takes that back.
  void pause(time_point until = time_point::max()) noexcept { paused_until_ = until; }
  void resume() noexcept { paused_until_ = time_point::min(); }

  /// When the next batch may begin, for the rate and the pause.
  [[nodiscard]] time_point resumes_at() const noexcept { return std::max(not_before_, paused_until_); }

  /// From the next batch on. Throws `std::invalid_argument` unless above 0.
  void keys_per_second(double rate) {
    reshard_options changed = options_;
    changed.keys_per_second = rate;
    check(changed);
    options_ = changed;
  }

 private:
  static unexpected<error_type> failed(reshard_fault fault) {
    return unexpected<error_type>{error_type{fault, std::nullopt}};
  }

  // Nothing becomes our state before it is durable.
  [[nodiscard]] bool keep(reshard_state next) {
    ++next.revision;
    const std::string text = to_text(next);
    in_doubt_ = true;
    if (!save_(next.revision, std::string_view{text})) return false;
    in_doubt_ = false;
    state_ = std::move(next);
    return true;
  }

  expected<reshard_announcement, error_type> change(reshard_phase phase) {
    reshard_state next = state_;
    next.phase = phase;
    ++next.step;
    next.confirmed = false;
    next.pass = reshard_pass::complete;
    next.cursor.clear();
    if (phase == reshard_phase::backfill || phase == reshard_phase::verify) begin_work(next);
    if (!keep(std::move(next))) return failed(reshard_fault::save_failed);
    return announcement();
  }

  static void begin_work(reshard_state& state) {
    state.pass = reshard_pass::over_source;
    state.cursor.clear();
    state.conflicts = 0;
  }

  void wait_for(std::size_t records, time_point now) noexcept {
    using seconds = std::chrono::duration<double>;
    const double wait = static_cast<double>(records) / options_.keys_per_second;
    constexpr double longest = 365.0 * 24 * 60 * 60;
    not_before_ = now + std::chrono::duration_cast<typename time_point::duration>(seconds{std::min(wait, longest)});
  }

  detail::reshard_worker<Source, Target, Equal> worker_;
  Save save_;
  reshard_options options_;
  reshard_state state_{};
  bool in_doubt_ = false;                      // whether the latest save has had its effect
  time_point not_before_ = time_point::min();  // for the rate
  time_point paused_until_ = time_point::min();
  std::vector<key_type> conflicts_{};
};

}  // namespace banyan
