#pragma once

#include <concepts>
#include <cstdint>

#include <banyan/core/expected.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan {

/// Where sessions are kept. Each call is atomic for its id and judges expiry by the `now` it is given: a record is
/// there while `now` is before its `expires`. It answers `unavailable` when it cannot tell, or throws, which counts as
/// that.
///
/// * `get(id, now)`: the record; `not_found`.
/// * `put(id, record, expected, now)`: keeps the record in place of the one whose version is `expected`; `conflict` if
///   that is another, `not_found` if there is none. `expected` 0: only if there is none, else `conflict`. A live record
///   keeps the later of the two times of expiry, so that a clock that is behind takes nothing away; a moved one is kept
///   as it is. `full` when there is no room.
/// * `touch(id, version, expires, now)`: moves the expiry of the record of that version forward, never back; `conflict`
///   if it is another version, `not_found`.
/// * `erase(id, version, now)`: removes the record of that version; `conflict`, `not_found`.
///
/// Used by many threads at once. The data of a record are any bytes, zero included.
///
/// A backend that is always there, in this process, says `static constexpr bool never_away = true`: it is asked without
/// a breaker, and nothing is kept beside it.
template <class Backend>
concept session_backend = requires(Backend& backend, const session_id& id, const session_record& record,
                                   std::uint64_t version, session_time time) {
  { backend.get(id, time) } -> std::same_as<expected<session_record, session_errc>>;
  { backend.put(id, record, version, time) } -> std::same_as<expected<void, session_errc>>;
  { backend.touch(id, version, time, time) } -> std::same_as<expected<void, session_errc>>;
  { backend.erase(id, version, time) } -> std::same_as<expected<void, session_errc>>;
};

namespace detail {

template <class Backend>
inline constexpr bool never_away = false;
template <class Backend>
requires(Backend::never_away) inline constexpr bool never_away<Backend> = true;

}  // namespace detail

}  // namespace banyan
