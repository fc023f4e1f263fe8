#pragma once

/// \file
/// The whole library but the adapters to third parties' clients.

#include <banyan/cache.hpp>
#include <banyan/core.hpp>
#include <banyan/hashing.hpp>
#include <banyan/version.hpp>
