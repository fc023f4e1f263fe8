#pragma once

/// \file
/// The room `pool`: connections and other things that are lent and come back.

#include <banyan/pool/acquire_awaiter.hpp>
#include <banyan/pool/connection_pool.hpp>
#include <banyan/pool/lease.hpp>
#include <banyan/pool/object_pool.hpp>
#include <banyan/pool/pool_error.hpp>
#include <banyan/pool/pool_options.hpp>
#include <banyan/pool/pool_size_for.hpp>
#include <banyan/pool/pool_stats.hpp>
