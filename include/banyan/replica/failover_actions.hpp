#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan {

/// What a `failover` has done by its user. Each may throw, which is a failure, may take long, and is repeated until it
/// has succeeded: also after it has done its work and nobody heard of it. So each must be idempotent: "be stopped", not
/// "stop". They run on the failover's executor, several at once for different nodes. A node is the `endpoint_id` of a
/// replica set, or any number.
///
/// The epoch says in whose name: a node that has done something for a later epoch must refuse an earlier one.
struct failover_actions {
  /// How far the primary is; nothing, or an exception, when it does not work as one. Required.
  std::function<std::optional<failover_position>(endpoint_id primary)> probe{};
  /// Whether others, such as its replicas, see that it is down as well. Optional: without it, probes alone decide.
  std::function<bool(endpoint_id primary)> confirm{};
  /// Makes sure that the node takes no writes any more, now and after a restart: stops its process or machine, takes
  /// its address or its lease away. True only when that is certain. Required.
  std::function<bool(endpoint_id node, std::uint32_t epoch)> fence{};
  /// How far a replica's copy of the log goes, received rather than applied; in a switchover also the primary's. It
  /// must not grow any more by what a fenced primary still had under way. Without histories, a node that is not known
  /// to follow the present primary is no candidate: its log may have parted. Required.
  std::function<std::optional<failover_position>(endpoint_id node)> position{};
  /// Makes a replica the primary; true when it is, and has applied all that it had received. Required.
  std::function<bool(endpoint_id replica, std::uint32_t epoch)> promote{};
  /// Sends clients to the new primary: `replica_set::promote`, an address, a record. Required.
  std::function<bool(const failover_handover& to)> repoint{};
  /// Makes a node a replica of the primary, whatever it was: of another, a primary that comes back with writes that
  /// nobody else has. Required.
  std::function<bool(endpoint_id node, endpoint_id primary, std::uint32_t epoch)> follow{};
  /// For planned switchovers, both or none. After `stop_writes` no new write begins at the primary.
  std::function<bool(endpoint_id primary, std::uint32_t epoch)> stop_writes{};
  std::function<bool(endpoint_id primary, std::uint32_t epoch)> resume_writes{};
  /// Whether nothing is under way at the old primary any more; asked again until it is so. Optional.
  std::function<bool(endpoint_id before)> drain{};
  /// Keeps the record where a later process finds it: compares and sets. True when what was kept is `before` (or
  /// nothing, the first time) or already `record`, and `record` is kept now. False otherwise: another one is in charge.
  /// Optional: without it, a failover does not survive its process, and nothing keeps two of its kind apart.
  std::function<bool(const failover_record& record, const failover_record& before)> save{};
};

}  // namespace banyan
