#pragma once

/// \file
/// Sessions in Redis, for `session_store`. Link with `-lhiredis` (Debian: libhiredis-dev).

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <banyan/adapters/detail/client_failure.hpp>
#include <banyan/adapters/detail/redis_session_script.hpp>
#include <banyan/adapters/redis.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/pool/connection_pool.hpp>
#include <banyan/session/session_backend.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan {

struct redis_session_backend_options {
  std::string prefix = "session:";  ///< before the id, in the name of the key; any bytes
  /// For a call: waiting for a connection, and the answer. From 1 ms to an hour.
  std::chrono::milliseconds timeout = std::chrono::milliseconds{250};
};

/// Sessions in Redis, which all machines share. A `session_backend`.
///
///     banyan::connection_pool<banyan::redis_connection> redis{
///         [] { return banyan::redis_connection::connect({.host = "redis"}); },
///         {.validate = [](auto& c) { return c.is_open(); }, .validate_after = 0ns}};
///     banyan::redis_session_backend backend{redis};
///
/// One key and one round trip a call, two when the server does not have the script, which it then keeps. Redis removes
/// a session a minute after its time. What it promises beyond a crash is up to the server: with `appendfsync everysec`
/// the last second may be lost, at a failover what the replica had not heard of; an evicting `maxmemory-policy` logs
/// users out. With `noeviction` a full server is `full`. Needs Redis 5 or later.
///
/// Thread-safe; blocks up to `timeout`. That an answer is lost or late, what the server refuses, and why there is no
/// connection is thrown (`redis_error`), which `session_store` takes as `unavailable` and tells `on_failure`. The pool
/// must outlive it.
class redis_session_backend {
 public:
  using pool = connection_pool<redis_connection>;

  /// Does not ask Redis. Throws `std::invalid_argument`.
  explicit redis_session_backend(pool& connections, redis_session_backend_options options = {})
      : pool_{&connections}, options_{std::move(options)} {
    if (options_.timeout.count() < 1 || options_.timeout > std::chrono::hours{1}) {
      invalid_option("redis_session_backend_options.timeout", options_.timeout.count(), "must be from 1 ms to an hour");
    }
  }

  [[nodiscard]] expected<session_record, session_errc> get(const session_id& id, session_time now) {
    const std::string key = key_of(id);
    const std::array<std::string_view, 7> words{"HMGET", key, "v", "s", "c", "e", "d"};
    const auto answer = ask([&](redis_connection& to, auto left) { return to.try_command(words, left()); });
    if (!answer) return unexpected{answer.error()};
    const redis_value fields = answer->value();
    if (fields.size() != 5) return unexpected{session_errc::corrupt};
    if (fields[0].is_nil()) return unexpected{session_errc::not_found};
    const auto version = number<std::uint64_t>(fields[0]);
    const auto state = number<int>(fields[1]);
    const auto created = number<std::int64_t>(fields[2]);
    const auto expires = number<std::int64_t>(fields[3]);
    const auto data = fields[4].text();
    if (!version || !state || !created || !expires || !data) return unexpected{session_errc::corrupt};
    if (*state != 0 && *state != 1) return unexpected{session_errc::corrupt};
    if (*expires <= ticks(now)) return unexpected{session_errc::not_found};
    return session_record{.data = std::string{*data},
                          .version = *version,
                          .created = time(*created),
                          .expires = time(*expires),
                          .state = static_cast<session_state>(*state)};
  }

  expected<void, session_errc> put(const session_id& id, const session_record& record, std::uint64_t expected_version,
                                   session_time now) {
    return change(id, "put", expected_version, now, std::to_string(ticks(record.expires)),
                  std::to_string(record.version), std::to_string(static_cast<int>(record.state)),
                  std::to_string(ticks(record.created)), std::string_view{record.data});
  }

  expected<void, session_errc> touch(const session_id& id, std::uint64_t version, session_time expires,
                                     session_time now) {
    return change(id, "touch", version, now, std::to_string(ticks(expires)));
  }

  expected<void, session_errc> erase(const session_id& id, std::uint64_t version, session_time now) {
    return change(id, "erase", version, now);
  }

 private:
  using result = expected<redis_reply, session_errc>;

  static std::int64_t ticks(session_time t) noexcept { return t.time_since_epoch().count(); }
  static session_time time(std::int64_t ticks) noexcept { return session_time{std::chrono::milliseconds{ticks}}; }

  template <std::integral Number>
  static std::optional<Number> number(const redis_value& value) noexcept {
    const auto text = value.text();
    if (!text) return std::nullopt;
    Number read{};
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), read);
    if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return read;
  }

  [[nodiscard]] std::string key_of(const session_id& id) const { return options_.prefix + std::string{id.text()}; }

  template <class... More>
  expected<void, session_errc> change(const session_id& id, std::string_view what, std::uint64_t version,
                                      session_time now, const More&... more) {
    const std::string key = key_of(id);
    const std::string from = std::to_string(version);
    const std::string at = std::to_string(ticks(now));
    std::array<std::string_view, 7 + sizeof...(more)> words{
        "EVALSHA", detail::redis_session_script::sha1, "1", key, what, from, at, std::string_view{more}...};
    const result answer = ask([&](redis_connection& to, auto left) {
      auto said = to.try_command(words, left());
      if (!said && said.error().code() == "NOSCRIPT") {
        words[0] = "EVAL";
        words[1] = detail::redis_session_script::script;
        said = to.try_command(words, left());
      }
      return said;
    });
    if (!answer) return unexpected{answer.error()};
    switch (answer->integer().value_or(-1)) {
      case 0:
        return {};
      case 1:
        return unexpected{session_errc::conflict};
      case 2:
        return unexpected{session_errc::not_found};
      default:
        return unexpected{session_errc::unavailable};
    }
  }

  template <class F>
  result ask(F f) {
    const auto until = steady_clock::now() + options_.timeout;
    const auto left = [until]() -> std::chrono::nanoseconds {
      return std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds{0}, until - steady_clock::now());
    };
    auto lent = pool_->acquire({.tag = "redis_session_backend", .timeout = left()});
    if (!lent) {
#if defined(__cpp_exceptions)
      if (const std::exception_ptr& cause = lent.error().cause()) std::rethrow_exception(cause);
#endif
      return no_answer(redis_error::broken(lent.error().message()));
    }
    auto said = f(**lent, left);
    if (said) return std::move(*said);
    const redis_error& error = said.error();
    if (error.broken()) {
      lent->discard();
      return no_answer(error);
    }
    if (error.code() == "OOM") return unexpected{session_errc::full};
    // Of this key alone: that somebody's cookie names it must not count against the server.
    if (error.code() == "WRONGTYPE") return unexpected{session_errc::corrupt};
    detail::client_failure(error);
  }

  // Thrown, so that who is told of failures learns why.
  static result no_answer([[maybe_unused]] const redis_error& why) {
#if defined(__cpp_exceptions)
    throw why;
#else
    return unexpected{session_errc::unavailable};
#endif
  }

  pool* pool_;
  redis_session_backend_options options_;
};

static_assert(session_backend<redis_session_backend>);

}  // namespace banyan
