// The social feed of social_feed.hpp over SQLite. A file stands for a server, its copies for replicas: each is brought
// up to date by a thread that applies the primary's log of statements in order, some time later.
#include <algorithm>
#include <atomic>
#include <banyan/adapters/sqlite.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "social_feed.hpp"
#include "social_feed_steps.hpp"

namespace {

using namespace std::chrono_literals;
using social_feed::post;
using social_feed::posts;
using social_feed::user_id;

constexpr std::size_t replicas = 2;  // of each primary
constexpr std::chrono::milliseconds replication_lag = 100ms;

std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// A connection with its statements, compiled once.
class connection {
 public:
  connection(const std::string& file, bool read_only)
      : database_{file, {.read_only = read_only, .busy_timeout = 10s}} {}

  std::vector<user_id> followed_by(user_id user) { return numbers<user_id>(followed_by_, user); }
  std::vector<user_id> followers_of(user_id user) { return numbers<user_id>(followers_of_, user); }
  std::vector<std::uint64_t> ids() { return numbers<std::uint64_t>(ids_); }

  std::vector<posts> newest_of(std::span<const user_id> authors, std::size_t most) {
    std::vector<posts> all;
    for (const user_id author : authors) {
      posts& his = all.emplace_back();
      newest_of_.bind_all(author, most);
      while (newest_of_.step()) {
        his.push_back({static_cast<std::uint64_t>(newest_of_.integer(0)), author, std::string{newest_of_.text(1)}});
      }
    }
    return all;
  }

  /// The post, and the statement for the replicas, in one transaction. The log's row number is the position.
  std::uint64_t insert(const post& p) {
    database_.exec("begin immediate");  // a writer takes his turn at the beginning
    insert_.run(p.id, p.author, p.text);
    log_.run(milliseconds_now(), p.id, p.author, p.text);
    const auto position = static_cast<std::uint64_t>(database_.last_insert_rowid());
    database_.exec("commit");
    return position;
  }

 private:
  template <class Number, class... Values>
  static std::vector<Number> numbers(banyan::sqlite_statement& query, const Values&... values) {
    std::vector<Number> all;
    query.bind_all(values...);
    while (query.step()) all.push_back(static_cast<Number>(query.integer(0)));
    return all;
  }

  banyan::sqlite_connection database_;
  banyan::sqlite_statement followed_by_ = database_.prepare("select followee from follow where follower = ?");
  banyan::sqlite_statement followers_of_ = database_.prepare("select follower from follow where followee = ?");
  banyan::sqlite_statement newest_of_ =
      database_.prepare("select id, text from post where author = ? order by id desc limit ?");
  banyan::sqlite_statement ids_ = database_.prepare("select id from post");
  banyan::sqlite_statement insert_ = database_.prepare("insert into post values (?, ?, ?)");
  banyan::sqlite_statement log_ = database_.prepare(
      "insert into log (written_at, statement) values (?, printf('insert into post values (%d, %d, %Q)', ?, ?, ?))");
};

void fill(const std::string& file, const social_feed::content& given) {
  banyan::sqlite_connection database{file};
  database.exec(
      "pragma journal_mode = wal;"
      "create table post (id integer primary key, author integer not null, text text not null);"
      "create index post_by_author on post (author, id);"
      "create table follow (follower integer, followee integer, primary key (follower, followee)) without rowid;"
      "create index follow_by_followee on follow (followee);"
      "create table log (position integer primary key, written_at integer not null, statement text not null);"
      "create table applied (position integer not null);"  // of a replica: how far it is in its primary's log
      "insert into applied values (0);"
      "begin");
  auto write = database.prepare("insert into post values (?, ?, ?)");
  for (const post& p : given.written) write.run(p.id, p.author, p.text);
  auto follow = database.prepare("insert into follow values (?, ?)");
  for (const auto& f : given.follows) follow.run(f.follower, f.followee);
  database.exec("commit; pragma wal_checkpoint(truncate)");  // all of it in the one file, which can then be copied
}

class server {
 public:
  server(std::string file, bool replica)
      : file_{std::move(file)},
        replica_{replica},
        watched_{file_, {.read_only = true}},
        position_{watched_.prepare(replica ? "select position from applied" : "select max(position) from log")} {}

  connection connect() { return connection{file_, replica_}; }

  banyan::replica_report progress() {
    position_.reset();
    if (!position_.step()) return {};
    const auto position = static_cast<std::uint64_t>(position_.integer(0));
    position_.reset();  // or the transaction would stay open
    return {.position = position};
  }

 private:
  std::string file_;
  bool replica_;
  banyan::sqlite_connection watched_;  // of the monitor alone
  banyan::sqlite_statement position_;
};

/// The part of a replica that keeps it up to date.
class replication {
 public:
  replication(const std::string& primary, const std::string& replica)
      : primary_{primary, {.read_only = true}}, replica_{replica}, thread_{[this] { run(); }} {}
  replication(const replication&) = delete;
  replication& operator=(const replication&) = delete;
  ~replication() {
    stop_ = true;
    thread_.join();
  }

 private:
  void run() try {
    while (!stop_) {
      apply_what_is_due();
      std::this_thread::sleep_for(2ms);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "replication: %s\n", error.what());  // the replica stays behind, and the reports say so
  }

  // Statements and position change together, so that a reader who sees the position sees what it stands for.
  void apply_what_is_due() {
    next_.bind_all(position_, milliseconds_now() - replication_lag.count());
    bool any = false;
    while (next_.step()) {
      if (!std::exchange(any, true)) replica_.exec("begin immediate");
      position_ = next_.integer(0);
      replica_.exec(std::string{next_.text(1)});
    }
    if (!any) return;
    applied_.run(position_);
    replica_.exec("commit");
  }

  banyan::sqlite_connection primary_;
  banyan::sqlite_connection replica_;
  banyan::sqlite_statement next_ =
      primary_.prepare("select position, statement from log where position > ? and written_at <= ? order by position");
  banyan::sqlite_statement applied_ = replica_.prepare("update applied set position = ?");
  std::int64_t position_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses all the others
};

/// Files in a folder of their own, removed at the end.
class databases {
 public:
  using server = ::server;

  databases() { std::filesystem::create_directory(folder_); }
  databases(const databases&) = delete;
  databases& operator=(const databases&) = delete;
  ~databases() {
    replications_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::vector<std::vector<std::unique_ptr<server>>> start(const std::vector<social_feed::content>& contents) {
    replications_.clear();
    std::vector<std::vector<std::unique_ptr<server>>> all;
    for (const auto& content : contents) {
      const std::string primary = new_file();
      fill(primary, content);
      auto& members = all.emplace_back();
      members.push_back(std::make_unique<server>(primary, false));
      for (std::size_t i = 0; i < replicas; ++i) {
        const std::string copy = new_file();
        std::filesystem::copy_file(primary, copy);
        replications_.push_back(std::make_unique<replication>(primary, copy));
        members.push_back(std::make_unique<server>(copy, true));
      }
    }
    return all;
  }

 private:
  std::string new_file() { return (folder_ / (std::to_string(files_++) + ".db")).string(); }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("banyan_social_feed_" + std::to_string(std::random_device{}()));
  int files_ = 0;
  std::vector<std::unique_ptr<replication>> replications_;
};

}  // namespace

int main() try {
  databases files;
  return social_feed::steps{files}.run() ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "social_feed_sqlite: %s\n", error.what());
  return EXIT_FAILURE;
}
