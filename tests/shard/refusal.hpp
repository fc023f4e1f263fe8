#pragma once

#include <vector>

#include <banyan/shard/shard_id.hpp>

#include "support/refused_field.hpp"

namespace banyan::testing {

using ids = std::vector<banyan::shard_id>;

template <class Router>
ids shards_of(const Router& router) {
  return ids(router.shards().begin(), router.shards().end());
}

}  // namespace banyan::testing
