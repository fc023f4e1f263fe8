// The five steps of social_feed.hpp, one after the other over databases of the same content: how each is put together,
// and a row of figures.
#pragma once

#include <algorithm>
#include <banyan/core/clock.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "social_feed.hpp"
#include "social_feed_workload.hpp"

namespace social_feed {

inline constexpr std::size_t cached_timelines = users / 2;
inline constexpr banyan::shard_id shards = 2;
inline constexpr user_id checked_users = 100;  // the busiest: what is wrong in the cache is theirs

/// `Databases` makes the servers: `start(contents)` gives for each of the contents a primary that has it, and after it
/// its replicas. A server's connection also tells `ids()`, of all its posts.
template <class Databases>
class steps {
 public:
  explicit steps(Databases& databases) : databases_{databases} {}

  /// Whether all was as it must be.
  bool run() {
    std::printf(
        "Each server works on %zu queries at a time, and each takes it %d ms besides its real work, so that a further\n"
        "server adds what a further machine would. A login counts as a query. %u users follow %zu each; %d clients "
        "post\n"
        "every %.0fth time and then look at their own timeline, and else at somebody's.\n\n"
        "                              requests      p50    p99      queries each     cache   own posts  stale\n"
        "                                    /s       ms     ms    all  at a primary   hits      missed  timelines\n",
        queries_at_a_time, static_cast<int>(query_time.count()), users, follows_each, clients, 1 / share_of_posts);
    connection_each();
    connection_pool();
    cache();
    replicas("4 + replicas, without tokens", banyan::eventual, stale_pages::expected);
    replicas("4 + replicas", banyan::read_your_writes, stale_pages::forbidden);
    two_shards();
    std::printf("\n%s\n", right_ ? "every post is there once, and the timelines are as they must be"
                                 : "POSTS OR TIMELINES ARE NOT AS THEY MUST BE");
    return right_;
  }

 private:
  using server = limited_server<typename Databases::server>;
  using set_of_servers = std::vector<std::unique_ptr<server>>;  // the primary first
  enum class stale_pages { forbidden, expected };

  void connection_each() {
    const auto servers = start(1);
    connect_each_time<server> primary{*servers[0][0]};
    unsharded store{primary};
    feed timelines{store};
    measure("1 a connection each time", timelines, servers);
  }

  void connection_pool() {
    const auto servers = start(1);
    pooled<server> primary{*servers[0][0], queries_at_a_time};
    unsharded store{primary};
    feed timelines{store};
    measure("2 + connection pool", timelines, servers);
  }

  void cache() {
    const auto servers = start(1);
    pooled<server> primary{*servers[0][0], queries_at_a_time};
    unsharded store{primary};
    cached_feed timelines{store, cached_timelines};
    measure("3 + cache", timelines, servers);
  }

  void replicas(const char* name, banyan::consistency_level level, stale_pages stale) {
    const auto servers = start(1);
    replicated<server> set{servers[0], queries_at_a_time, level};
    unsharded store{set};
    cached_feed timelines{store, cached_timelines};
    measure(name, timelines, servers, stale);
  }

  void two_shards() {
    const auto servers = start(shards);
    std::vector<std::shared_ptr<replicated<server>>> sets;
    for (const auto& each : servers) sets.push_back(std::make_shared<replicated<server>>(each, queries_at_a_time));
    sharded store{router::numbered(shards), sets};
    cached_feed timelines{store, cached_timelines};
    measure("5 + shards", timelines, servers);
  }

  std::vector<set_of_servers> start(banyan::shard_id shard_count) {
    std::vector<content> contents;
    for (banyan::shard_id each = 0; each < shard_count; ++each) {
      contents.push_back(part_of(begin_, router::numbered(shard_count), each));
    }
    std::vector<set_of_servers> started;
    for (auto& members : databases_.start(contents)) {
      set_of_servers limited;
      for (auto& each : members) limited.push_back(std::make_unique<server>(std::move(each)));
      started.push_back(std::move(limited));
    }
    return started;
  }

  struct count {
    std::uint64_t all = 0;
    std::vector<std::uint64_t> primaries{};
  };
  static count queries(const std::vector<set_of_servers>& servers) {
    count now;
    for (const auto& members : servers) {
      now.primaries.push_back(members.front()->queries());
      for (const auto& each : members) now.all += each->queries();
    }
    return now;
  }

  template <class Feed>
  static banyan::cache_stats cache_of(const Feed& timelines) {
    if constexpr (requires { timelines.stats(); }) return timelines.stats();
    return {};
  }

  template <class Feed>
  void measure(const char* name, Feed& timelines, const std::vector<set_of_servers>& servers,
               stale_pages stale = stale_pages::forbidden) {
    model known{begin_};
    load_figures warming;
    load(timelines, known, warming, 0, warm_up);
    const count queries_before = queries(servers);
    const banyan::cache_stats cache_before = cache_of(timelines);

    load_figures figures;
    const auto began = steady_clock::now();
    load(timelines, known, figures, 1, measured);
    const std::chrono::duration<double> took = steady_clock::now() - began;

    const count queries_after = queries(servers);
    std::uint64_t busiest = 0;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      busiest = std::max(busiest, queries_after.primaries[i] - queries_before.primaries[i]);
    }
    const banyan::cache_stats cache_after = cache_of(timelines);
    const auto hits = static_cast<double>(cache_after.hits - cache_before.hits);
    const double lookups = hits + static_cast<double>(cache_after.misses - cache_before.misses);
    const std::uint64_t missed = warming.own_posts_missed + figures.own_posts_missed;
    const std::uint64_t wrong = stale_timelines(timelines, known);
    if (!all_there_once(servers, known) || (stale == stale_pages::forbidden && missed + wrong != 0)) right_ = false;

    const auto times = figures.times.read();
    const auto requests = static_cast<double>(times.count());
    const auto ms = [&](double share) { return std::chrono::duration<double, std::milli>(times.quantile(share)); };
    std::printf(
        "%-29s %8.0f %8.3f %6.1f %6.2f %13.2f %5.0f %% %5llu/%-5llu %3llu/%u\n", name, requests / took.count(),
        ms(0.5).count(), ms(0.99).count(), static_cast<double>(queries_after.all - queries_before.all) / requests,
        static_cast<double>(busiest) / requests, lookups == 0 ? 0 : 100 * hits / lookups,
        static_cast<unsigned long long>(missed), static_cast<unsigned long long>(warming.own_posts + figures.own_posts),
        static_cast<unsigned long long>(wrong), checked_users);
    std::fflush(stdout);
  }

  template <class Feed>
  static std::uint64_t stale_timelines(Feed& timelines, const model& known) {
    std::uint64_t wrong = 0;
    for (user_id user = 0; user < checked_users; ++user) {
      if (timelines.timeline(user) != known.timeline(user)) ++wrong;
    }
    return wrong;
  }

  static bool all_there_once(const std::vector<set_of_servers>& servers, const model& known) {
    std::vector<std::uint64_t> found;
    for (const auto& members : servers) {
      const auto ids = members.front()->unlimited().connect().ids();
      found.insert(found.end(), ids.begin(), ids.end());
    }
    std::ranges::sort(found);
    return found == known.all_ids();
  }

  Databases& databases_;
  const content begin_ = first_content();
  bool right_ = true;
};

}  // namespace social_feed
