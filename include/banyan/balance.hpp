#pragma once

/// Which endpoint takes this request: balancers, and policies for them.

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/balancer.hpp>
#include <banyan/balance/balancer_options.hpp>
#include <banyan/balance/key_affinity.hpp>
#include <banyan/balance/least_connections.hpp>
#include <banyan/balance/maglev_affinity.hpp>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/balance/power_of_two.hpp>
#include <banyan/balance/random_choice.hpp>
#include <banyan/balance/rendezvous_affinity.hpp>
#include <banyan/balance/ring_affinity.hpp>
#include <banyan/balance/round_robin.hpp>
#include <banyan/balance/smooth_weighted_round_robin.hpp>
#include <banyan/balance/sticky.hpp>
#include <banyan/cluster.hpp>
#include <banyan/hashing/hash_of.hpp>
