#pragma once

/// \file
/// Now, later, or no: rate limiters, circuit breaker, retry budget, backoff.

#include <banyan/limit/rate_decision.hpp>
#include <banyan/limit/token_bucket.hpp>
#include <banyan/limit/token_bucket_options.hpp>
