#pragma once

/// \file
/// Reads from replicas that are fresh enough, writes to the primary, and a new primary when it is gone; several
/// primaries, and what to do about their conflicts.

#include <banyan/balance.hpp>
#include <banyan/cluster.hpp>
#include <banyan/replica/consistency_level.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/consistency_token_text.hpp>
#include <banyan/replica/failover.hpp>
#include <banyan/replica/failover_actions.hpp>
#include <banyan/replica/failover_options.hpp>
#include <banyan/replica/failover_report.hpp>
#include <banyan/replica/hedged_read.hpp>
#include <banyan/replica/hedged_read_failure.hpp>
#include <banyan/replica/hybrid_clock.hpp>
#include <banyan/replica/hybrid_time.hpp>
#include <banyan/replica/lag_monitor.hpp>
#include <banyan/replica/lag_monitor_options.hpp>
#include <banyan/replica/lag_probe.hpp>
#include <banyan/replica/last_writer_wins.hpp>
#include <banyan/replica/position_outcome.hpp>
#include <banyan/replica/primary_group.hpp>
#include <banyan/replica/primary_group_options.hpp>
#include <banyan/replica/primary_outcome.hpp>
#include <banyan/replica/primary_pick.hpp>
#include <banyan/replica/quorum.hpp>
#include <banyan/replica/read_model.hpp>
#include <banyan/replica/read_options.hpp>
#include <banyan/replica/read_outcome.hpp>
#include <banyan/replica/read_quorum_size.hpp>
#include <banyan/replica/replica_pick.hpp>
#include <banyan/replica/replica_promotion.hpp>
#include <banyan/replica/replica_report.hpp>
#include <banyan/replica/replica_set.hpp>
#include <banyan/replica/replica_set_options.hpp>
#include <banyan/replica/replica_status.hpp>
#include <banyan/replica/staleness.hpp>
#include <banyan/replica/version_vector.hpp>
#include <banyan/replica/versioned_value.hpp>
