#pragma once

/// Which endpoint takes this request.

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/balancer.hpp>
#include <banyan/balance/balancer_options.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster.hpp>
#include <banyan/hashing/hash_of.hpp>
