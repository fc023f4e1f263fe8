#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include <banyan/cluster/endpoint_id.hpp>

namespace banyan {

/// How far a node's log goes. Logs part when a primary is replaced that had more than its successor; so positions count
/// only within one history: the number of the branch that the log ends in, such as PostgreSQL's timeline, or the epoch
/// of the primary that wrote its end. The later history goes further. 0: not known.
struct failover_position {
  constexpr failover_position() noexcept = default;
  constexpr explicit(false) failover_position(std::uint64_t at, std::uint32_t in_history = 0) noexcept
      : history{in_history}, position{at} {}

  std::uint32_t history = 0;
  std::uint64_t position = 0;
  friend constexpr auto operator<=>(const failover_position&, const failover_position&) noexcept = default;
};

/// Where a failover stands. See `failover`.
enum class failover_phase : std::uint8_t {
  watching,     ///< probes the primary; makes the others its replicas
  confirming,   ///< asks others whether the primary is down
  stopping,     ///< planned: stops writes
  draining,     ///< waits for what is under way at the old primary
  catching_up,  ///< planned: waits for a replica that has all that was written
  fencing,      ///< makes sure that the old primary takes no more writes: from here there is no way back
  choosing,     ///< asks the replicas how far they are
  promoting,    ///< makes the candidate the primary
  repointing,   ///< sends clients there
};

/// What has happened in a failover.
enum class failover_event : std::uint8_t {
  suspected,         ///< enough probes of the primary (`node`) have failed
  cleared,           ///< it was not confirmed that it is down
  held_back,         ///< a failover is due, but the last was too short a while ago
  started,           ///< of a failover; its epoch is the new one
  switch_started,    ///< of a planned switchover
  writes_stopped,    ///< at the primary
  drained,           ///< nothing is under way at the old primary
  not_drained,       ///< something is, perhaps, and waits no longer
  caught_up,         ///< `node` has all that was written, up to `position`
  aborted,           ///< the switchover; writes are let go on
  writes_resumed,    ///< after that
  not_saved,         ///< the record could not be kept: nothing happens until it is
  superseded,        ///< keeping the record was refused: another one is in charge; this one only watches
  fenced,            ///< the old primary, or a candidate that could not be promoted
  not_fenced,        ///< an attempt failed; it is tried again
  fence_given_up,    ///< goes on without
  waiting,           ///< too few replicas have answered, or none has enough; it is asked again
  chosen,            ///< `node`, at `position`
  not_promoted,      ///< an attempt failed; it is tried again
  candidate_failed,  ///< all attempts did
  promoted,          ///< `node` is the primary
  repointed,         ///< clients go there
  not_repointed,     ///< an attempt failed; it is tried again
  follows,           ///< `node` is a replica of the primary
  does_not_follow,   ///< an attempt failed; it is tried again
  finished,          ///< all are replicas of the new primary
};

/// One thing that has happened, for logs and alarms.
struct failover_report {
  failover_event event{};
  endpoint_id node{};          ///< whom it is about
  std::uint32_t epoch = 0;     ///< the present one
  std::uint64_t position = 0;  ///< where one belongs to it
};

/// A new primary, for those who send clients there.
struct failover_handover {
  endpoint_id primary{};
  endpoint_id before{};     ///< the primary until now
  std::uint32_t epoch = 0;  ///< the new one
  /// How far its log went when it was chosen; what the old primary had beyond that is lost. None: not known, when it
  /// was chosen by an earlier process.
  std::optional<std::uint64_t> position{};
  bool planned = false;  ///< nothing is lost, and no replica has more than it
};

/// What has to outlive the process that runs a failover, so that another can go on. See `failover_actions::save`.
struct failover_record {
  std::uint32_t epoch = 1;                          ///< of the primary; grows with each failover
  failover_phase phase = failover_phase::watching;  ///< watching, stopping, fencing, promoting or repointing
  endpoint_id primary{};                            ///< watching, stopping; else the old one, to be fenced
  endpoint_id candidate{};                          ///< in promoting and repointing; in fencing, when planned
  bool settled = true;                              ///< all others are replicas of the primary; else they are made so
  friend bool operator==(const failover_record&, const failover_record&) = default;
};

[[nodiscard]] constexpr std::string_view to_string(failover_event event) noexcept {
  constexpr std::string_view names[] = {
      "suspected",   "cleared",        "held_back", "started",         "switch_started", "writes_stopped",   "drained",
      "not_drained", "caught_up",      "aborted",   "writes_resumed",  "not_saved",      "superseded",       "fenced",
      "not_fenced",  "fence_given_up", "waiting",   "chosen",          "not_promoted",   "candidate_failed", "promoted",
      "repointed",   "not_repointed",  "follows",   "does_not_follow", "finished"};
  const auto at = static_cast<std::size_t>(event);
  return at < std::size(names) ? names[at] : "unknown";
}

}  // namespace banyan
