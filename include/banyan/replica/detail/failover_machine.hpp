#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/replica/detail/failover_members.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/detail/failure_window.hpp>
#include <banyan/replica/failover_options.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

/// What a failover does next, without threads, clocks and the user's code: `advance` says what is to be done, `answer`
/// takes what came of it, `take_reports` tells what has happened. Times are nanoseconds and never go back.
///
///     watching <--> confirming       suspected: k of the latest n probes failed; confirmed or cleared
///     watching, confirming -> fencing            epoch + 1
///     fencing -> draining -> choosing -> promoting -> repointing -> watching
///     promoting -> fencing -> choosing           epoch + 1; all attempts failed, so the candidate is fenced
///
///     watching -> stopping                       epoch + 1; planned
///     stopping -> draining -> catching_up -> fencing -> promoting -> repointing -> watching        epoch + 1 at
///     fencing stopping, draining, catching_up -> watching      epoch + 1; failed, or took too long: writes are let go
///     on
///
/// Each step is an action that can be repeated, and is, until it succeeds. A record is saved before fencing (with the
/// new epoch), promoting (with the candidate), re-pointing and watching are entered: whoever takes over from it repeats
/// the step that it names, under an epoch of its own. The same before stopping: whoever takes over from there lets
/// writes go on. Saving compares and sets: a record that comes late from an earlier process finds another than it
/// expects. When it is refused, another is in charge, and that ends it all. A record of which nobody knows whether it
/// was kept is saved again before the next.
///
/// While watching there are duties besides: replicas that do not follow the primary yet, writes to be let go on.
class failover_machine {
 public:
  struct abilities {  // which of the actions there are
    bool confirm = false;
    bool drain = false;
    bool save = false;
    bool switchover = false;
  };

  failover_machine(const failover_options& options, abilities has, const failover_record& record,
                   const std::vector<endpoint_id>& replicas)
      : options_{options},
        has_{has},
        failures_{options.probes, options.failures,
                  (options.probe_interval + options.timeout).count() * 2 * options.probes},
        epoch_{record.epoch},
        primary_{record.primary},
        saved_{record} {
    for (const endpoint_id each : replicas) add_replica(each);
    for (failover_member& each : members_.all()) each.to_follow = !record.settled;
    if (record.phase == failover_phase::watching) return;
    // What the process before has under way is in the name of an earlier epoch.
    ++epoch_;
    to_resume_ = record.phase == failover_phase::stopping;
    candidate_ = record.candidate;  // when fencing: of a planned switchover, which had caught up
    fence_target_ = primary_;
    if (record.phase == failover_phase::repointing) take_over(record.candidate);
    save_and_enter(record.phase);
  }

  void advance(std::int64_t now) {
    set_time(now);
    for (;;) {
      const auto late = orders_.expired(now_);
      if (!late) break;
      settle(*late, {});
    }
    do {
      changed_ = false;
      act();
    } while (changed_);
  }

  void answer(std::uint64_t number, const failover_answer& given, std::int64_t now) {
    set_time(now);
    if (const auto order = orders_.answered(number)) settle(*order, given);
  }

  [[nodiscard]] bool wants(std::uint64_t number) const noexcept { return orders_.wants(number); }
  [[nodiscard]] std::vector<failover_order> take_orders() { return orders_.take(); }
  [[nodiscard]] std::vector<failover_report> take_reports() { return std::exchange(reports_, {}); }

  /// After `advance`: nothing happens before that time, unless an answer or a request comes.
  [[nodiscard]] std::int64_t next_event() const noexcept { return std::min(orders_.next_deadline(), wake_); }

  [[nodiscard]] failover_phase phase() const noexcept { return phase_; }
  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] endpoint_id primary() const noexcept { return primary_; }
  [[nodiscard]] bool superseded() const noexcept { return superseded_; }
  [[nodiscard]] bool settled() const noexcept { return idle() && members_.all_follow(); }
  [[nodiscard]] std::vector<endpoint_id> replicas() const {
    std::vector<endpoint_id> ids;
    for (const failover_member& each : members_.all()) ids.push_back(each.id);
    return ids;
  }

  /// Not of one that is there.
  bool add_replica(endpoint_id id) {
    if (!id || id == primary_ || members_.find(id) != nullptr) return false;
    members_.add(id);
    return true;
  }
  /// Not while it could be the candidate.
  bool remove_replica(endpoint_id id) {
    if (phase_ != failover_phase::watching || saving_ || members_.find(id) == nullptr) return false;
    members_.remove(id);
    orders_.give_up(id);
    return true;
  }

  bool request_failover(endpoint_id expected) {
    if (!idle() || expected != primary_ || members_.all().empty()) return false;
    forced_ = true;
    return true;
  }
  bool request_switchover(endpoint_id expected, endpoint_id target) {
    if (!idle() || !has_.switchover || expected != primary_ || members_.all().empty()) return false;
    if (target && members_.find(target) == nullptr) return false;
    switch_to_ = target;
    planned_ = true;
    return true;
  }
  bool accept_loss() {
    if (phase_ != failover_phase::choosing || saving_) return false;
    loss_accepted_ = true;
    retry_at_ = now_;
    return true;
  }

 private:
  using action = failover_action;
  using event = failover_event;
  using nanoseconds = std::chrono::nanoseconds;

  static constexpr std::int64_t never = failover_orders::never;

  [[nodiscard]] bool idle() const noexcept {
    return phase_ == failover_phase::watching && !saving_ && !forced_ && !planned_ && !to_resume_ && !superseded_;
  }
  [[nodiscard]] std::int64_t in(nanoseconds step) const noexcept { return failover_orders::later(now_, step.count()); }

  void set_time(std::int64_t now) noexcept {
    if (now_ == before_time) since_ = now;
    now_ = std::max(now_, now);
  }
  void report(event what, endpoint_id node, std::uint64_t position = 0) {
    reports_.push_back({what, node, epoch_, position});
  }
  void enter(failover_phase next) {
    phase_ = next;
    since_ = now_;
    begin_step();
  }
  void begin_step() {
    retry_at_ = now_;
    attempts_ = 0;
    told_ = false;
    changed_ = true;
    orders_.give_up_all();
  }
  // Keeps the record, then goes on to `next`. Without the action at once.
  void save_and_enter(failover_phase next) {
    if (!has_.save) return enter(to_resume_ ? failover_phase::watching : next);
    saving_ = true;
    saving_for_ = next;
    begin_step();
  }

  bool order(action what, endpoint_id node, endpoint_id other = {}) {
    failover_order made{.action = what, .node = node, .other = other, .epoch = epoch_};
    if (what == action::repoint) made.handover = {primary_, old_primary_, epoch_, handed_position_, handed_planned_};
    return orders_.issue(made, in(options_.timeout));
  }
  // Now, or when it is time to try again. One that cannot be ordered, as the one before still runs, has failed again.
  void repeat(action what, endpoint_id node, endpoint_id other = {}) {
    if (!orders_.pending(what, node) && now_ >= retry_at_ && !order(what, node, other)) {
      settle({.action = what, .node = node, .other = other, .epoch = epoch_}, {});
    }
    wake_ = std::min(wake_, retry_at_ > now_ ? retry_at_ : never);
  }

  void act() {
    wake_ = never;
    if (superseded_) return;
    if (saving_) return act_saving();
    switch (phase_) {
      case failover_phase::watching:
        return act_watching();
      case failover_phase::confirming:
        return repeat(action::confirm, primary_);
      case failover_phase::stopping:
        if (!out_of_time()) repeat(action::stop_writes, primary_);
        return;
      case failover_phase::draining:
        return act_draining();
      case failover_phase::catching_up:
        return act_catching_up();
      case failover_phase::fencing:
        return act_fencing();
      case failover_phase::choosing:
        return act_choosing();
      case failover_phase::promoting:
        return repeat(action::promote, candidate_);
      case failover_phase::repointing:
        return repeat(action::repoint, primary_);
    }
  }

  void act_saving() {
    // Once the record of fencing may have been kept, there is no way back either: another may go on from it.
    if (planned_ && saving_for_ == failover_phase::stopping && out_of_time()) {
      saving_ = false;
      return;
    }
    if (!orders_.pending(action::save, primary_) && now_ >= retry_at_ && !order_save(saving_for_)) {
      retry_at_ = in(options_.retry_interval);
    }
    wake_ = std::min(wake_, retry_at_ > now_ ? retry_at_ : never);
  }
  bool order_save(failover_phase next) {
    failover_record record{epoch_, next, primary_, {}, next <= failover_phase::stopping && members_.all_follow()};
    if (next == failover_phase::fencing) record.primary = fence_target_;
    if (next == failover_phase::repointing) record.primary = old_primary_;
    if (next == failover_phase::fencing || next == failover_phase::promoting || next == failover_phase::repointing)
      record.candidate = candidate_;
    failover_order made{.action = action::save, .node = primary_, .epoch = epoch_};
    made.record = uncertain_.value_or(record);
    made.before = saved_;
    if (!orders_.issue(made, in(options_.timeout))) return false;
    uncertain_ = made.record;
    wanted_ = record;
    return true;
  }

  void act_watching() {
    if (planned_) {
      report(event::switch_started, primary_);
      deadline_ = in(options_.switchover_timeout);
      to_save_ = false;
      new_epoch();
      return save_and_enter(failover_phase::stopping);
    }
    if (forced_) return begin_failover();
    if (!failures_.suspect(now_)) {
      suspected_ = held_back_ = false;
    } else {
      if (!std::exchange(suspected_, true)) report(event::suspected, primary_);
      if (now_ >= quiet_until_ && !members_.all().empty()) {
        if (has_.confirm) return enter(failover_phase::confirming);
        return begin_failover();
      }
      if (!std::exchange(held_back_, true)) report(event::held_back, primary_);
      if (now_ < quiet_until_) wake_ = quiet_until_;
    }
    if (!orders_.pending(action::probe, primary_) && now_ >= probe_at_) {
      probe_at_ = in(options_.probe_interval);
      if (!order(action::probe, primary_)) {  // the last one hangs
        failures_.record(now_, true);
        changed_ = true;
      }
    }
    wake_ = std::min(wake_, probe_at_);
    if (to_resume_) repeat(action::resume_writes, primary_);
    if (to_save_ && !orders_.pending(action::save, primary_)) {
      if (now_ >= save_at_ && !order_save(failover_phase::watching)) save_at_ = in(options_.retry_interval);
      if (save_at_ > now_) wake_ = std::min(wake_, save_at_);
    }
    for (failover_member& each : members_.all()) {
      if (!each.to_follow || orders_.pending(action::follow, each.id)) continue;
      if (now_ >= each.follow_at && order(action::follow, each.id, primary_)) continue;
      if (now_ >= each.follow_at) each.follow_at = in(options_.retry_interval);
      wake_ = std::min(wake_, each.follow_at);
    }
  }

  void begin_failover() {
    forced_ = planned_ = suspected_ = held_back_ = to_resume_ = to_save_ = false;
    fence_target_ = primary_;
    new_epoch();
    report(event::started, primary_);
    save_and_enter(failover_phase::fencing);
  }
  void new_epoch() {
    ++epoch_;
    loss_accepted_ = false;
    candidate_ = {};
    handed_position_.reset();
    handed_planned_ = false;
    members_.forget_positions();
  }

  bool out_of_time() {
    wake_ = deadline_;
    if (now_ < deadline_) return false;
    abort();
    return true;
  }
  void abort() {
    report(event::aborted, primary_);
    planned_ = false;
    to_resume_ = true;
    new_epoch();  // so that an order to stop writes that comes late is refused
    failures_.clear();
    enter(failover_phase::watching);
  }

  void act_draining() {
    if (planned_ && out_of_time()) return;
    const std::int64_t until = planned_ ? deadline_ : failover_orders::later(since_, options_.drain_patience.count());
    if (!has_.drain || now_ >= until) {
      if (has_.drain) report(event::not_drained, primary_);
      return drained();
    }
    repeat(action::drain, primary_);
    wake_ = std::min(wake_, until);
  }
  void drained() { enter(planned_ ? failover_phase::catching_up : failover_phase::choosing); }

  // The primary's position first: it is final, as no writes are under way. Then whoever is to take over must reach it.
  void act_catching_up() {
    if (out_of_time()) return;
    if (!goal_) return repeat(action::position, primary_);
    for (const failover_member& each : members_.all()) {
      if (switch_to_ && each.id != switch_to_) continue;
      // Of the same history: another one may be longer and have other things in it.
      if (!each.position || each.to_follow || each.position->history != goal_->history || *each.position < *goal_ ||
          orders_.busy(each.id)) {
        continue;
      }
      report(event::caught_up, each.id, each.position->position);
      fence_target_ = primary_;
      const endpoint_id chosen = each.id;
      const std::uint64_t position = each.position->position;
      new_epoch();
      candidate_ = chosen;
      handed_position_ = position;
      handed_planned_ = true;
      return save_and_enter(failover_phase::fencing);
    }
    if (now_ >= retry_at_) {
      // Often: writes stand still meanwhile.
      retry_at_ = in(std::max<nanoseconds>(options_.retry_interval / 100, std::chrono::microseconds{100}));
      for (const failover_member& each : members_.all()) {
        if (!switch_to_ || each.id == switch_to_) order(action::position, each.id);
      }
    }
    wake_ = std::min(wake_, retry_at_);
  }

  void act_fencing() {
    if (options_.fence_patience.count() > 0) {
      const std::int64_t until = failover_orders::later(since_, options_.fence_patience.count());
      if (now_ >= until) {
        report(event::fence_given_up, fence_target_);
        return fenced();
      }
      wake_ = until;
    }
    repeat(action::fence, fence_target_);
  }
  void fenced() {
    if (candidate_) return save_and_enter(failover_phase::promoting);  // planned
    enter(fence_target_ == primary_ ? failover_phase::draining : failover_phase::choosing);
  }

  void act_choosing() {
    if (now_ >= retry_at_) {
      retry_at_ = in(options_.retry_interval);
      for (const failover_member& each : members_.all()) order(action::position, each.id);
    }
    choose();
    if (phase_ == failover_phase::choosing && !saving_) wake_ = std::min(wake_, retry_at_);
  }
  void choose() {
    const std::int64_t until = failover_orders::later(since_, options_.choose_patience.count());
    const auto made = members_.choose({.acknowledgements = loss_accepted_ ? 0 : options_.acknowledgements,
                                       .last_known = last_known_,
                                       .max_loss = options_.max_loss,
                                       .patient = now_ < until,
                                       .any = loss_accepted_},
                                      [this](endpoint_id id) { return orders_.busy(id); });
    if (made.best) {
      candidate_ = made.best;
      handed_position_ = made.position.position;
      report(event::chosen, made.best, made.position.position);
      return save_and_enter(failover_phase::promoting);
    }
    if (made.worth_waiting) {
      wake_ = std::min(wake_, until);
    } else if (orders_.next_deadline() == never && !std::exchange(told_, true)) {
      report(event::waiting, {}, made.position.position);
    }
  }

  // What came of an order, or that nothing did in time.
  void settle(const failover_order& order, const failover_answer& given) {
    const bool done = given.result == failover_result::done;
    changed_ = true;
    switch (order.action) {
      case action::probe:
        if (done) last_known_ = std::max(last_known_, given.position);
        return failures_.record(now_, !done);
      case action::confirm:
        if (done) return begin_failover();
        report(event::cleared, primary_);
        failures_.clear();
        suspected_ = false;
        return enter(failover_phase::watching);
      case action::stop_writes:
        if (!done) return abort();
        report(event::writes_stopped, primary_);
        goal_.reset();
        members_.forget_positions();
        return enter(failover_phase::draining);
      case action::resume_writes:
        if (!done) return try_again();
        to_resume_ = false;
        to_save_ = has_.save;  // only now: until then, whoever took over had to let writes go on
        return report(event::writes_resumed, primary_);
      case action::drain:
        if (!done) return try_again();
        report(event::drained, primary_);
        return drained();
      case action::position:
        return settle_position(order.node, done, given.position);
      case action::save:
        return settle_save(given.result);
      case action::fence:
        report(done ? event::fenced : event::not_fenced, order.node);
        return done ? fenced() : try_again();
      case action::promote:
        return settle_promote(done);
      case action::repoint:
        report(done ? event::repointed : event::not_repointed, primary_);
        if (!done) return try_again();
        quiet_until_ = in(options_.quiet_period);
        return save_and_enter(failover_phase::watching);
      case action::follow:
        return settle_follow(order.node, done);
    }
  }
  void try_again() noexcept { retry_at_ = in(options_.retry_interval); }

  void settle_position(endpoint_id node, bool done, const failover_position& position) {
    if (node == primary_) {  // planned
      if (!done) return try_again();
      goal_ = position;
      retry_at_ = now_;
    } else if (failover_member* const one = members_.find(node); one != nullptr && done) {
      one->position = position;
    }
  }

  void settle_save(failover_result result) {
    if (result == failover_result::refused) {
      report(event::superseded, primary_);
      superseded_ = true;
      saving_ = false;
      return enter(failover_phase::watching);
    }
    if (result == failover_result::failed) {
      if (!std::exchange(told_, true)) report(event::not_saved, primary_);
      save_at_ = in(options_.retry_interval);
      if (saving_) try_again();
      return;
    }
    saved_ = std::exchange(uncertain_, std::nullopt).value_or(saved_);
    if (saved_ != wanted_) return;  // it was another one's turn
    to_save_ = false;
    // With writes to be let go on: they are not to be stopped once more. That the record is this process's own comes
    // first, so that none of an earlier process can say any more that a replica has all that was written.
    if (std::exchange(saving_, false)) enter(to_resume_ ? failover_phase::watching : saving_for_);
  }

  void settle_promote(bool done) {
    if (done) {
      report(event::promoted, candidate_);
      take_over(candidate_);
      return save_and_enter(failover_phase::repointing);
    }
    report(event::not_promoted, candidate_);
    if (++attempts_ < options_.promote_attempts) return try_again();
    // It may have become the primary after all, so it is fenced before another one does.
    report(event::candidate_failed, candidate_);
    if (failover_member* const one = members_.find(candidate_)) ++one->failures;
    planned_ = false;
    fence_target_ = candidate_;
    new_epoch();
    save_and_enter(failover_phase::fencing);
  }
  void take_over(endpoint_id id) {
    old_primary_ = std::exchange(primary_, id);
    members_.replace(id, old_primary_);
    planned_ = forced_ = false;
    switch_to_ = {};
    last_known_ = {};
    failures_.clear();
    probe_at_ = before_time;
  }

  void settle_follow(endpoint_id node, bool done) {
    failover_member* const one = members_.find(node);
    if (one == nullptr) return;
    report(done ? event::follows : event::does_not_follow, node);
    one->to_follow = !done;
    one->follow_at = in(options_.retry_interval);
    if (!members_.all_follow()) return;
    to_save_ = has_.save;
    report(event::finished, primary_);
  }

  static constexpr std::int64_t before_time = std::numeric_limits<std::int64_t>::min();

  const failover_options options_;
  const abilities has_;
  failover_orders orders_;
  failover_members members_;
  failure_window failures_;
  std::vector<failover_report> reports_;

  failover_phase phase_ = failover_phase::watching;
  std::uint32_t epoch_;
  endpoint_id primary_;      // the old one, until another has been promoted
  endpoint_id old_primary_;  // of the last promotion
  endpoint_id candidate_;
  endpoint_id fence_target_;
  endpoint_id switch_to_;                         // none: whoever catches up first
  failover_record saved_;                         // as far as is known
  std::optional<failover_record> uncertain_;      // perhaps saved
  failover_record wanted_{};                      // the next
  std::optional<std::uint64_t> handed_position_;  // of the candidate
  bool handed_planned_ = false;
  std::optional<failover_position> goal_;
  failover_position last_known_{};
  std::uint32_t attempts_ = 0;

  bool changed_ = false;  // look again
  bool saving_ = false;   // before `saving_for_` is entered
  failover_phase saving_for_ = failover_phase::watching;
  bool planned_ = false;
  bool forced_ = false;
  bool to_resume_ = false;
  bool to_save_ = false;
  bool suspected_ = false;
  bool held_back_ = false;
  bool loss_accepted_ = false;
  bool superseded_ = false;
  bool told_ = false;  // of waiting, in this step

  std::int64_t now_ = before_time;
  std::int64_t since_ = before_time;  // of the phase
  std::int64_t retry_at_ = before_time;
  std::int64_t save_at_ = before_time;
  std::int64_t probe_at_ = before_time;
  std::int64_t quiet_until_ = before_time;
  std::int64_t deadline_ = never;  // of a switchover
  std::int64_t wake_ = before_time;
};

}  // namespace banyan::detail
