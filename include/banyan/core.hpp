#pragma once

/// The ground floor: what every other room stands on.

#include <banyan/core/cache_line.hpp>
#include <banyan/core/cancellation.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/duration_histogram.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/hash.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/hazard_slots.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/core/process_seed.hpp>
#include <banyan/core/published.hpp>
#include <banyan/core/random.hpp>
#include <banyan/core/single_flight.hpp>
#include <banyan/core/striped_counter.hpp>
#include <banyan/core/zeroed_array.hpp>
