#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <banyan/replica/consistency_level.hpp>

/// Checks what the levels of consistency promise over a history of what sessions wrote and read, simulated or recorded:
///
///     std::vector<session_event> history;
///     history.push_back(session_write{.session = 1, .id = 17, .epoch = 1, .at = now});
///     history.push_back(session_read{.session = 1, .level = banyan::read_your_writes, .seen = {16, 17}, ...});
///     CHECK(broken_promises(history).empty());
///
/// It goes by what reads have shown, each write being told from all others, and not by positions: so it finds a wrong
/// position or a wrong token as well. What is lost in a failover nobody can be shown: a write that a later primary
/// began without is not asked for any more.
///
/// Events stand in an order in which each session's own are, and a message comes after what it rests on.
namespace banyan::testing {

/// An attempt to write. Times are of one clock, which need not be the servers'.
struct session_write {
  std::size_t session = 0;
  std::uint64_t id = 0;            ///< of this write alone
  std::uint32_t epoch = 1;         ///< of the primary that took it
  std::chrono::nanoseconds at{0};  ///< when it was committed, or later: when it was acknowledged
  bool acknowledged = true;        ///< else nobody knows whether it was done, and nobody may ask for it
};

struct session_read {
  std::size_t session = 0;
  consistency_level level{};
  std::vector<std::uint64_t> seen{};  ///< the writes that it has shown, in any order
  std::uint32_t epoch = 1;            ///< the latest that the reader's process had heard of
  std::chrono::nanoseconds began{0};
  std::chrono::nanoseconds ended{0};
  /// It was answered by a primary that waits for its replicas, which shows a write no sooner than it is acknowledged:
  /// replicas may have shown it before.
  bool waits_for_replicas = false;
};

/// `to` goes on with the token of `from` merged into its own.
struct session_message {
  std::size_t from = 0;
  std::size_t to = 0;
};

/// A new primary, from before it took a write.
struct primary_change {
  std::uint32_t epoch = 2;
  std::chrono::nanoseconds at{0};
  std::vector<std::uint64_t> kept{};  ///< all writes that it has; in any order
};

using session_event = std::variant<session_write, session_read, session_message, primary_change>;

namespace detail {

using write_set = std::vector<std::uint64_t>;  // in ascending order, each once

inline write_set sorted(write_set ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}
inline void add(write_set& to, const write_set& more) {
  write_set both;
  both.reserve(to.size() + more.size());
  std::set_union(to.begin(), to.end(), more.begin(), more.end(), std::back_inserter(both));
  to = std::move(both);
}
inline bool has(const write_set& all, std::uint64_t id) { return std::binary_search(all.begin(), all.end(), id); }

class promise_check {
 public:
  explicit promise_check(const std::vector<session_event>& history) {
    for (const session_event& each : history) {
      if (const auto* const write = std::get_if<session_write>(&each)) {
        writes_.push_back(*write);
        by_id_[write->id] = *write;
      } else if (const auto* const change = std::get_if<primary_change>(&each)) {
        changes_.push_back({change->epoch, change->at, sorted(change->kept)});
      }
    }
    for (const auto& each : history) std::visit([this](const auto& event) { take(event); }, each);
  }

  [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }

  /// Whether a primary began without it, until then.
  [[nodiscard]] bool lost(std::uint64_t id, std::chrono::nanoseconds until) const {
    const auto written = by_id_.find(id);
    if (written == by_id_.end()) return false;
    return std::any_of(changes_.begin(), changes_.end(), [&](const primary_change& each) {
      return each.epoch > written->second.epoch && each.at <= until && !has(each.kept, id);
    });
  }

  [[nodiscard]] std::vector<std::uint64_t> lost_writes() const {
    std::vector<std::uint64_t> all;
    for (const session_write& each : writes_) {
      if (each.acknowledged && lost(each.id, std::chrono::nanoseconds::max())) all.push_back(each.id);
    }
    return all;
  }

 private:
  struct session {
    write_set written;  // by itself, and by those whose messages it has had
    write_set seen;     // likewise
  };

  void take(const session_write& write) {
    if (write.acknowledged) add(sessions_[write.session].written, {write.id});
  }
  void take(const session_message& message) {
    const session from = sessions_[message.from];
    session& to = sessions_[message.to];
    add(to.written, from.written);
    add(to.seen, from.seen);
  }
  void take(const primary_change&) {}

  void take(const session_read& read) {
    using kind = consistency_level::kind;
    session& who = sessions_[read.session];
    const write_set seen = sorted(read.seen);
    const kind level = read.level.what;
    if (level == kind::read_your_writes || level == kind::causal) demand(read, seen, who.written, "has written");
    if (level == kind::monotonic_reads || level == kind::causal) demand(read, seen, who.seen, "has seen");
    if (level == kind::bounded_staleness) fresh(read, seen, read.level.bound);
    if (level == kind::strong) fresh(read, seen, std::chrono::nanoseconds{0});
    add(who.seen, seen);
  }

  void demand(const session_read& read, const write_set& seen, const write_set& all, const char* why) {
    write_set missing;
    std::set_difference(all.begin(), all.end(), seen.begin(), seen.end(), std::back_inserter(missing));
    for (const std::uint64_t id : missing) {
      if (read.waits_for_replicas && !acknowledged(id, read.began)) continue;
      if (!lost(id, read.ended)) note(read, id, why);
    }
  }

  [[nodiscard]] bool acknowledged(std::uint64_t id, std::chrono::nanoseconds before) const {
    const auto written = by_id_.find(id);
    return written != by_id_.end() && written->second.acknowledged && written->second.at < before;
  }

  // Time cannot be promised by who has not heard of the present primary.
  void fresh(const session_read& read, const write_set& seen, std::chrono::nanoseconds bound) {
    if (std::any_of(changes_.begin(), changes_.end(),
                    [&](const primary_change& each) { return each.epoch > read.epoch && each.at <= read.began; }))
      return;
    for (const session_write& each : writes_) {
      if (each.acknowledged && each.at < read.began - bound && !has(seen, each.id) && !lost(each.id, read.ended))
        note(read, each.id, "could expect by its age");
    }
  }

  void note(const session_read& read, std::uint64_t id, const char* why) {
    static constexpr const char* names[] = {
        "eventual", "bounded_staleness", "monotonic_reads", "read_your_writes", "read_your_writes_within", "causal",
        "strong"};
    broken_.push_back(std::string{names[static_cast<std::size_t>(read.level.what)]} + ": session " +
                      std::to_string(read.session) + " misses write " + std::to_string(id) + ", which it " + why +
                      "; in epoch " + std::to_string(read.epoch) + ", at " + std::to_string(read.began.count()) +
                      " ns");
  }

  std::vector<session_write> writes_;
  std::map<std::uint64_t, session_write> by_id_;
  std::vector<primary_change> changes_;
  std::map<std::size_t, session> sessions_;
  std::vector<std::string> broken_;
};

}  // namespace detail

/// One line for each write that a read should have shown and has not, in the order of the history.
inline std::vector<std::string> broken_promises(const std::vector<session_event>& history) {
  return detail::promise_check{history}.broken();
}

/// The writes that were acknowledged and that a later primary began without.
inline std::vector<std::uint64_t> lost_writes(const std::vector<session_event>& history) {
  return detail::promise_check{history}.lost_writes();
}

}  // namespace banyan::testing
