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

  /// `asked`: the time when the backend was asked for it; `latest`: the latest time known.
  void remember(const session_id& id, const session_record& record, session_time asked, session_time latest) {
    seen_.compute(id, [&](const sighting* old) -> std::optional<sighting> {
      if (old == nullptr || old->record.version < record.version) return sighting{record, asked, latest};
      sighting same = *old;
      if (same.record.version == record.version) {
        same.record.expires = std::max(same.record.expires, record.expires);
        same.asked = asked;
        same.latest = latest;
      }
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

  /// `unavailable` when it was not seen, or too long ago. A clock that is set back must not make the copies young
  /// again, nor one that was ahead for a moment keep them young until it gets there once more. So two ages count: by
  /// the caller's times, and by the latest times known.
  [[nodiscard]] expected<session_record, session_errc> get(const session_id& id, session_time now,
                                                           session_time latest) {
    std::optional<sighting> found = seen_.get(id);
    if (!found) return unexpected{session_errc::unavailable};
    if (leads_nowhere(found->record)) return unexpected{session_errc::not_found};
    if (now < found->asked || now - found->asked > stale_for_ || latest - found->latest > stale_for_)
      return unexpected{session_errc::unavailable};
    if (found->record.expires <= now) return unexpected{session_errc::not_found};
    return std::move(found->record);
  }

 private:
  struct sighting {
    session_record record;
    session_time asked;
    session_time latest;
  };

  static sighting burial() {
    return {{.data = {},
             .version = std::numeric_limits<std::uint64_t>::max(),
             .created = {},
             .expires = session_time::max(),
             .state = session_state::moved},
            {},
            {}};
  }

  static bool leads_nowhere(const session_record& record) noexcept {
    return record.state == session_state::moved && record.data.empty();
  }

  std::chrono::milliseconds stale_for_;
  lru_cache<session_id, sighting, session_id_hash> seen_;
};

}  // namespace banyan::detail
