#pragma once

/// Who is there: endpoints with weight, zone, priority, health and counts.

#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/cluster_options.hpp>
#include <banyan/cluster/endpoint_description.hpp>
#include <banyan/cluster/endpoint_handle.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/endpoint_options.hpp>
#include <banyan/cluster/endpoint_stats.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/cluster/pick_token.hpp>
#include <banyan/cluster/priority_load.hpp>
#include <banyan/cluster/slow_start.hpp>
#include <banyan/cluster/subset.hpp>
#include <banyan/cluster/zone_routing.hpp>
