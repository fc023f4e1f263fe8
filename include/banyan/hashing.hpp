#pragma once

/// \file
/// The hashing room: which of several nodes a key belongs to.

#include <banyan/hashing/maglev_placement.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>
#include <banyan/hashing/ring_placement.hpp>
#include <banyan/hashing/weighted_hash.hpp>
