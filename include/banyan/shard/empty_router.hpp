#pragma once

#include <cstdint>
#include <span>

#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Makes nobody responsible for any key: the fallback of a directory that is to know every key itself. Wait-free, O(1).
class empty_router {
 public:
  template <class Key>
  [[nodiscard]] shard_id route(const Key&) const noexcept {
    return no_shard;
  }
  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return {}; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] empty_router with_version(std::uint64_t version) const noexcept {
    empty_router copy;
    copy.version_ = version;
    return copy;
  }

 private:
  std::uint64_t version_ = 1;
};

}  // namespace banyan
