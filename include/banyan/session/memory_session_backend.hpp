#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <banyan/cache/lru_cache.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/session/detail/session_id_hash.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan {

struct memory_session_backend_options {
  /// So many sessions at most; then the least recently used leaves, and its user is logged out. From 1 to 2^27.
  std::size_t capacity = 100'000;
};

/// Sessions in this process, for tests and for services of one process: they die with it. A `session_backend`.
///
/// Sessions whose time has passed are not given out, and leave by `purge` or when there is no room. Thread-safe, and
/// lock-free but for the system's allocator; O(1) apart from `purge`. Throws `std::bad_alloc`.
class memory_session_backend {
 public:
  static constexpr bool never_away = true;

  /// Throws `std::invalid_argument`, `std::bad_alloc`.
  explicit memory_session_backend(memory_session_backend_options options = {})
      : entries_{{.capacity = checked(options).capacity}} {}

  [[nodiscard]] expected<session_record, session_errc> get(const session_id& id, session_time now) {
    expected<session_record, session_errc> found{std::in_place};
    bool there = false;
    entries_.visit(id, [&](const entry& kept) {
      there = kept.expires > now;
      if (there) kept.read(*found);
    });
    if (!there) found = unexpected{session_errc::not_found};
    return found;
  }

  expected<void, session_errc> put(const session_id& id, const session_record& record, std::uint64_t expected_version,
                                   session_time now) {
    return change(id, expected_version, now, [&](const entry* old) {
      std::optional<entry> next{record};
      if (old != nullptr && record.state == session_state::live) next->expires = std::max(old->expires, record.expires);
      return next;
    });
  }

  expected<void, session_errc> touch(const session_id& id, std::uint64_t version, session_time expires,
                                     session_time now) {
    if (version == 0) return unexpected{session_errc::not_found};
    return change(id, version, now, [&](const entry* old) {
      std::optional<entry> next{*old};
      next->expires = std::max(old->expires, expires);
      return next;
    });
  }

  expected<void, session_errc> erase(const session_id& id, std::uint64_t version, session_time now) {
    if (version == 0) return unexpected{session_errc::not_found};
    return change(id, version, now, [](const entry*) { return std::optional<entry>{}; });
  }

  /// Removes the sessions whose time has passed; returns how many. O(capacity).
  std::size_t purge(session_time now) {
    return entries_.erase_if([now](const session_id&, const entry& each) { return each.expires <= now; });
  }

  /// Those included whose time has passed. Wait-free.
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  // A record whose data are not copied with it.
  struct entry {
    explicit entry(const session_record& of)
        : data{std::make_shared_for_overwrite<char[]>(of.data.size())},
          size{of.data.size()},
          version{of.version},
          created{of.created},
          expires{of.expires},
          state{of.state} {
      of.data.copy(data.get(), size);
    }
    void read(session_record& to) const {
      to.data = std::string(data.get(), size);
      to.version = version;
      to.created = created;
      to.expires = expires;
      to.state = state;
    }

    std::shared_ptr<char[]> data;
    std::size_t size;
    std::uint64_t version;
    session_time created;
    session_time expires;
    session_state state;
  };

  static const memory_session_backend_options& checked(const memory_session_backend_options& options) {
    if (options.capacity < 1 || options.capacity > std::size_t{1} << 27) {
      invalid_option("memory_session_backend_options.capacity", options.capacity, "must be from 1 to 2^27");
    }
    return options;
  }

  // `f(old)` is what takes its place; `old` is null if there is none, or none whose time has not passed.
  template <class F>
  expected<void, session_errc> change(const session_id& id, std::uint64_t version, session_time now, F f) {
    std::optional<session_errc> refused;
    entries_.compute(id, [&](const entry* old) -> std::optional<entry> {
      const entry* const there = old != nullptr && old->expires > now ? old : nullptr;
      refused.reset();
      if ((there == nullptr ? 0 : there->version) == version) return f(there);
      refused = there == nullptr ? session_errc::not_found : session_errc::conflict;
      if (old == nullptr) return std::nullopt;
      return *old;
    });
    if (refused) return unexpected{*refused};
    return {};
  }

  lru_cache<session_id, entry, detail::session_id_hash> entries_;
};

}  // namespace banyan
