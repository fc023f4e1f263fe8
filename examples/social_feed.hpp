// A social feed: users follow users, write posts, and read a timeline of what those they follow have written, newest
// first. Built in five steps, each the one before plus one part of banyan:
//
//   1  a connection for each query         connect_each_time
//   2  + connection pool                   pooled
//   3  + cache-aside for timelines         cached_feed
//   4  + read replicas                     replicated
//   5  + shards                            sharded
//
// Databases come from outside: see `feed_server`. social_feed_sqlite.cpp and social_feed_postgres.cpp bring two.
#pragma once

#include <algorithm>
#include <array>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/cache.hpp>
#include <banyan/pool.hpp>
#include <banyan/replica.hpp>
#include <banyan/shard.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace social_feed {

using namespace std::chrono_literals;
using banyan::steady_clock;

// ---- the domain -----------------------------------------------------------------------------------------------------

using user_id = std::uint32_t;

struct post {
  std::uint64_t id;  // given by the service, not by a database, and rising: so posts of several databases have an order
  user_id author;
  std::string text;

  friend bool operator==(const post&, const post&) = default;
};
using posts = std::vector<post>;  // newest first

inline constexpr std::size_t page_size = 20;

inline bool newer(const post& a, const post& b) { return a.id > b.id; }

/// What the feed asks of a connection.
template <class C>
concept feed_connection = requires(C& c, user_id user, std::span<const user_id> authors, const post& p) {
  { c.followed_by(user) } -> std::same_as<std::vector<user_id>>;
  { c.followers_of(user) } -> std::same_as<std::vector<user_id>>;
  { c.newest_of(authors, page_size) } -> std::same_as<std::vector<posts>>;  // of each author, in the order asked
  { c.insert(p) } -> std::same_as<std::uint64_t>;                           // the position in the log after it
};

template <class S>
concept feed_server = requires(S& server) {
  { server.connect() } -> feed_connection;
  { server.progress() } -> std::same_as<banyan::replica_report>;  // its position in the log
};

// ---- steps 1 and 2: access to one server ----------------------------------------------------------------------------
//
// `read(needs, query)` and `write(made, query)` call `query(connection)`. What `needs` and `made` are for shows in step
// 4: one server alone always has everything.

/// Step 1. Every query logs in, and the server gets as many connections as there are clients.
template <feed_server Server>
class connect_each_time {
 public:
  explicit connect_each_time(Server& server) : server_{server} {}

  template <class Query>
  auto run(Query query) {
    auto connection = server_.connect();
    return query(connection);
  }
  template <class Query>
  auto read(const banyan::consistency_token& /*needs*/, Query query) {
    return run(query);
  }
  template <class Query>
  void write(banyan::consistency_token& /*made*/, Query query) {
    run(query);
  }

 private:
  Server& server_;
};

/// Step 2. As many connections as the server can work on, opened once. Who finds none idle waits here, in line.
template <feed_server Server>
class pooled {
 public:
  using connection = decltype(std::declval<Server&>().connect());

  pooled(Server& server, std::size_t connections)
      : server_{server}, pool_{[this] { return server_.connect(); }, {.min = connections, .max = connections}} {}

  template <class Query>
  auto run(Query query) {
    auto lent = pool_.acquire();
    if (!lent) throw std::runtime_error(lent.error().message());
    try {
      return query(**lent);
    } catch (...) {
      lent->discard();  // perhaps broken, perhaps within a transaction: not for the next
      throw;
    }
  }
  template <class Query>
  auto read(const banyan::consistency_token& /*needs*/, Query query) {
    return run(query);
  }
  template <class Query>
  void write(banyan::consistency_token& /*made*/, Query query) {
    run(query);
  }
  [[nodiscard]] banyan::replica_report progress() { return server_.progress(); }

 private:
  Server& server_;
  banyan::connection_pool<connection> pool_;
};

// ---- step 4: a primary and its replicas -----------------------------------------------------------------------------

/// Reads go to a replica that has what they need, writes to the primary, each through the pool of its server.
///
/// What a read needs is a token: the position in the primary's log of the last write that it must see. Replicas that
/// are not known to be so far are passed over; when all are, the read goes to the primary.
template <feed_server Server>
class replicated {
 public:
  using connection = typename pooled<Server>::connection;

  /// The first server is the primary. With `banyan::eventual` as level, what is needed is not asked for.
  replicated(const std::vector<std::unique_ptr<Server>>& servers, std::size_t connections,
             banyan::consistency_level level = banyan::read_your_writes)
      : level_{level} {
    const auto pool_of = [&](Server& server) { return std::make_shared<pooled<Server>>(server, connections); };
    set_.add_primary(pool_of(*servers.front()));
    for (std::size_t i = 1; i < servers.size(); ++i) set_.add_replica(pool_of(*servers[i]));
  }

  template <class Query>
  auto read(const banyan::consistency_token& needs, Query query) {
    auto server = set_.read(needs, {.consistency = level_});
    if (server.outcome() ==
        banyan::read_outcome::share_spent) {  // better a slow read than a primary without time to write
      server = set_.read(needs, {.consistency = level_, .wait = longest_wait});
    }
    return reported(server, query);
  }
  /// `query` returns the position after the write.
  template <class Query>
  void write(banyan::consistency_token& made, Query query) {
    auto primary = set_.write();
    primary.wrote(made, reported(primary, query));
  }

 private:
  static constexpr double share_of_primary = 0.3;
  static constexpr std::chrono::nanoseconds longest_wait = 5s;

  using member = std::shared_ptr<pooled<Server>>;
  using members = banyan::replica_set<member, banyan::peak_ewma>;

  // The outcome goes back to the set: the balancer learns who is slow, and who fails.
  template <class Query>
  static auto reported(typename members::pick& server, Query query) {
    if (!server) throw std::runtime_error("no server may take this query");
    const auto began = steady_clock::now();
    try {
      auto result = (*server)->run(query);
      server.succeeded(steady_clock::now() - began);
      return result;
    } catch (...) {
      server.failed(steady_clock::now() - began);
      throw;
    }
  }

  banyan::consistency_level level_;
  members set_{{.primary_share = share_of_primary}};
  banyan::lag_monitor<member, banyan::peak_ewma> monitor_{
      set_, [](member& each) { return each->progress(); }, {.interval = 5ms}};
};

// ---- steps 1 to 4: everything is in one place -----------------------------------------------------------------------

/// What a reader must see: a token for each shard, since each has a log of its own.
struct freshness {
  static constexpr std::size_t most_shards = 2;

  void merge(const freshness& other) {
    for (std::size_t i = 0; i < most_shards; ++i) of_shard[i].merge(other.of_shard[i]);
  }
  std::array<banyan::consistency_token, most_shards> of_shard{};
};

template <class Access>
class unsharded {
 public:
  explicit unsharded(Access& access) : access_{access} {}

  /// A query for the rows of one user.
  template <class Query>
  auto read(user_id /*user*/, const freshness& needs, Query query) {
    return access_.read(needs.of_shard[0], query);
  }
  template <class Query>
  void write(user_id /*user*/, freshness& made, Query query) {
    access_.write(made.of_shard[0], query);
  }
  /// A query that has one answer for each user.
  template <class Query>
  auto gather(const std::vector<user_id>& users, const freshness& needs, Query query) {
    return access_.read(needs.of_shard[0], [&](auto& c) { return query(c, std::span<const user_id>{users}); });
  }

 private:
  Access& access_;
};

// ---- step 5: shards -------------------------------------------------------------------------------------------------

using router = banyan::hash_router<user_id>;

/// A user's posts, whom he follows and who follows him are on the shard of his id; each shard is a set of replicas.
template <class Access>
class sharded {
 public:
  sharded(const router& by_id, const std::vector<std::shared_ptr<Access>>& shards) : map_{by_id, entries(shards)} {}

  template <class Query>
  auto read(user_id user, const freshness& needs, Query query) {
    const auto shard = map_.find(user);
    return shard->read(needs.of_shard.at(shard.shard()), query);
  }
  template <class Query>
  void write(user_id user, freshness& made, Query query) {
    const auto shard = map_.find(user);
    shard->write(made.of_shard.at(shard.shard()), query);
  }
  /// Each shard is asked at the same time for those of the users that it has.
  template <class Query>
  auto gather(const std::vector<user_id>& users, const freshness& needs, Query query) {
    using answer = std::invoke_result_t<Query, typename Access::connection&, std::span<const user_id>>;
    const router by_id = map_.router();
    auto all = banyan::scatter_gather(
        by_id, users, banyan::thread_executor{},
        [&](banyan::shard_id shard, std::span<const user_id> its_users) -> banyan::expected<answer, std::string> {
          return map_.at(shard)->read(needs.of_shard.at(shard), [&](auto& c) { return query(c, its_users); });
        });
    // A page with a hole would be kept by the cache as if it were whole.
    answer whole;
    for (auto& each : all.values) {
      if (!each) throw std::runtime_error("a shard has not answered");
      whole.push_back(std::move(*each));
    }
    return whole;
  }

 private:
  using shard_map = banyan::shard_map<router, Access>;

  static std::vector<typename shard_map::entry> entries(const std::vector<std::shared_ptr<Access>>& shards) {
    std::vector<typename shard_map::entry> all;
    for (banyan::shard_id id = 0; id < shards.size(); ++id) all.emplace_back(id, shards[id]);
    return all;
  }

  shard_map map_;
};

// ---- the service ----------------------------------------------------------------------------------------------------

/// The feed over any of these stores.
template <class Store>
class feed {
 public:
  explicit feed(Store& store) : store_{store} {}

  posts timeline(user_id reader, const freshness& needs = {}) {
    // Two queries rather than a join: whom one follows and what they wrote need not be on the same shard.
    auto authors = store_.read(reader, needs, [&](auto& c) { return c.followed_by(reader); });
    authors.push_back(reader);
    const std::vector<posts> of_each = store_.gather(
        authors, needs, [](auto& c, std::span<const user_id> some) { return c.newest_of(some, page_size); });
    return banyan::merge_sorted(of_each, newer, page_size);
  }

  struct published {
    std::vector<user_id> readers;  // whose timelines it is on
    freshness made;                // what these must see from now on
  };
  published publish(const post& p) {
    published done;
    store_.write(p.author, done.made, [&](auto& c) {
      const std::uint64_t position = c.insert(p);
      done.readers = c.followers_of(p.author);  // asked of the primary, so that none is forgotten
      return position;
    });
    done.readers.push_back(p.author);
    return done;
  }

 private:
  Store& store_;
};

/// Step 3. Timelines are kept, loaded once however many ask at the same time, and dropped when somebody on them posts.
template <class Store>
class cached_feed {
 public:
  cached_feed(Store& store, std::size_t capacity)
      : feed_{store}, cache_{{.capacity = capacity, .ttl = longest_stale}} {}

  posts timeline(user_id reader) {
    return cache_.get_or_load(reader, [this](user_id who) { return feed_.timeline(who, needs_of(who)); });
  }

  void publish(const post& p) {
    const auto done = feed_.publish(p);
    for (const user_id reader : done.readers) {
      // In this order: a load that begins after the erasure knows that it needs the new post, and what a load that
      // began before it brings is not kept. The other way round, a load in between could fill the cache from a replica
      // that is behind, and nobody would drop that again.
      raise(reader, done.made);
      cache_.erase(reader);
    }
  }

  [[nodiscard]] banyan::cache_stats stats() const { return cache_.stats(); }

 private:
  freshness needs_of(user_id reader) {
    const std::lock_guard lock{lock_};
    return needs_[reader];
  }
  void raise(user_id reader, const freshness& made) {
    const std::lock_guard lock{lock_};
    needs_[reader].merge(made);
  }

  // For a service that dies, or an error, between the write and the erasure: nothing stays wrong for longer.
  static constexpr std::chrono::nanoseconds longest_stale = 1min;

  feed<Store> feed_;
  banyan::tinylfu_cache<user_id, posts> cache_;
  // What each timeline must contain: of all who have been posted to, 48 bytes each. It belongs where the cache is; if
  // processes share that, they share this.
  std::mutex lock_;
  std::unordered_map<user_id, freshness> needs_;
};

}  // namespace social_feed
