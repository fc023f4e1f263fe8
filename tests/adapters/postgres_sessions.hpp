#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "postgres_servers.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/session_promises.hpp"

namespace postgres {

/// In a table of numbers, each of which is one write.
inline std::uint64_t insert(banyan::pq_connection& c, std::uint64_t id) {
  c.exec_params("insert into post (id) values ($1::int)", {std::to_string(id)});
  return number(ask(c, "select (" + position_here + ")::text"));  // after it has been committed
}

struct contents {
  std::vector<std::uint64_t> ids;
  std::uint64_t position = 0;  // of the server, not before they were read
};
inline contents read_all(banyan::pq_connection& c) {
  const auto row = c.exec("select coalesce(string_agg(id::text, ','), ''), (" + position_here + ")::text from post");
  contents found{.ids = {}, .position = number(row.value(0, 1).value_or("0"))};
  std::string_view text = row.value(0, 0).value_or("");
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    found.ids.push_back(number(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return found;
}

inline const banyan::consistency_level levels[]{
    banyan::read_your_writes, banyan::monotonic_reads,
    banyan::causal,           banyan::bounded_staleness(std::chrono::milliseconds{200}),
    banyan::strong,           banyan::eventual};

/// Sessions, each on a thread of its own, that write and read at all levels and send each other messages, until it
/// dies; and the history of what they did.
class recorded_sessions {
 public:
  recorded_sessions(set_type& set, std::size_t how_many) : set_{set}, sessions_(how_many) {
    for (std::size_t i = 0; i < how_many; ++i) {
      threads_.emplace_back([this, i] { run(i); });
    }
  }
  recorded_sessions(const recorded_sessions&) = delete;
  recorded_sessions& operator=(const recorded_sessions&) = delete;
  ~recorded_sessions() { stop(); }

  void stop() {
    stopping_ = true;
    threads_.clear();
  }

  /// Before it takes writes. `at`: before it was promoted, as what it does not have is lost from then on.
  void new_primary(std::uint32_t epoch, banyan::steady_clock::time_point at, std::vector<std::uint64_t> kept) {
    note(banyan::testing::primary_change{.epoch = epoch, .at = at.time_since_epoch(), .kept = std::move(kept)});
  }

  [[nodiscard]] std::size_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::size_t replica_reads() const { return replica_reads_; }

  // When they have stopped.
  [[nodiscard]] const std::vector<banyan::testing::session_event>& history() const { return history_; }
  [[nodiscard]] const std::vector<std::uint64_t>& acknowledged_ids() const { return acknowledged_ids_; }

 private:
  struct session {
    std::mutex lock;  // of the token, and so that the history tells in what order things were known
    banyan::consistency_token token;
    link links[3]{link{0}, link{1}, link{2}};
  };

  static std::chrono::nanoseconds now() { return banyan::steady_clock::now().time_since_epoch(); }

  void note(banyan::testing::session_event event) {
    const std::lock_guard lock{lock_};
    history_.push_back(std::move(event));
  }

  void run(std::size_t which) {
    banyan::testing::random_source random{banyan::testing::derived_seed("sessions at PostgreSQL", which)};
    while (!stopping_) {
      try {
        random.chance(1, 4) ? write(which) : read(which, random);
      } catch (const banyan::pq_error&) {  // the server is gone; who takes over will be known in a while
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{2 + random.below(8)});
    }
  }

  void write(std::size_t which) {
    session& self = sessions_[which];
    auto w = set_.write();
    if (!w) return;
    banyan::testing::session_write one{.session = which, .id = ++last_id_, .epoch = w.epoch(), .at = {}};
    std::uint64_t position = 0;
    try {
      position = self.links[w->server].use([&](banyan::pq_connection& c) { return insert(c, one.id); });
    } catch (const banyan::pq_error&) {
      w.failed();
      one.acknowledged = false;
      note(one);
      throw;
    }
    w.succeeded(std::chrono::milliseconds{1});
    one.at = now();
    const std::lock_guard lock{self.lock};
    // Of a write on both sides of a failover nobody here knows the epoch of its position: it must be there in the end,
    // but the session goes without it.
    one.acknowledged = set_.epoch() == w.epoch();
    if (one.acknowledged) w.wrote(self.token, position);
    note(one);
    const std::lock_guard list{lock_};
    acknowledged_ids_.push_back(one.id);
    ++acknowledged_;
  }

  void read(std::size_t which, banyan::testing::random_source& random) {
    session& self = sessions_[which];
    const auto level = levels[random.below(std::size(levels))];
    if (level == banyan::causal && random.chance(1, 2)) hear(which, random.below(sessions_.size()));
    banyan::testing::session_read one{
        .session = which, .level = level, .seen = {}, .epoch = 0, .began = now(), .ended = {}};
    auto r = set_.read(self.token, {.consistency = level, .wait = std::chrono::milliseconds{random.below(20)}});
    if (!r) return;
    auto [ids, position] = self.links[r->server].use(read_all);
    one.ended = now();
    one.seen = std::move(ids);
    one.epoch = r.epoch();
    one.waits_for_replicas = r.outcome() != banyan::read_outcome::replica;
    const std::lock_guard lock{self.lock};
    if (set_.epoch() != r.epoch()) return;  // the position may be of either
    r.observed(self.token, position);
    note(std::move(one));
    if (r.outcome() == banyan::read_outcome::replica) ++replica_reads_;
  }

  void hear(std::size_t which, std::size_t from) {
    if (which == from) return;
    const std::scoped_lock both{sessions_[which].lock, sessions_[from].lock};
    if (sessions_[which].token.merge(sessions_[from].token))
      note(banyan::testing::session_message{.from = from, .to = which});
  }

  set_type& set_;
  std::deque<session> sessions_;
  std::atomic<std::uint64_t> last_id_{1000};
  std::atomic<std::size_t> acknowledged_{0};
  std::atomic<std::size_t> replica_reads_{0};
  std::atomic<bool> stopping_{false};
  std::mutex lock_;
  std::vector<banyan::testing::session_event> history_;
  std::vector<std::uint64_t> acknowledged_ids_;
  std::vector<banyan::testing::joining_thread> threads_;  // last: they use all the others
};

}  // namespace postgres
