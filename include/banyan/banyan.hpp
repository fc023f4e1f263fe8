#pragma once

/// \file
/// The whole library but the adapters to third parties' clients.

#include <banyan/balance.hpp>
#include <banyan/cache.hpp>
#include <banyan/cluster.hpp>
#include <banyan/core.hpp>
#include <banyan/hashing.hpp>
#include <banyan/limit.hpp>
#include <banyan/pool.hpp>
#include <banyan/replica.hpp>
#include <banyan/shard.hpp>
#include <banyan/version.hpp>
