// The social feed of social_feed.hpp over real PostgreSQL servers, which this program starts for itself: two primaries,
// each with two streaming replicas. The positions are LSNs. On one machine a replica is behind by a millisecond or
// less; here they apply everything a little later (recovery_min_apply_delay), as over some distance or under load.
//
// Where no PostgreSQL is installed, it says so and ends.
#include <array>
#include <banyan/adapters/libpq.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "private_postgres.hpp"
#include "social_feed.hpp"
#include "social_feed_steps.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::pq_connection;
using banyan::pq_result;
using social_feed::post;
using social_feed::posts;
using social_feed::user_id;

constexpr std::size_t replicas = 2;  // of each primary
constexpr const char* replication_lag = "100ms";

std::uint64_t number(const pq_result& rows, int row, int column) {
  return std::stoull(std::string{rows.value(row, column).value_or("0")});
}

/// An array as PostgreSQL reads it: {1,2,3}
template <class Range, class Projection>
std::string array(const Range& values, Projection text) {
  std::string all;
  for (const auto& each : values) all += (all.empty() ? "{" : ",") + text(each);
  return all.empty() ? "{}" : all + "}";
}

class connection {
 public:
  explicit connection(const std::string& conninfo) : database_{pq_connection::connect(conninfo)} {}

  std::vector<user_id> followed_by(user_id user) {
    return numbers<user_id>("select followee from follow where follower = $1::int", {std::to_string(user)});
  }
  std::vector<user_id> followers_of(user_id user) {
    return numbers<user_id>("select follower from follow where followee = $1::int", {std::to_string(user)});
  }
  std::vector<std::uint64_t> ids() { return numbers<std::uint64_t>("select id from post", {}); }

  /// One statement for all: for each author a walk along the index from his newest post.
  std::vector<posts> newest_of(std::span<const user_id> authors, std::size_t most) {
    const pq_result rows = database_.exec_params(
        "select asked.place - 1, newest.id, newest.text from unnest($1::int[]) with ordinality asked (author, place)"
        " cross join lateral (select id, text from post where author = asked.author order by id desc limit $2::int)"
        " newest order by asked.place, newest.id desc",
        {array(authors, [](user_id each) { return std::to_string(each); }), std::to_string(most)});
    std::vector<posts> all(authors.size());
    for (int row = 0; row < rows.rows(); ++row) {
      const auto place = static_cast<std::size_t>(number(rows, row, 0));
      all.at(place).push_back({number(rows, row, 1), authors[place], std::string{rows.value(row, 2).value_or("")}});
    }
    return all;
  }

  /// Where the log ends once the post is committed: that may be a little after the post, never before it.
  std::uint64_t insert(const post& p) {
    database_.exec_params("insert into post values ($1::bigint, $2::int, $3)",
                          {std::to_string(p.id), std::to_string(p.author), p.text});
    return number(database_.exec("select (pg_current_wal_flush_lsn() - '0/0')::text"), 0, 0);
  }

 private:
  template <class Number>
  std::vector<Number> numbers(const std::string& query, const std::vector<std::optional<std::string>>& values) {
    const pq_result rows = database_.exec_params(query, values);
    std::vector<Number> all;
    all.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row) all.push_back(static_cast<Number>(number(rows, row, 0)));
    return all;
  }

  pq_connection database_;
};

class server {
 public:
  explicit server(std::string conninfo) : conninfo_{std::move(conninfo)} {}

  connection connect() { return connection{conninfo_}; }

  banyan::replica_report progress() {
    const pq_result row = watched_.exec(
        "select ((case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end)"
        " - '0/0')::text");
    return {.position = number(row, 0, 0)};
  }

 private:
  std::string conninfo_;
  pq_connection watched_ = pq_connection::connect(conninfo_);  // of the monitor alone
};

/// A primary and its replicas. Make it before there are threads.
class replica_group {
 public:
  /// Some seconds. Why there are none, or nothing.
  std::string start() {
    std::string primary = keeper_.ask("start 0");
    if (primary.starts_with("skipped: ")) return primary;
    conninfo_.push_back(primary.substr(3));
    for (std::size_t i = 1; i <= replicas; ++i) {
      conninfo_.push_back(keeper_.ask("follow " + std::to_string(i) + " 0").substr(3));
      pq_connection replica = pq_connection::connect(conninfo_.back());
      replica.exec("alter system set recovery_min_apply_delay = '" + std::string{replication_lag} + "'");
      replica.exec("select pg_reload_conf()");
    }
    pq_connection::connect(conninfo_.front())
        .exec(
            "create table post (id bigint primary key, author int not null, text text not null);"
            "create index on post (author, id);"
            "create table follow (follower int, followee int, primary key (follower, followee));"
            "create index on follow (followee)");
    return {};
  }

  /// With this content instead of what was there; returns when the replicas have it.
  std::vector<std::unique_ptr<server>> fill(const social_feed::content& given) {
    pq_connection primary = pq_connection::connect(conninfo_.front());
    primary.exec("truncate post, follow");
    primary.exec_params("insert into post select * from unnest($1::bigint[], $2::int[], $3::text[])",
                        {array(given.written, [](const post& p) { return std::to_string(p.id); }),
                         array(given.written, [](const post& p) { return std::to_string(p.author); }),
                         array(given.written, [](const post& p) { return '"' + p.text + '"'; })});
    primary.exec_params("insert into follow select * from unnest($1::int[], $2::int[])",
                        {array(given.follows, [](const auto& f) { return std::to_string(f.follower); }),
                         array(given.follows, [](const auto& f) { return std::to_string(f.followee); })});
    primary.exec("analyze");
    std::vector<std::unique_ptr<server>> members;
    members.reserve(conninfo_.size());
    for (const std::string& each : conninfo_) members.push_back(std::make_unique<server>(each));
    const auto written = members.front()->progress().position;
    for (const auto& each : members) {
      while (each->progress().position < written) std::this_thread::sleep_for(5ms);
    }
    return members;
  }

 private:
  private_postgres_keeper keeper_;
  std::vector<std::string> conninfo_;  // of the primary, then of the replicas
};

class databases {
 public:
  using server = ::server;

  databases() {
    std::vector<std::future<std::string>> starting;
    starting.reserve(groups_.size());
    for (auto& group : groups_) {
      starting.push_back(std::async(std::launch::async, [&group] { return group.start(); }));
    }
    for (auto& each : starting) missing_ = each.get();
  }

  /// Why there are none; empty when there are.
  [[nodiscard]] const std::string& missing() const { return missing_; }

  std::vector<std::vector<std::unique_ptr<server>>> start(const std::vector<social_feed::content>& contents) {
    std::vector<std::vector<std::unique_ptr<server>>> all;
    for (std::size_t i = 0; i < contents.size(); ++i) all.push_back(groups_.at(i).fill(contents[i]));
    return all;
  }

 private:
  std::array<replica_group, social_feed::shards> groups_;
  std::string missing_;
};

}  // namespace

int main() try {
  databases servers;
  if (!servers.missing().empty()) {
    std::printf("%s\n", servers.missing().c_str());
    return EXIT_SUCCESS;
  }
  return social_feed::steps{servers}.run() ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "social_feed_postgres: %s\n", error.what());
  return EXIT_FAILURE;
}
