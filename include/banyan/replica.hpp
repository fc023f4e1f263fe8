#pragma once

/// Reads from replicas that are fresh enough, and writes to the primary.

#include <banyan/balance.hpp>
#include <banyan/cluster.hpp>
#include <banyan/replica/consistency_level.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/consistency_token_text.hpp>
#include <banyan/replica/read_options.hpp>
#include <banyan/replica/read_outcome.hpp>
#include <banyan/replica/replica_pick.hpp>
#include <banyan/replica/replica_promotion.hpp>
#include <banyan/replica/replica_report.hpp>
#include <banyan/replica/replica_set.hpp>
#include <banyan/replica/replica_set_options.hpp>
#include <banyan/replica/replica_status.hpp>
#include <banyan/replica/staleness.hpp>
