#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include <banyan/core/expected.hpp>
#include <banyan/shard/reshard_error.hpp>
#include <banyan/shard/reshard_record.hpp>
#include <banyan/shard/reshard_store.hpp>

namespace banyan::detail {

/// Who comes second so many times in a row gives up.
inline constexpr int reshard_attempts = 100;

struct brought_up {
  std::uint64_t version;  // there now
  bool stored;            // by us
};

/// Sees to it that the target has the record or a newer one, and says which version it has then. `guess` is the version
/// it probably has now; if so, this takes one call. Each further attempt means that somebody raised the version.
template <reshard_store Store>
expected<brought_up, reshard_error<typename Store::error_type>> bring_up_to(
    Store& target, const typename Store::key_type& key, std::uint64_t guess,
    const reshard_record<typename Store::value_type>& record) {
  using error = reshard_error<typename Store::error_type>;
  for (int attempt = 0; attempt < reshard_attempts; ++attempt) {
    auto stored = target.put_if(key, guess, record);
    if (!stored) return unexpected<error>{error{reshard_fault::target_failed, std::move(stored).error()}};
    if (*stored) return brought_up{record.version, true};
    auto there = target.read(key);
    if (!there) return unexpected<error>{error{reshard_fault::target_failed, std::move(there).error()}};
    if (there->version >= record.version) return brought_up{there->version, false};
    guess = there->version;
  }
  return unexpected<error>{error{reshard_fault::contended, std::nullopt}};
}

}  // namespace banyan::detail
