#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <banyan/cache/lru_cache.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/session/detail/session_id_hash.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan::detail {

/// What one process has seen of its sessions, for the time when their backend is away. Of what threads bring at the
/// same time the newest version stays; what was buried never comes back. Lock-free.
class recent_sessions {
 public:
  recent_sessions(std::size_t capacity, std::chrono::milliseconds stale_for)
      : stale_for_{stale_for}, seen_{{.capacity = capacity}} {}

  /// When the backend was asked for it: by the caller's clock, and by one that is never set.
  struct moment {
    session_time wall{};
    std::chrono::nanoseconds steady{};
  };

  void remember(const session_id& id, const session_record& record, moment asked) {
    seen_.compute(id, [&](const sighting* old) -> std::optional<sighting> {
      if (old == nullptr || old->record.version < record.version) return sighting{record, asked};
      sighting same = *old;
      if (same.record.version == record.version) same.confirm(record.expires, asked);
      return same;
    });
  }

  /// The backend had it in that version still, and moved its expiry.
  void touched(const session_id& id, std::uint64_t version, session_time expires, moment asked) {
    seen_.compute(id, [&](const sighting* old) -> std::optional<sighting> {
      if (old == nullptr) return std::nullopt;
      sighting same = *old;
      if (same.record.version == version) same.confirm(expires, asked);
      return same;
    });
  }

  /// It is destroyed, whatever threads that looked before may still bring.
  void bury(const session_id& id) { seen_.put(id, burial()); }

  /// The backend no longer has it. A copy that has not expired is of a session that was destroyed, and is buried; what
  /// is buried or moved stays so, as threads that looked before may be under way still.
  void forget(const session_id& id, session_time now) {
    seen_.compute(id, [now](const sighting* old) -> std::optional<sighting> {
      if (old == nullptr) return std::nullopt;
      if (old->record.state != session_state::live) return *old;
      if (old->record.expires <= now) return std::nullopt;
      return burial();
    });
  }

  /// A newer copy could not be kept.
  void drop(const session_id& id) {
    seen_.compute(id, [](const sighting* old) -> std::optional<sighting> {
      if (old == nullptr || old->record.state == session_state::live) return std::nullopt;
      return *old;
    });
  }

  /// Whatever was seen last, however long ago. `unavailable` when nothing was.
  [[nodiscard]] expected<session_record, session_errc> last(const session_id& id) {
    std::optional<sighting> found = seen_.get(id);
    if (!found) return unexpected{session_errc::unavailable};
    return std::move(found->record);
  }

  /// `unavailable` when it was not seen, or too long ago. The steady clock tells how long, whatever becomes of the
  /// other; which counts as well, since the steady one may stand still while the machine sleeps. A live
  /// record is given out when its time is over as well: others may have prolonged it.
  [[nodiscard]] expected<session_record, session_errc> get(const session_id& id, moment now) {
    std::optional<sighting> found = seen_.get(id);
    if (!found) return unexpected{session_errc::unavailable};
    if (leads_nowhere(found->record)) return unexpected{session_errc::not_found};
    if (now.steady - found->asked.steady > stale_for_ || now.wall - found->asked.wall > stale_for_)
      return unexpected{session_errc::unavailable};
    if (found->record.state == session_state::moved && found->record.expires <= now.wall)
      return unexpected{session_errc::not_found};
    return std::move(found->record);
  }

 private:
  struct sighting {
    session_record record;
    moment asked;

    void confirm(session_time expires, moment when) noexcept {
      record.expires = std::max(record.expires, expires);
      if (when.steady >= asked.steady) asked = when;
    }
  };

  static sighting burial() {
    return {{.data = {},
             .version = std::numeric_limits<std::uint64_t>::max(),
             .created = {},
             .expires = session_time::max(),
             .state = session_state::moved},
            {}};
  }

  static bool leads_nowhere(const session_record& record) noexcept {
    return record.state == session_state::moved && record.data.empty();
  }

  std::chrono::milliseconds stale_for_;
  lru_cache<session_id, sighting, session_id_hash> seen_;
};

}  // namespace banyan::detail
