#pragma once

#include <banyan/cluster/endpoint_options.hpp>

namespace banyan {

/// An endpoint to be: what `cluster::replace` takes.
template <class T>
struct endpoint_description {
  T value;
  endpoint_options options{};
};

}  // namespace banyan
