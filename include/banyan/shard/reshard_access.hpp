#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/reshard_bring_up_to.hpp>
#include <banyan/shard/detail/reshard_gate.hpp>
#include <banyan/shard/reshard_error.hpp>
#include <banyan/shard/reshard_phase.hpp>
#include <banyan/shard/reshard_record.hpp>
#include <banyan/shard/reshard_store.hpp>

namespace banyan {

/// What became of an announcement.
enum class reshard_adoption {
  adopted,      ///< new calls run under it
  known,        ///< it, or a later one, is in force already
  not_yet,      ///< calls of the phase before the current one are still under way; nothing has changed
  left_behind,  ///< it is two phases ahead: others went on without us. All calls are refused from now on
};

/// How one process reads and writes keys while they move; see `live_reshard` for the whole. Every read and every write
/// of a key that may move goes through an object of this kind, in all processes.
///
///     banyan::reshard_access access{old_shards, new_shards, 1, moves};     // one in each process
///     access.adopt(announced);                      // whenever a phase is announced
///     if (access.wait_settled(announced.step, deadline)) tell_the_driver(announced.step);
///     access.put("user:42", row);
///
/// Operations on one key are linearizable over all processes and phases. A write that returns an error may have taken
/// effect, or take effect later (as with any database that does not answer), except where the fault says that nothing
/// was written. A write takes a read and a conditional write of the store that gives the version, and a conditional
/// write of the other; it repeats where another writer came first, 100 times at most.
///
/// The stores must outlive the object, and calls must have ended when it dies. Thread-safe. Lock-free, apart from what
/// the stores, `moves` and `update`'s function do: no call waits for another, nor for a change of phase.
template <class Source, class Target = Source>
requires reshard_stores<Source, Target>
class reshard_access {
 public:
  using key_type = typename Source::key_type;
  using value_type = typename Source::value_type;
  using record_type = reshard_record<value_type>;
  using error_type = reshard_error<typename Source::error_type>;

  /// `generation` as the driver's. `moves(key)`: whether the key moves; it must not change and be the same everywhere.
  /// Without it all keys do. Keys that stay are read and written at the source. Throws `std::invalid_argument` when the
  /// generation is 0 or above `max_reshard_generation`.
  reshard_access(Source& source, Target& target, std::uint32_t generation,
                 std::function<bool(const key_type&)> moves = nullptr)
      : source_{source}, target_{target}, generation_{generation}, moves_{std::move(moves)} {
    if (generation == 0 || generation > max_reshard_generation)
      invalid_option("reshard_access.generation", generation, "must be from 1 to 32767");
  }

  reshard_access(const reshard_access&) = delete;
  reshard_access& operator=(const reshard_access&) = delete;

  /// Takes up an announced phase for calls that begin from now on. Announcements of other generations are `known` when
  /// older, and refused as `left_behind` when newer. Blocks while another thread does the same; else wait-free.
  reshard_adoption adopt(const reshard_announcement& announced) {
    const std::lock_guard<std::mutex> turn{adopting_};
    if (gate_.is_left_behind()) return reshard_adoption::left_behind;
    if (announced.generation < generation_) return reshard_adoption::known;
    const std::uint64_t now = gate_.step();
    if (announced.generation == generation_ && announced.step <= now) return reshard_adoption::known;
    if (announced.generation > generation_ || (now != 0 && announced.step != now + 1)) {
      gate_.shut();
      return reshard_adoption::left_behind;
    }
    if (now != 0 && gate_.settled_step() != now) return reshard_adoption::not_yet;
    gate_.change(announced.step, announced.phase);
    return reshard_adoption::adopted;
  }

  /// The step to confirm: all calls under way run under it. 0 when there is none, or not yet. Wait-free.
  [[nodiscard]] std::uint64_t settled_step() noexcept { return gate_.settled_step(); }

  /// Waits for calls of the phase before `step` to end; false when some have not by then. Blocking on them.
  bool wait_settled(std::uint64_t step, steady_clock::time_point until) noexcept {
    return gate_.wait_settled(step, until);
  }

  /// The value, or nothing.
  expected<std::optional<value_type>, error_type> read(const key_type& key) {
    const auto pass = gate_.enter();
    if (!pass) return refusal();
    const reshard_rule rule = rule_of(moves(key) ? pass.phase() : reshard_phase::prepared);
    if (rule.reads_target) {
      auto seen = target_.read(key);
      if (!seen) return failed(reshard_fault::target_failed, std::move(seen).error());
      return std::move(seen->value);
    }
    auto seen = source_.read(key);
    if (!seen) return failed(reshard_fault::source_failed, std::move(seen).error());
    // What has been returned must never be unseen again, so it has to be where reads will soon go.
    if (seen->version != 0 && rule.brings_target_along) {
      auto there = target_.read(key);
      if (!there) return failed(reshard_fault::target_failed, std::move(there).error());
      if (there->version < seen->version) {
        auto brought = detail::bring_up_to(target_, key, there->version, *seen);
        if (!brought) return unexpected<error_type>{std::move(brought).error()};
      }
    }
    return std::move(seen->value);
  }

  /// Stores a value; the version it got.
  expected<std::uint64_t, error_type> put(const key_type& key, const value_type& value) {
    return write(key, [&](const std::optional<value_type>&) { return std::optional<value_type>{value}; });
  }

  /// Deletes: leaves the mark of a deletion.
  expected<std::uint64_t, error_type> erase(const key_type& key) {
    return write(key, [](const std::optional<value_type>&) { return std::optional<value_type>{}; });
  }

  /// Stores `f(current value or nothing)`, and nothing may come between; no result means to delete. `f` is called again
  /// when another writer came first. What it throws is let through; then nothing was written.
  template <class F>
  requires std::is_invocable_r_v<std::optional<value_type>, F&, const std::optional<value_type>&>
      expected<std::uint64_t, error_type> update(const key_type& key, F f) {
    return write(key, f);
  }

  /// Writes that counted although the target missed them, which `dual_write` and `backfill` allow. Wait-free.
  [[nodiscard]] std::uint64_t missed_by_target() const noexcept { return missed_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] bool moves(const key_type& key) const { return moves_ == nullptr || moves_(key); }

  [[nodiscard]] unexpected<error_type> refusal() const {
    return unexpected<error_type>{
        error_type{gate_.is_left_behind() ? reshard_fault::left_behind : reshard_fault::no_phase, std::nullopt}};
  }
  static unexpected<error_type> failed(reshard_fault fault) {
    return unexpected<error_type>{error_type{fault, std::nullopt}};
  }
  static unexpected<error_type> failed(reshard_fault fault, typename Source::error_type&& cause) {
    return unexpected<error_type>{error_type{fault, std::move(cause)}};
  }

  [[nodiscard]] std::uint64_t base() const noexcept { return generation_base(generation_); }

  template <class Make>
  expected<std::uint64_t, error_type> write(const key_type& key, Make&& make) {
    const auto pass = gate_.enter();
    if (!pass) return refusal();
    if (!moves(key)) return write_at(source_, reshard_fault::source_failed, key, make);
    const reshard_rule rule = rule_of(pass.phase());
    return rule.writes_source ? write_by_source(rule, key, make) : write_by_target(rule.hands_over, key, make);
  }

  // Reads, and writes what `make` makes of it with the next version, until nobody came between.
  template <class Store, class Make>
  expected<std::uint64_t, error_type> write_at(Store& store, reshard_fault fault, const key_type& key, Make& make) {
    for (int attempt = 0; attempt < detail::reshard_attempts; ++attempt) {
      auto seen = store.read(key);
      if (!seen) return failed(fault, std::move(seen).error());
      const record_type next{seen->version + 1, make(std::as_const(seen->value))};
      auto stored = store.put_if(key, seen->version, next);
      if (!stored) return failed(fault, std::move(stored).error());
      if (*stored) return next.version;
    }
    return failed(reshard_fault::contended);
  }

  template <class Make>
  expected<std::uint64_t, error_type> write_by_source(const reshard_rule& rule, const key_type& key, Make& make) {
    for (int attempt = 0; attempt < detail::reshard_attempts; ++attempt) {
      auto seen = source_.read(key);
      if (!seen) return failed(reshard_fault::source_failed, std::move(seen).error());
      if (seen->version + 1 >= base()) {
        // Sealed: others write under `handover` already, so we may.
        if (seen->version == base() && rule.reads_target) return write_by_target(true, key, make);
        return failed(reshard_fault::version_used);
      }
      const record_type next{seen->version + 1, make(std::as_const(seen->value))};
      auto stored = source_.put_if(key, seen->version, next);
      if (!stored) return failed(reshard_fault::source_failed, std::move(stored).error());
      if (!*stored) continue;
      if (!rule.writes_target) return next.version;
      // Where the target has something newer, that was made of ours, or in its place, at the source.
      const auto there = detail::bring_up_to(target_, key, seen->version, next);
      if (there) return next.version;
      if (!rule.may_miss_target) return unexpected<error_type>{there.error()};
      missed_.fetch_add(1, std::memory_order_relaxed);  // a count, and no more
      return next.version;
    }
    return failed(reshard_fault::contended);
  }

  template <class Make>
  expected<std::uint64_t, error_type> write_by_target(bool hands_over, const key_type& key, Make& make) {
    for (int attempt = 0; attempt < detail::reshard_attempts; ++attempt) {
      auto seen = target_.read(key);
      if (!seen) return failed(reshard_fault::target_failed, std::move(seen).error());
      if (hands_over && seen->version < base()) {
        if (auto fault = hand_over(key, seen->version)) return unexpected<error_type>{*std::move(fault)};
        continue;
      }
      const record_type next{(seen->version < base() ? base() : seen->version) + 1, make(std::as_const(seen->value))};
      auto stored = target_.put_if(key, seen->version, next);
      if (!stored) return failed(reshard_fault::target_failed, std::move(stored).error());
      if (*stored) return next.version;
    }
    return failed(reshard_fault::contended);
  }

  // Makes the source's last record final, and brings it to the target. From then on the target gives the versions.
  std::optional<error_type> hand_over(const key_type& key, std::uint64_t guess) {
    for (int attempt = 0; attempt < detail::reshard_attempts; ++attempt) {
      auto last = source_.read(key);
      if (!last) return error_type{reshard_fault::source_failed, std::move(last).error()};
      if (last->version > base()) return error_type{reshard_fault::version_used, std::nullopt};
      const record_type sealed{base(), std::move(last->value)};
      if (last->version < base()) {
        auto stored = source_.put_if(key, last->version, sealed);
        if (!stored) return error_type{reshard_fault::source_failed, std::move(stored).error()};
        if (!*stored) continue;
      }
      auto there = detail::bring_up_to(target_, key, guess, sealed);
      if (!there) return std::move(there).error();
      return std::nullopt;
    }
    return error_type{reshard_fault::contended, std::nullopt};
  }

  Source& source_;
  Target& target_;
  const std::uint32_t generation_;
  const std::function<bool(const key_type&)> moves_;
  detail::reshard_gate gate_;
  std::atomic<std::uint64_t> missed_{0};
  std::mutex adopting_;
};

}  // namespace banyan
