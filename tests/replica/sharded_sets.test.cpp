#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <banyan/balance/random_choice.hpp>
#include <banyan/pool/connection_pool.hpp>
#include <banyan/replica/consistency_token_text.hpp>
#include <banyan/replica/replica_set.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/shard_map.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"

/// The full picture: a key belongs to a shard, that is a replica set, whose members are pools of connections.

namespace {

using banyan::consistency_token;
using banyan::read_outcome;
using banyan::shard_id;
using banyan::testing::random_source;

/// A database: of several writes to a key the last one counts.
struct server {
  std::vector<std::pair<std::string, int>> log{};

  [[nodiscard]] int get(const std::string& key) const {
    const auto last = std::find_if(log.rbegin(), log.rend(), [&](const auto& each) { return each.first == key; });
    return last == log.rend() ? 0 : last->second;
  }
};

struct connection {
  server* to;
};

using pool = banyan::connection_pool<connection>;
using set = banyan::replica_set<std::shared_ptr<pool>, banyan::random_choice>;

struct shard {
  std::shared_ptr<set> users;
  consistency_token moved_in{};  // with the keys that came from other shards
};

using shards = banyan::shard_map<banyan::hash_router<std::string>, shard>;
using session = std::map<shard_id, consistency_token>;  // a token for each shard that it has used

/// A primary and two replicas.
struct servers {
  explicit servers(shard_id id) {
    banyan::replica_set_options options{.name = "users " + std::to_string(id), .epoch = 1};
    options.primary_share = 1;
    options.balance.seed = id + 1;
    users = std::make_shared<set>(options);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto connections = std::make_shared<pool>(
          [to = &all[i]] { return connection{to}; },
          banyan::pool_options<connection>{.min = 0, .max = 2, .maintenance = banyan::pool_maintenance::caller});
      ids.push_back(i == 0 ? users->add_primary(connections) : users->add_replica(connections));
    }
  }
  void replicate(std::size_t to, std::size_t entries) {
    auto& log = all[to].log;
    for (; entries > 0 && log.size() < all[0].log.size(); --entries) log.push_back(all[0].log[log.size()]);
  }
  void report(std::size_t which) { users->report(ids[which], {.position = all[which].log.size(), .epoch = 1}); }

  std::array<server, 3> all{};
  std::vector<banyan::endpoint_id> ids{};
  std::shared_ptr<set> users;
};

void write(const shards& map, session& who, const std::string& key, int value) {
  const auto at = map.find(key);
  auto w = at->users->write();
  auto c = (*w)->acquire();
  auto& log = (*c)->to->log;
  log.emplace_back(key, value);
  w.wrote(who[at.shard()], log.size());
}

struct found {
  int value = 0;
  read_outcome from = read_outcome::no_primary;
};

found read_at(const shards::located& at, session& who, const std::string& key, bool with_what_moved = true) {
  consistency_token& token = who[at.shard()];
  if (with_what_moved) token.merge(at->moved_in);
  auto r = at->users->read(token, {.consistency = banyan::causal});
  auto c = (*r)->acquire();
  const found got{(*c)->to->get(key), r.outcome()};
  r.observed(token, (*c)->to->log.size());
  return got;
}

/// Sessions that write and read while shards come and go.
class world {
 public:
  explicit world(std::uint64_t seed, bool with_what_moved) : random_{seed}, with_what_moved_{with_what_moved} {}

  /// Whether some session misses what it has written or seen.
  bool misses(std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      const std::uint64_t what = random_.below(100);
      user& who = users_[random_.below(users_.size())];
      const std::string key = "user:" + std::to_string(random_.below(12));
      if (what < 20) {
        write(map_, who.tokens, key, ++last_);
        who.known[key] = last_;
      } else if (what < 60) {
        const found got = read_at(map_.find(key), who.tokens, key, with_what_moved_);
        if (got.value < who.known[key]) return true;
        if (got.from == read_outcome::replica) ++from_replicas;
        who.known[key] = got.value;
      } else if (what < 80) {
        servers_[random_.below(servers_.size())]->replicate(1 + random_.below(2), random_.below(12));
      } else if (what < 95) {
        servers_[random_.below(servers_.size())]->report(random_.below(3));
      } else if (what < 98) {
        travel(who);
      } else {
        random_.chance(1, 2) ? grow() : shrink();
      }
    }
    return false;
  }

  std::size_t from_replicas = 0;
  std::size_t moves = 0;

 private:
  struct user {
    session tokens;
    std::map<std::string, int> known;  // the value of the last it has written or seen
  };

  // Its tokens become text, and tokens again. What is of shards that are gone is of no use.
  void travel(user& who) const {
    std::map<shard_id, std::string> cookie;
    for (const auto& [id, token] : who.tokens) cookie[id] = to_text(token);
    who.tokens.clear();
    for (const auto& [id, text] : cookie) {
      if (const auto at = map_.at(id)) who.tokens[id] = at->users->parse(text).value();
    }
  }

  void grow() {
    const auto id = static_cast<shard_id>(servers_.size());
    if (id > 5) return;
    servers_.push_back(std::make_unique<servers>(id));
    serving_.push_back(id);
    map_.serve(id, {servers_[id]->users});
    move_to(map_.router().add(id));
  }

  void shrink() {
    if (serving_.size() < 2) return;
    const auto which = serving_.begin() + static_cast<std::ptrdiff_t>(random_.below(serving_.size()));
    const shard_id id = *which;
    serving_.erase(which);
    move_to(map_.router().remove(id));
    map_.remove(id);
  }

  // Whoever gets keys has written them; and whoever reads there from now on must see that.
  void move_to(const banyan::hash_router<std::string>& next) {
    std::map<shard_id, consistency_token> moved;
    for (int i = 0; i < 12; ++i) {
      const std::string key = "user:" + std::to_string(i);
      const shard_id from = map_.find(key).shard();
      const shard_id to = next.route(key);
      if (from == to) continue;
      ++moves;
      auto w = map_.at(to)->users->write();
      auto c = (*w)->acquire();
      (*c)->to->log.emplace_back(key, servers_[from]->all[0].get(key));
      w.wrote(moved[to], (*c)->to->log.size());
    }
    for (auto& [id, token] : moved) {
      const auto at = map_.at(id);
      token.merge(at->moved_in);
      map_.serve(id, {at->users, token});
    }
    map_.route_by(next);
  }

  random_source random_;
  bool with_what_moved_;
  std::vector<std::unique_ptr<servers>> servers_ = [] {
    std::vector<std::unique_ptr<servers>> all;
    for (shard_id id = 0; id < 2; ++id) all.push_back(std::make_unique<servers>(id));
    return all;
  }();
  std::vector<shard_id> serving_{0, 1};
  shards map_{banyan::hash_router<std::string>::consistent({0, 1}),
              {{0, shard{servers_[0]->users}}, {1, shard{servers_[1]->users}}}};
  std::vector<user> users_ = std::vector<user>(3);
  int last_ = 0;
};

}  // namespace

TEST_CASE("sharded sets: the example of the page", "[replica][shard]") {
  servers s0{0};
  servers s1{1};
  shards map{banyan::hash_router<std::string>::consistent({0, 1}), {{0, shard{s0.users}}, {1, shard{s1.users}}}};

  session mine;
  auto at = map.find("user:42");
  if (auto w = at->users->write()) {
    auto c = (*w)->acquire();
    (*c)->to->log.emplace_back("user:42", 1);
    w.wrote(mine[at.shard()], (*c)->to->log.size());
  }
  consistency_token wanted = mine[at.shard()];
  wanted.merge(at->moved_in);
  auto r = at->users->read(wanted, {.consistency = banyan::read_your_writes});
  REQUIRE(r);
  CHECK(r.outcome() == read_outcome::fallback);
  CHECK((*(*r)->acquire())->to->get("user:42") == 1);

  // The token of one shard is no token of another.
  const auto other = map.at(1 - at.shard());
  CHECK(other->users->read(wanted, {.consistency = banyan::read_your_writes}).outcome() == read_outcome::other_set);
  CHECK_FALSE(other->users->parse(to_text(wanted)));
}

TEST_CASE("sharded sets: sessions see what they have written and seen while shards come and go", "[replica][shard]") {
  random_source seeds{banyan::testing::derived_seed("sharded sets")};
  std::size_t from_replicas = 0;
  std::size_t moves = 0;
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t seed = seeds();
    CAPTURE(i, seed);
    world one{seed, true};
    REQUIRE_FALSE(one.misses(400));
    from_replicas += one.from_replicas;
    moves += one.moves;
  }
  CHECK(from_replicas > 60 * 5);
  CHECK(moves > 60 * 3);
}

TEST_CASE("sharded sets: without the token of what has moved, they do not", "[replica][shard]") {
  random_source seeds{banyan::testing::derived_seed("sharded sets, a token forgotten")};
  bool missed = false;
  for (int i = 0; i < 200 && !missed; ++i) missed = world{seeds(), false}.misses(400);
  CHECK(missed);
}

TEST_CASE("sharded sets: a look-up from before the reshard sees what was written before", "[replica][shard]") {
  servers s0{0};
  servers s1{1};
  shards map{banyan::hash_router<std::string>::consistent({0}), {{0, shard{s0.users}}}};
  session mine;
  write(map, mine, "user:1", 5);
  const auto before = map.find("user:1");
  s1.all[0].log.emplace_back("user:1", 5);
  consistency_token moved;
  s1.users->write().wrote(moved, 1);
  map.assign(banyan::hash_router<std::string>::consistent({1}), {{1, shard{s1.users, moved}}});
  CHECK(map.find("user:1").shard() == 1);
  CHECK(read_at(before, mine, "user:1").value == 5);  // kept alive, and still right
  CHECK(read_at(map.find("user:1"), mine, "user:1").value == 5);
}
