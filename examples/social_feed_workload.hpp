// What the steps of social_feed.hpp are measured and checked with: servers of a known capacity, the same load on each
// step, one row of figures for each, and a model that says what every timeline must be.
#pragma once

#include <algorithm>
#include <atomic>
#include <banyan/core/duration_histogram.hpp>
#include <banyan/core/random.hpp>
#include <banyan/pool/object_pool.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "social_feed.hpp"

namespace social_feed {

// ---- a server with the capacity of a small machine ------------------------------------------------------------------

/// All servers here share the few cores of one machine, so a second one would add nothing. Each is therefore held to
/// this: it works on so many queries at a time, and each keeps it busy for so long besides its real work. A login is no
/// less work than a query, and counts as one.
inline constexpr std::size_t queries_at_a_time = 2;
inline constexpr std::chrono::milliseconds query_time{2};

class workers {
 public:
  template <class Work>
  auto run(Work work) {
    const auto one = idle_.acquire();  // a pool as well: who finds none idle stands in line
    if (!one) throw std::runtime_error(one.error().message());
    ++queries_;
    std::this_thread::sleep_for(query_time);
    return work();
  }
  [[nodiscard]] std::uint64_t queries() const { return queries_; }

 private:
  struct worker {};
  banyan::object_pool<worker> idle_{[] { return worker{}; }, {.max = queries_at_a_time}};
  std::atomic<std::uint64_t> queries_{0};
};

template <feed_connection Connection>
class limited_connection {
 public:
  limited_connection(workers& by, Connection connection) : by_{&by}, connection_{std::move(connection)} {}

  auto followed_by(user_id user) {
    return by_->run([&] { return connection_.followed_by(user); });
  }
  auto followers_of(user_id user) {
    return by_->run([&] { return connection_.followers_of(user); });
  }
  auto newest_of(std::span<const user_id> authors, std::size_t most) {
    return by_->run([&] { return connection_.newest_of(authors, most); });
  }
  auto insert(const post& p) {
    return by_->run([&] { return connection_.insert(p); });
  }

 private:
  workers* by_;
  Connection connection_;
};

template <feed_server Server>
class limited_server {
 public:
  explicit limited_server(std::unique_ptr<Server> server) : server_{std::move(server)} {}

  auto connect() {
    return limited_connection{workers_, workers_.run([&] { return server_->connect(); })};
  }
  banyan::replica_report progress() { return server_->progress(); }

  [[nodiscard]] Server& unlimited() { return *server_; }
  [[nodiscard]] std::uint64_t queries() const { return workers_.queries(); }

 private:
  std::unique_ptr<Server> server_;
  workers workers_;
};

// ---- what is in the databases to begin with -------------------------------------------------------------------------

inline constexpr user_id users = 1'000;
inline constexpr std::size_t follows_each = 10;
inline constexpr std::size_t first_posts_each = 3;
inline constexpr std::uint64_t seed = 20261122;

struct follow {
  user_id follower;
  user_id followee;
};

struct content {
  std::vector<follow> follows;
  posts written;
};

inline content first_content() {
  content made;
  banyan::splitmix64 random{seed};
  for (user_id user = 0; user < users; ++user) {
    std::vector<user_id> others;
    while (others.size() < follows_each) {
      const auto other = static_cast<user_id>(banyan::random_below(random, users));
      if (other != user && std::ranges::find(others, other) == others.end()) others.push_back(other);
    }
    for (const user_id other : others) made.follows.push_back({user, other});
  }
  for (std::uint64_t id = 1; id <= users * first_posts_each; ++id) {
    made.written.push_back({id, static_cast<user_id>(id % users), "post " + std::to_string(id)});
  }
  return made;
}

/// A shard's part: its users' posts, whom they follow, and who follows them.
inline content part_of(const content& all, const router& by_id, banyan::shard_id shard) {
  const auto here = [&](user_id user) { return by_id.route(user) == shard; };
  content part;
  for (const follow& f : all.follows) {
    if (here(f.follower) || here(f.followee)) part.follows.push_back(f);
  }
  for (const post& p : all.written) {
    if (here(p.author)) part.written.push_back(p);
  }
  return part;
}

// ---- the load -------------------------------------------------------------------------------------------------------

inline constexpr int clients = 32;
inline constexpr double share_of_posts = 0.05;
inline constexpr std::chrono::milliseconds warm_up{250};
inline constexpr std::chrono::milliseconds measured{1000};

/// All that was posted, as the service was told it: a timeline is what one finds here.
class model {
 public:
  explicit model(const content& begin) : followed_(users), written_{begin.written} {
    for (const follow& f : begin.follows) followed_[f.follower].push_back(f.followee);
    for (user_id user = 0; user < users; ++user) followed_[user].push_back(user);
  }
  post draft(user_id author) {
    const std::uint64_t id = ++last_id_;
    return {id, author, "post " + std::to_string(id)};
  }
  void posted(const post& p) {
    const std::lock_guard lock{lock_};
    written_.push_back(p);
  }
  [[nodiscard]] std::vector<std::uint64_t> all_ids() const {
    std::vector<std::uint64_t> ids;
    for (const post& p : written_) ids.push_back(p.id);
    std::ranges::sort(ids);
    return ids;
  }
  [[nodiscard]] posts timeline(user_id reader) const {
    posts found;
    for (const post& p : written_) {
      if (std::ranges::find(followed_[reader], p.author) != followed_[reader].end()) found.push_back(p);
    }
    std::ranges::sort(found, newer);
    if (found.size() > page_size) found.resize(page_size);
    return found;
  }

 private:
  std::vector<std::vector<user_id>> followed_;
  std::atomic<std::uint64_t> last_id_{users * first_posts_each};
  std::mutex lock_;
  posts written_;
};

struct load_figures {
  banyan::duration_histogram times;
  std::atomic<std::uint64_t> own_posts{0};
  std::atomic<std::uint64_t> own_posts_missed{0};
};

/// Not there, and not pushed off the page by newer ones either.
inline bool lacks(const posts& page, const post& own) {
  return std::ranges::none_of(page, [&](const post& p) { return p.id == own.id; }) &&
         (page.size() < page_size || page.back().id < own.id);
}

/// One client: reads a timeline, or posts and then looks at his own.
template <class Feed>
void act_as_client(Feed& feed, model& known, load_figures& figures, std::uint64_t number,
                   steady_clock::time_point until) {
  banyan::splitmix64 random{seed + number};
  // Some users are busier than others: a user's share of the requests falls with his rank r as 1 / r (Zipf's law).
  const auto somebody = [&] {
    return static_cast<user_id>(std::exp(banyan::random_unit(random) * std::log(double{users}))) - 1;
  };
  const auto timed = [&](auto request) {
    const auto began = steady_clock::now();
    request();
    figures.times.record(steady_clock::now() - began);
  };
  while (steady_clock::now() < until) {
    const user_id user = somebody();
    posts page;
    if (banyan::random_unit(random) >= share_of_posts) {
      timed([&] { page = feed.timeline(user); });
      continue;
    }
    const post own = known.draft(user);
    timed([&] { feed.publish(own); });
    known.posted(own);
    timed([&] { page = feed.timeline(user); });
    ++figures.own_posts;
    if (lacks(page, own)) ++figures.own_posts_missed;
  }
}

template <class Feed>
void load(Feed& feed, model& known, load_figures& figures, std::uint64_t round, std::chrono::nanoseconds duration) {
  const auto until = steady_clock::now() + duration;
  std::vector<std::future<void>> all;
  for (std::uint64_t c = 0; c < clients; ++c) {
    all.push_back(
        std::async(std::launch::async, [&, c] { act_as_client(feed, known, figures, round * clients + c, until); }));
  }
  for (auto& each : all) each.get();
}

}  // namespace social_feed
