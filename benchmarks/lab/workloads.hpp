#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "trace.hpp"

namespace banyan::lab {

/// Names of the built-in workloads: zipf, scan, loop, drift, bursts.
std::span<const std::string_view> workload_names() noexcept;

/// Generates a built-in workload of `requests` requests. The same name, length and seed give the same trace on every
/// platform. Throws `bad_input` for an unknown name.
///
/// * zipf: 50,000 keys, popularity falls as 1 / rank^0.99.
/// * scan: the same over 20,000 keys, interrupted by walks through 10,000 other keys, each as long as a tenth of all.
/// * loop: 10,000 keys in the same order over and over.
/// * drift: nine requests in ten go to 1,000 hot keys; the hot window moves on by one key every 40 requests.
/// * bursts: half the requests are zipf over 20,000 keys; the others are new keys, each asked for three times within
///   some hundred requests and never again.
trace generate_workload(std::string_view name, std::uint32_t requests, std::uint64_t seed);

}  // namespace banyan::lab
