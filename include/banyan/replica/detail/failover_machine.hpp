#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <banyan/replica/detail/failover_journal.hpp>
#include <banyan/replica/detail/failover_members.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/detail/failover_steps.hpp>
#include <banyan/replica/detail/failover_suspicion.hpp>
#include <banyan/replica/failover_options.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

/// What a failover does next, without threads, clocks and the user's code: `advance` says what is to be done, `answer`
/// takes what came of it, `take_reports` tells what has happened. Times are nanoseconds and never go back. This class
/// decides which step comes next: `failover_steps` goes about it, `failover_suspicion` says when to begin,
/// `failover_members` whom to promote, `failover_journal` what has been kept of it all.
///
///     watching <--> confirming                      suspected: k of the latest n probes failed; confirmed or cleared
///     watching, confirming -> fencing               epoch + 1
///     fencing -> draining -> choosing -> promoting -> repointing -> watching
///     promoting -> fencing -> choosing              epoch + 1; all attempts failed, so the candidate is fenced
///
///     watching -> stopping                          epoch + 1; planned
///     stopping -> draining -> catching_up -> fencing -> promoting -> repointing -> watching     epoch + 1 at fencing
///     stopping, draining, catching_up -> watching   epoch + 1; failed, or took too long: writes are let go on
///
/// Each step is an action that can be repeated, and is, until it succeeds. A record is saved before fencing (with the
/// new epoch), promoting (with the candidate), re-pointing, and watching after it are entered: whoever takes over from
/// it repeats the step that it names, under an epoch of its own. The same before stopping: whoever takes over from
/// there lets writes go on; so that record stands, while watching, until they do. When a record is refused, another is
/// in charge, and that ends it all.
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
        steps_{record.epoch, options.timeout, options.retry_interval},
        journal_{record},
        suspicion_{options},
        primary_{record.primary} {
    for (const endpoint_id each : replicas) add_replica(each);
    for (failover_member& each : members_.all()) each.to_follow = !record.settled;
    if (record.phase == failover_phase::watching) return;
    // What the process before has under way is in the name of an earlier epoch.
    steps_.begin_epoch();
    to_resume_ = record.phase == failover_phase::stopping;
    candidate_.id = record.candidate;  // when fencing: of a planned switchover, which had caught up
    fence_target_ = primary_;
    if (record.phase == failover_phase::repointing) take_over(record.candidate);
    save_and_enter(record.phase);
  }

  void advance(std::int64_t now) {
    steps_.set_time(now);
    for (;;) {
      const auto late = steps_.orders().expired(steps_.now());
      if (!late) break;
      settle(*late, {});
    }
    do {
      steps_.look();
      act();
    } while (steps_.changed());
  }

  void answer(std::uint64_t number, const failover_answer& given, std::int64_t now) {
    steps_.set_time(now);
    if (const auto order = steps_.orders().answered(number)) settle(*order, given);
  }

  [[nodiscard]] bool wants(std::uint64_t number) const noexcept { return steps_.orders().wants(number); }
  /// Those that `take_orders` will give.
  [[nodiscard]] std::span<const failover_order> fresh_orders() const noexcept { return steps_.orders().fresh(); }
  [[nodiscard]] std::vector<failover_order> take_orders() { return steps_.orders().take(); }
  [[nodiscard]] std::vector<failover_report> take_reports() { return steps_.take_reports(); }

  /// After `advance`: nothing happens before that time, unless an answer or a request comes.
  [[nodiscard]] std::int64_t next_event() const noexcept { return steps_.next_event(); }

  [[nodiscard]] failover_phase phase() const noexcept { return steps_.phase(); }
  [[nodiscard]] std::uint32_t epoch() const noexcept { return steps_.epoch(); }
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
    if (phase() != failover_phase::watching || saving_for_ || members_.find(id) == nullptr) return false;
    members_.remove(id);
    steps_.orders().give_up(id);
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
    if (phase() != failover_phase::choosing || saving_for_) return false;
    loss_accepted_ = true;
    steps_.retry_now();
    return true;
  }

 private:
  using action = failover_action;
  using event = failover_event;

  static constexpr std::int64_t never = failover_steps::never;

  // Whom to promote, or who has been, and what those are told who send clients there.
  struct candidate {
    endpoint_id id{};
    std::optional<std::uint64_t> position{};
    bool planned = false;
  };

  [[nodiscard]] bool idle() const noexcept {
    return phase() == failover_phase::watching && !saving_for_ && !forced_ && !planned_ && !to_resume_ && !superseded_;
  }
  void new_epoch() {
    steps_.begin_epoch();
    loss_accepted_ = false;
    candidate_ = {};
    members_.forget_positions();
  }
  bool order(action what, endpoint_id node, endpoint_id other = {}) {
    failover_order made{.action = what, .node = node, .other = other};
    if (what == action::repoint)
      made.handover = {primary_, old_primary_, epoch(), candidate_.position, candidate_.planned};
    return steps_.order(made);
  }
  // Now, or when it is time to try again. One that cannot be ordered, as the one before still runs, has failed again.
  void repeat(action what, endpoint_id node, endpoint_id other = {}) {
    if (!steps_.pending(what, node) && steps_.retry_due() && !order(what, node, other)) {
      settle({.action = what, .node = node, .other = other}, {});
    }
    steps_.wake_to_retry();
  }

  void act() {
    if (superseded_) return;
    if (saving_for_) return act_saving();
    switch (phase()) {
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
        return repeat(action::promote, candidate_.id);
      case failover_phase::repointing:
        return repeat(action::repoint, primary_);
    }
  }

  // Of an order, or nothing in time.
  void settle(const failover_order& order, const failover_answer& given) {
    const bool done = given.result == failover_result::done;
    steps_.change();
    switch (order.action) {
      case action::probe:
        if (done) last_known_ = std::max(last_known_, given.position);
        return suspicion_.answered(steps_.now(), !done);
      case action::confirm:
        if (done) return begin_failover();
        steps_.report(event::cleared, primary_);
        suspicion_.clear();
        return steps_.enter(failover_phase::watching);
      case action::stop_writes:
        if (!done) return abort();
        steps_.report(event::writes_stopped, primary_);
        goal_.reset();
        members_.forget_positions();
        return steps_.enter(failover_phase::draining);
      case action::resume_writes:
        if (!done) return steps_.try_again();
        to_resume_ = false;
        to_save_ = has_.save;  // only now: until then, whoever took over had to let writes go on
        return steps_.report(event::writes_resumed, primary_);
      case action::drain:
        if (!done) return steps_.try_again();
        steps_.report(event::drained, primary_);
        return drained();
      case action::position:
        return settle_position(order.node, done, given.position);
      case action::save:
        return settle_save(given.result);
      case action::fence:
        steps_.report(done ? event::fenced : event::not_fenced, order.node);
        return done ? fenced() : steps_.try_again();
      case action::promote:
        return settle_promote(done);
      case action::repoint:
        steps_.report(done ? event::repointed : event::not_repointed, primary_);
        if (!done) return steps_.try_again();
        suspicion_.keep_quiet_until(steps_.in(options_.quiet_period));
        return save_and_enter(failover_phase::watching);
      case action::follow:
        return settle_follow(order.node, done);
    }
  }

  // The record, before a phase is entered.

  // Keeps the record, then goes on to `next`. Without the action at once.
  void save_and_enter(failover_phase next) {
    if (!has_.save) return steps_.enter(to_resume_ ? failover_phase::watching : next);
    saving_for_ = next;
    steps_.begin();
  }
  void act_saving() {
    if (!saving_for_) return;
    const failover_phase next = *saving_for_;
    // Once the record of fencing may have been kept, there is no way back either: another may go on from it.
    if (planned_ && next == failover_phase::stopping && out_of_time()) {
      saving_for_.reset();
      return;
    }
    if (!steps_.pending(action::save, primary_) && steps_.retry_due() && !order_save(next)) steps_.try_again();
    steps_.wake_to_retry();
  }

  void settle_save(failover_result result) {
    if (result == failover_result::refused) {
      steps_.report(event::superseded, primary_);
      superseded_ = true;
      saving_for_.reset();
      return steps_.enter(failover_phase::watching);
    }
    if (result == failover_result::failed) {
      steps_.report_once(event::not_saved, primary_);
      save_at_ = steps_.in(options_.retry_interval);
      if (saving_for_) steps_.try_again();
      return;
    }
    if (!journal_.written()) return;
    to_save_ = false;
    // With writes to be let go on: they are not to be stopped once more. That the record is this process's own comes
    // first, so that none of an earlier process can say any more that a replica has all that was written.
    if (const auto next = std::exchange(saving_for_, std::nullopt))
      steps_.enter(to_resume_ ? failover_phase::watching : *next);
  }

  bool order_save(failover_phase next) { return journal_.write(steps_, primary_, record_before(next)); }
  [[nodiscard]] failover_record record_before(failover_phase next) const {
    using enum failover_phase;
    failover_record record{epoch(), next, primary_, {}, next <= stopping && members_.all_follow()};
    if (next == fencing) record.primary = fence_target_;
    if (next == repointing) record.primary = old_primary_;
    if (next == fencing || next == promoting || next == repointing) record.candidate = candidate_.id;
    return record;
  }

  // Watching, and the duties besides.

  void act_watching() {
    if (planned_) return begin_switchover();
    if (forced_) return begin_failover();
    if (suspicion_.due(steps_, primary_, !members_.all().empty()))
      return has_.confirm ? steps_.enter(failover_phase::confirming) : begin_failover();
    suspicion_.probe(steps_, primary_);
    if (to_resume_) repeat(action::resume_writes, primary_);
    save_what_is_settled();
    make_follow();
  }
  void save_what_is_settled() {
    if (!to_save_ || steps_.pending(action::save, primary_)) return;
    if (steps_.now() >= save_at_ && !order_save(failover_phase::watching))
      save_at_ = steps_.in(options_.retry_interval);
    steps_.wake_after_now(save_at_);
  }
  void make_follow() {
    for (failover_member& each : members_.all()) {
      if (!each.to_follow || steps_.pending(action::follow, each.id)) continue;
      const bool due = steps_.now() >= each.follow_at;
      if (due && order(action::follow, each.id, primary_)) continue;
      if (due) each.follow_at = steps_.in(options_.retry_interval);
      steps_.wake_at(each.follow_at);
    }
  }

  void settle_follow(endpoint_id node, bool done) {
    failover_member* const one = members_.find(node);
    if (one == nullptr) return;
    steps_.report(done ? event::follows : event::does_not_follow, node);
    one->to_follow = !done;
    one->follow_at = steps_.in(options_.retry_interval);
    if (!members_.all_follow()) return;
    to_save_ = has_.save;
    steps_.report(event::finished, primary_);
  }

  // A planned switchover, until there is no way back.

  void begin_switchover() {
    steps_.report(event::switch_started, primary_);
    deadline_ = steps_.in(options_.switchover_timeout);
    to_save_ = false;
    new_epoch();
    save_and_enter(failover_phase::stopping);
  }
  bool out_of_time() {
    steps_.wake_at(deadline_);
    if (steps_.now() < deadline_) return false;
    abort();
    return true;
  }
  void abort() {
    steps_.report(event::aborted, primary_);
    planned_ = false;
    to_resume_ = true;
    new_epoch();  // so that an order to stop writes that comes late is refused
    suspicion_.clear();
    steps_.enter(failover_phase::watching);
  }
  // The primary's position first: it is final, as no writes are under way. Then whoever is to take over must reach it.
  void act_catching_up() {
    if (out_of_time()) return;
    if (!goal_) return repeat(action::position, primary_);
    const auto busy = [this](endpoint_id id) { return steps_.orders().busy(id); };
    const failover_member* const one = members_.caught_up(*goal_, switch_to_, busy);
    if (one != nullptr && one->position) {
      const std::uint64_t reached = one->position->position;
      const candidate chosen{one->id, reached, true};
      steps_.report(event::caught_up, chosen.id, reached);
      fence_target_ = primary_;
      new_epoch();
      candidate_ = chosen;
      return save_and_enter(failover_phase::fencing);
    }
    if (steps_.retry_due()) {
      // Often: writes stand still meanwhile.
      steps_.retry_in(
          std::max<std::chrono::nanoseconds>(options_.retry_interval / 100, std::chrono::microseconds{100}));
      for (const failover_member& each : members_.all()) {
        if (!switch_to_ || each.id == switch_to_) order(action::position, each.id);
      }
    }
    steps_.wake_to_retry();
  }
  void settle_position(endpoint_id node, bool done, const failover_position& position) {
    if (node == primary_) {  // planned
      if (!done) return steps_.try_again();
      goal_ = position;
      steps_.retry_now();
    } else if (failover_member* const one = members_.find(node); one != nullptr && done) {
      one->position = position;
    }
  }

  // Another primary.

  void begin_failover() {
    forced_ = planned_ = to_resume_ = to_save_ = false;
    suspicion_.report_anew();
    fence_target_ = primary_;
    new_epoch();
    steps_.report(event::started, primary_);
    save_and_enter(failover_phase::fencing);
  }

  void act_draining() {
    if (planned_ && out_of_time()) return;
    const std::int64_t until = planned_ ? deadline_ : steps_.since(options_.drain_patience);
    if (!has_.drain || steps_.now() >= until) {
      if (has_.drain) steps_.report(event::not_drained, primary_);
      return drained();
    }
    repeat(action::drain, primary_);
    steps_.wake_at(until);
  }
  void drained() { steps_.enter(planned_ ? failover_phase::catching_up : failover_phase::choosing); }

  void act_fencing() {
    if (options_.fence_patience.count() > 0) {
      const std::int64_t until = steps_.since(options_.fence_patience);
      if (steps_.now() >= until) {
        steps_.report(event::fence_given_up, fence_target_);
        return fenced();
      }
      steps_.wake_at(until);
    }
    repeat(action::fence, fence_target_);
  }
  void fenced() {
    if (candidate_.id) return save_and_enter(failover_phase::promoting);  // planned
    steps_.enter(fence_target_ == primary_ ? failover_phase::draining : failover_phase::choosing);
  }

  void act_choosing() {
    if (steps_.retry_due()) {
      steps_.try_again();
      for (const failover_member& each : members_.all()) order(action::position, each.id);
    }
    choose();
    if (phase() == failover_phase::choosing && !saving_for_) steps_.wake_to_retry();
  }
  void choose() {
    const std::int64_t until = steps_.since(options_.choose_patience);
    const auto made = members_.choose({.acknowledgements = loss_accepted_ ? 0 : options_.acknowledgements,
                                       .last_known = last_known_,
                                       .max_loss = options_.max_loss,
                                       .patient = steps_.now() < until,
                                       .any = loss_accepted_},
                                      [this](endpoint_id id) { return steps_.orders().busy(id); });
    if (made.best) {
      candidate_ = {made.best, made.position.position};
      steps_.report(event::chosen, made.best, made.position.position);
      return save_and_enter(failover_phase::promoting);
    }
    if (made.worth_waiting) {
      steps_.wake_at(until);
    } else if (steps_.orders().next_deadline() == never) {
      steps_.report_once(event::waiting, {}, made.position.position);
    }
  }

  void settle_promote(bool done) {
    if (done) {
      steps_.report(event::promoted, candidate_.id);
      take_over(candidate_.id);
      return save_and_enter(failover_phase::repointing);
    }
    steps_.report(event::not_promoted, candidate_.id);
    if (steps_.count_failure() < options_.promote_attempts) return steps_.try_again();
    // It may have become the primary after all, so it is fenced before another one does.
    steps_.report(event::candidate_failed, candidate_.id);
    if (failover_member* const one = members_.find(candidate_.id)) ++one->failures;
    planned_ = false;
    fence_target_ = candidate_.id;
    new_epoch();
    save_and_enter(failover_phase::fencing);
  }
  void take_over(endpoint_id id) {
    old_primary_ = std::exchange(primary_, id);
    members_.replace(id, old_primary_);
    planned_ = forced_ = false;
    switch_to_ = {};
    last_known_ = {};
    suspicion_.clear_and_probe_at_once();
  }

  const failover_options options_;
  const abilities has_;
  failover_steps steps_;
  failover_journal journal_;
  failover_members members_;
  failover_suspicion suspicion_;

  endpoint_id primary_;      // the old one, until another has been promoted
  endpoint_id old_primary_;  // of the last promotion
  candidate candidate_;
  endpoint_id fence_target_;
  std::optional<failover_phase> saving_for_;  // entered once the record is kept
  bool forced_ = false;
  bool loss_accepted_ = false;
  bool superseded_ = false;

  // While watching.
  bool to_resume_ = false;
  bool to_save_ = false;
  failover_position last_known_{};
  std::int64_t save_at_ = failover_steps::before_time;

  // Of a planned switchover.
  bool planned_ = false;
  endpoint_id switch_to_;  // none: whoever catches up first
  std::optional<failover_position> goal_;
  std::int64_t deadline_ = never;
};

}  // namespace banyan::detail
