#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/name_index.hpp>
#include <banyan/balance/detail/pick_clock.hpp>
#include <banyan/cache/lru_cache.hpp>
#include <banyan/core/hash.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// A session stays where it was first sent, for as long as that endpoint may be picked. Where to send it first, and
/// everything without a session, is up to `Inner`.
///
/// A session is known by one of two things:
/// * the cookie (`pick_request::cookie`), made of the endpoint's name: whoever has it goes to that endpoint. Nothing is
///   stored, and it is as good on other machines and after a restart;
/// * else the key (`pick_request::key`): a table remembers the endpoint of each key, by name. It holds `max_sessions`;
///   the ones not used for longest are forgotten, and those not used for `session_ttl`.
///
/// When an endpoint drains, fails or is removed, its sessions move: with their next pick they are sent where `Inner`
/// says and stay there, also when the old endpoint comes back. But a pick that may not go to its session's endpoint
/// this time (`pick_request::avoid`) leaves the session where it is. When a key's first picks come at the same moment
/// from several threads, they may go to different endpoints; the key stays with one of these.
///
/// Unlike the affinity policies, nothing moves when endpoints join, and the load is as even as `Inner` makes it; but
/// each process knows the sessions that it has seen, and no others.
///
/// `choose` and `settled` are lock-free and O(1) beside what `Inner` does; they do not allocate, but for the thread's
/// first use of the global hazard domain; when that fails, the session is not known this time. With a `session_ttl`
/// they read the clock.
///
/// Memory: some 50 bytes a session, reserved at once and committed as they come; up to 64 bytes an endpoint.
template <balance_policy Inner>
class sticky {
 public:
  struct options {
    std::uint64_t max_sessions = 65'536;  ///< from 1 to 2^27
    /// After so long without a pick a session is forgotten; none: never. Positive.
    std::optional<std::chrono::nanoseconds> session_ttl{};
  };

  /// What `build` makes.
  class table {
   public:
    [[nodiscard]] const typename Inner::table& inner() const noexcept { return inner_; }

   private:
    friend sticky;
    table(typename Inner::table inner, detail::name_index names) : inner_{std::move(inner)}, names_{std::move(names)} {}

    typename Inner::table inner_;
    detail::name_index names_;
  };

  sticky() : sticky{options{}} {}

  /// Throws `std::invalid_argument`, `std::bad_alloc`.
  explicit sticky(options wanted, Inner inner = Inner{})
      : inner_{std::move(inner)}, sessions_{make_sessions(wanted)}, timed_{wanted.session_ttl.has_value()} {}

  /// Throws what that of `Inner` does, and `std::bad_alloc`.
  [[nodiscard]] table build(std::span<const candidate> candidates) {
    return table{inner_.build(candidates), detail::name_index{candidates}};
  }

  /// The candidate to which the request is bound; none if there is no session, or its endpoint is not among them.
  [[nodiscard]] std::uint32_t held(const table& made, std::span<const candidate>, pick_context& context) noexcept {
    const std::optional<std::uint64_t> name = session_of(context);
    return name ? made.names_.find(*name) : pick_context::none;
  }

  [[nodiscard]] std::uint32_t choose(const table& made, std::span<const candidate> candidates,
                                     pick_context& context) noexcept {
    if (context.attempt() == 0) {
      if (const std::optional<std::uint64_t> name = session_of(context)) {
        const std::uint32_t index = made.names_.find(*name);
        if (index == pick_context::none) {
          if (!context.request().cookie) forget(*name, context);
        } else if (!context.refused(index)) {
          return index;
        }
      }
    }
    return inner_.choose(made.inner_, candidates, context);
  }

  /// Remembers where a key's first pick went.
  void settled(const candidate& one, pick_context& context) noexcept {
    const std::optional<std::uint64_t>& key = context.request().key;
    if (key && !context.request().cookie) remember(*key, one.name_hash(), context);
    if constexpr (requires { inner_.settled(one, context); }) inner_.settled(one, context);
  }

  [[nodiscard]] Inner& inner() noexcept { return inner_; }
  [[nodiscard]] const Inner& inner() const noexcept { return inner_; }

  /// How many sessions the table knows, about. O(threads), lock-free.
  [[nodiscard]] std::uint64_t sessions() const noexcept { return sessions_->size(); }

 private:
  using table_of_sessions = lru_cache<std::uint64_t, std::uint64_t, seeded_hash, std::equal_to<>, detail::pick_clock>;
  using time = std::optional<detail::pick_clock::time_point>;

  [[nodiscard]] static std::unique_ptr<table_of_sessions> make_sessions(const options& wanted) {
    if (wanted.max_sessions == 0 || wanted.max_sessions > std::uint64_t{1} << 27)
      invalid_option("sticky::options.max_sessions", wanted.max_sessions, "must be from 1 to 2^27");
    if (wanted.session_ttl && wanted.session_ttl->count() <= 0)
      invalid_option("sticky::options.session_ttl", wanted.session_ttl->count(), "must be positive (nanoseconds)");
    typename table_of_sessions::options how;
    how.capacity = wanted.max_sessions;
    how.idle_ttl = wanted.session_ttl;
    return std::make_unique<table_of_sessions>(std::move(how));
  }

  [[nodiscard]] time now(pick_context& context) const noexcept {
    if (!timed_) return std::nullopt;
    return detail::pick_clock::time_point{std::chrono::nanoseconds{context.now()}};
  }

  // What goes wrong in the table is lack of memory, which must not cost the pick.
  template <class F>
  static void unless_out_of_memory(F f) noexcept {
#if defined(__cpp_exceptions)
    try {
      f();
    } catch (...) {
    }
#else
    f();
#endif
  }

  [[nodiscard]] std::optional<std::uint64_t> session_of(pick_context& context) noexcept {
    const pick_request& request = context.request();
    if (request.cookie) return request.cookie;
    std::optional<std::uint64_t> name;
    if (request.key) unless_out_of_memory([&] { name = sessions_->get(*request.key, now(context)); });
    return name;
  }

  void remember(std::uint64_t key, std::uint64_t name, pick_context& context) noexcept {
    unless_out_of_memory([&] {
      if (!sessions_->contains(key, now(context))) sessions_->put_if_absent(key, name, {}, now(context));
    });
  }

  // The session's endpoint is gone: unless another pick has moved the session meanwhile.
  void forget(std::uint64_t name, pick_context& context) noexcept {
    unless_out_of_memory([&] {
      sessions_->compute(
          *context.request().key,
          [name](const std::uint64_t* known) {
            return known == nullptr || *known == name ? std::nullopt : std::optional{*known};
          },
          {}, now(context));
    });
  }

  Inner inner_;
  std::unique_ptr<table_of_sessions> sessions_;
  bool timed_;
};

}  // namespace banyan
