#pragma once

/// \file
/// Now, later, or no: rate limiters, concurrency limiters, circuit breaker, retry budgets, backoff.

#include <banyan/limit/aimd.hpp>
#include <banyan/limit/backoff.hpp>
#include <banyan/limit/circuit_breaker.hpp>
#include <banyan/limit/circuit_breaker_options.hpp>
#include <banyan/limit/concurrency_limiter.hpp>
#include <banyan/limit/concurrency_limiter_options.hpp>
#include <banyan/limit/concurrency_permit.hpp>
#include <banyan/limit/concurrency_stats.hpp>
#include <banyan/limit/fixed.hpp>
#include <banyan/limit/fixed_window.hpp>
#include <banyan/limit/gradient2.hpp>
#include <banyan/limit/hierarchical.hpp>
#include <banyan/limit/ipv6_prefix.hpp>
#include <banyan/limit/keyed_limiter.hpp>
#include <banyan/limit/leaky_bucket.hpp>
#include <banyan/limit/limit_policy.hpp>
#include <banyan/limit/limit_refusal.hpp>
#include <banyan/limit/priority.hpp>
#include <banyan/limit/rate_decision.hpp>
#include <banyan/limit/retry_budget.hpp>
#include <banyan/limit/retry_throttle.hpp>
#include <banyan/limit/sharded_token_bucket.hpp>
#include <banyan/limit/sliding_window_counter.hpp>
#include <banyan/limit/sliding_window_log.hpp>
#include <banyan/limit/token_bucket.hpp>
#include <banyan/limit/token_bucket_options.hpp>
#include <banyan/limit/vegas.hpp>
