#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/core/published.hpp>
#include <banyan/shard/detail/served_shards.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/reshard_plan.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>
#include <banyan/shard/shard_lookup.hpp>

namespace banyan {

/// Which shard a key belongs to, and what serves it (a pool, a replica set, an address), for many threads that ask
/// while others change it.
///
///     banyan::shard_map<banyan::hash_router<std::string>, pool> map{
///         banyan::hash_router<std::string>::consistent({0, 1}), {{0, pool_0}, {1, pool_1}}};
///     if (auto at = map.find("user:42")) at->query(...);                    // stays alive while `at` does
///     map.serve(2, pool_2);
///     map.update([](const auto& router) { return router.add(2); });
///
/// Each change makes a new map beside the one in use and swaps it in: readers see all of a change or nothing of it.
/// Each raises the version by one or more; the versions that one thread sees never go back. A caller that remembers
/// what it routed by (`find(key, version)`) is told when that has changed since: a session that holds cached rows, a
/// client of this process that sends the version along.
///
/// Every shard that the router names is served by something: a change that would break that is refused. A shard may be
/// served before keys are routed to it, and has to be.
///
/// Thread-safe but for construction and destruction; what serves takes care of itself. Look-ups are lock-free, write to
/// no shared cache line, and throw `std::bad_alloc` at a thread's first use or when it holds more than eight of them,
/// and what the router throws. Changes are lock-free apart from the destructors of what nobody serves by any more,
/// O(size of the router and shards), and change nothing when they throw. A server that was replaced is destroyed by the
/// next change that finds it unused, on that thread, or by whoever shares it last.
template <router Router, class T>
class shard_map {
  struct state {
    Router router;
    detail::served_shards<T> served;
    std::uint64_t version = 1;
  };
  using pin_type = typename published<state>::pin;

 public:
  using router_type = Router;
  using value_type = T;

  /// A shard and what serves it: a shared pointer, or a `T` that moves in.
  struct entry {
    entry(shard_id id, std::shared_ptr<T> server) noexcept : shard{id}, by{std::move(server)} {}
    entry(shard_id id, T server) requires std::move_constructible<T>
        : shard{id}, by{std::make_shared<T>(std::move(server))} {}

    shard_id shard;
    std::shared_ptr<T> by;
  };

  /// What a look-up found; keeps it alive. A local variable of the thread that asked; `share` is for what lasts longer
  /// or goes elsewhere.
  class located {
   public:
    /// Whether there is something to use.
    [[nodiscard]] explicit operator bool() const noexcept { return server_ != nullptr; }
    [[nodiscard]] T& operator*() const noexcept { return **server_; }
    [[nodiscard]] T* operator->() const noexcept { return server_->get(); }
    [[nodiscard]] shard_lookup status() const noexcept { return status_; }
    /// Where the key belongs by the map as it is, also for a caller that is stale; `no_shard` where nobody is.
    [[nodiscard]] shard_id shard() const noexcept { return shard_; }
    /// The version of the map that answered.
    [[nodiscard]] std::uint64_t version() const noexcept { return pin_->version; }
    /// Null where there is nothing.
    [[nodiscard]] std::shared_ptr<T> share() const noexcept { return server_ == nullptr ? nullptr : *server_; }

   private:
    friend shard_map;
    template <class Find>
    located(const published<state>& from, std::optional<std::uint64_t> expected, Find find)
        : pin_{from.read()}, shard_{find(*pin_)} {
      if (expected && *expected != pin_->version) {
        status_ = *expected < pin_->version ? shard_lookup::stale : shard_lookup::ahead;
        return;
      }
      server_ = pin_->served.find(shard_);
      status_ = server_ == nullptr ? shard_lookup::nobody : shard_lookup::found;
    }

    pin_type pin_;
    shard_id shard_;
    const std::shared_ptr<T>* server_ = nullptr;
    shard_lookup status_ = shard_lookup::nobody;
  };

  /// The map of one moment, for several look-ups that must agree. A local variable, as `located`.
  class view {
   public:
    [[nodiscard]] const Router& router() const noexcept { return pin_->router; }
    [[nodiscard]] std::uint64_t version() const noexcept { return pin_->version; }
    /// Shards that are served, ascending.
    [[nodiscard]] const std::vector<shard_id>& served() const noexcept { return pin_->served.ids(); }
    /// What serves a shard; null when nothing does.
    [[nodiscard]] T* at(shard_id shard) const noexcept {
      const std::shared_ptr<T>* const server = pin_->served.find(shard);
      return server == nullptr ? nullptr : server->get();
    }
    /// What serves a key; null when nobody is responsible.
    template <class Key>
    [[nodiscard]] T* find(const Key& key) const requires router_for<Router, Key> {
      return at(pin_->router.route(key));
    }

   private:
    friend shard_map;
    explicit view(const published<state>& from) : pin_{from.read()} {}
    pin_type pin_;
  };

  /// Throws `std::invalid_argument` for a shard of the router without a server, one that is served twice, `no_shard`, a
  /// null pointer; `std::bad_alloc`.
  shard_map(Router router, std::vector<entry> serving)
      : current_{checked({std::move(router), collected(std::move(serving)), 1})} {}

  /// What serves a key. Lock-free; the cost of the router, and O(1) where shards are numbered from 0 on, else O(log
  /// shards).
  template <class Key>
  [[nodiscard]] located find(const Key& key) const requires router_for<Router, Key> {
    return {current_, std::nullopt, [&](const state& now) { return now.router.route(key); }};
  }

  /// As `find`, for a caller that knows the map by `version`: finds nothing when that is not the map's (see `status`).
  template <class Key>
  [[nodiscard]] located find(const Key& key, std::uint64_t version) const requires router_for<Router, Key> {
    return {current_, version, [&](const state& now) { return now.router.route(key); }};
  }

  /// What serves a shard.
  [[nodiscard]] located at(shard_id shard) const {
    return {current_, std::nullopt, [&](const state&) { return shard; }};
  }

  /// Pins the map as it is. Lock-free.
  [[nodiscard]] view read() const { return view{current_}; }
  [[nodiscard]] std::uint64_t version() const { return current_.read()->version; }

  /// A copy. Lock-free but for copying.
  [[nodiscard]] Router router() const { return current_.read()->router; }

  /// Lets `server` serve a shard, instead of what did; true when the shard was not served before. Throws
  /// `std::invalid_argument` for `no_shard` and a null pointer.
  bool serve(shard_id shard, std::shared_ptr<T> server) {
    bool added = false;
    change([&](state& next) {
      added = next.served.set(shard, server);
      return true;
    });
    return added;
  }
  bool serve(shard_id shard, T server) requires std::move_constructible<T> {
    return serve(shard, std::make_shared<T>(std::move(server)));
  }

  /// Forgets what serves a shard; false, and nothing changes, when nothing does. Throws `std::invalid_argument` while
  /// the router names it.
  bool remove(shard_id shard) {
    return change([&](state& next) {
      if (!next.served.erase(shard)) return false;
      static_cast<void>(checked_router(next));
      return true;
    });
  }

  /// Routes by another router from now on. False, and nothing changes, unless its version is above the present one's:
  /// so of two who change the same router one loses, and knows. To go back, give the old router a new version. Throws
  /// `std::invalid_argument` when it names a shard that is not served.
  bool route_by(const Router& router) {
    return change([&](state& next) {
      if (router.version() <= next.router.version()) return false;
      next.router = router;
      static_cast<void>(checked_router(next));
      return true;
    });
  }

  /// Routes by what `f(const Router&)` makes of the present router; `f` is called again when another change came
  /// first, so it must not change the map itself. False, and nothing changes, when it gives a router that is not newer.
  /// Throws what `f` throws, and as `route_by`.
  template <class F>
  bool update(F f) {
    return change([&](state& next) {
      Router fresh = f(std::as_const(next.router));
      if (fresh.version() <= next.router.version()) return false;
      next.router = std::move(fresh);
      static_cast<void>(checked_router(next));
      return true;
    });
  }

  /// Routes by the new router of a plan. False, and nothing changes, when the router has changed since the plan was
  /// made: plan again. Throws `std::invalid_argument` when `router` is not the one that was planned with, when its
  /// version is not above the old one's, and when it names a shard that is not served.
  bool adopt(const reshard_plan& plan, const Router& router) {
    if (router.version() != plan.new_version) {
      invalid_option("reshard_plan.new_version", plan.new_version, "must be that of the router given");
    }
    if (plan.new_version <= plan.old_version) {
      invalid_option("reshard_plan.new_version", plan.new_version, "must be above the old one: see with_version");
    }
    return change([&](state& next) {
      if (next.router.version() != plan.old_version) return false;
      next.router = router;
      static_cast<void>(checked_router(next));
      return true;
    });
  }

  /// Replaces everything, whatever the router's version, under the version after the present one. Throws as the
  /// constructor does.
  void assign(Router router, std::vector<entry> serving) {
    const state fresh = checked({std::move(router), collected(std::move(serving)), 0});
    change([&](state& next) {
      next.router = fresh.router;
      next.served = fresh.served;
      return true;
    });
  }

  /// As above, under a version of the caller's, such as that of the configuration it was read from, so that processes
  /// mean the same by it. False, and nothing changes, unless it is above the present one.
  bool assign(Router router, std::vector<entry> serving, std::uint64_t version) {
    const state fresh = checked({std::move(router), collected(std::move(serving)), version});
    return change([&](state& next) {
      if (version <= next.version) return false;
      next = fresh;
      --next.version;  // change() adds one
      return true;
    });
  }

 private:
  [[nodiscard]] static detail::served_shards<T> collected(std::vector<entry> serving) {
    detail::served_shards<T> served;
    for (entry& e : serving) {
      if (!served.set(e.shard, std::move(e.by))) {
        invalid_option("shard_map.serving", e.shard, "must not be there twice");
      }
    }
    return served;
  }

  static const Router& checked_router(const state& next) {
    for (const shard_id id : next.router.shards()) {
      if (next.served.find(id) == nullptr) invalid_option("shard_map.router", id, "must name shards that are served");
    }
    return next.router;
  }

  [[nodiscard]] static state checked(state next) {
    static_cast<void>(checked_router(next));
    return next;
  }

  /// `f(state&)` changes a copy, and says whether there was something to change.
  template <class F>
  bool change(F f) {
    std::optional<state> prepared;
    std::uint64_t seen = 0;
    {
      const pin_type now = current_.read();
      seen = now->version;
      prepared = *now;
      if (!f(*prepared)) return false;
      ++prepared->version;
    }
    bool changed = true;
    current_.update([&](const state& old) {
      // A version stands for one content: what was prepared for it still holds.
      if (prepared && old.version == seen) return *std::exchange(prepared, std::nullopt);
      prepared.reset();
      state next = old;
      changed = f(next);
      if (!changed) return old;
      ++next.version;
      return next;
    });
    return changed;
  }

  published<state> current_;
};

}  // namespace banyan
