#pragma once

/// Who is there and who is fit: endpoints with weight, zone, priority, health and counts; health checks and ejection.

#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/cluster_options.hpp>
#include <banyan/cluster/ejection_limit.hpp>
#include <banyan/cluster/endpoint_description.hpp>
#include <banyan/cluster/endpoint_handle.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/endpoint_options.hpp>
#include <banyan/cluster/endpoint_stats.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/cluster/health_checker.hpp>
#include <banyan/cluster/health_checker_options.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/cluster/health_probe.hpp>
#include <banyan/cluster/outlier_detector.hpp>
#include <banyan/cluster/outlier_detector_options.hpp>
#include <banyan/cluster/outlier_detector_stats.hpp>
#include <banyan/cluster/pick_token.hpp>
#include <banyan/cluster/priority_load.hpp>
#include <banyan/cluster/probe_history.hpp>
#include <banyan/cluster/slow_start.hpp>
#include <banyan/cluster/subset.hpp>
#include <banyan/cluster/success_rate_outliers.hpp>
#include <banyan/cluster/zone_routing.hpp>
