#pragma once

/// \file
/// What a Redis server answers, read by its C client, hiredis (Debian: libhiredis-dev).

#include <hiredis/hiredis.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <banyan/adapters/detail/client_failure.hpp>

namespace banyan {

/// What the server said, or what became of the connection. Functions that throw it print it and abort where exceptions
/// are off.
class redis_error : public std::runtime_error {
 public:
  /// The server refused: `words` as it sent them, the first of which is a code such as WRONGTYPE.
  [[nodiscard]] static redis_error refused(std::string_view words) {
    return redis_error{std::string{words}, std::string{words.substr(0, words.find(' '))}};
  }
  /// There is no answer, and never will be on this connection.
  [[nodiscard]] static redis_error broken(const std::string& what) { return redis_error{what, {}}; }

  /// The first word of what the server said: WRONGTYPE, NOSCRIPT, OOM, READONLY, LOADING, NOAUTH, MOVED, or ERR for
  /// most else. Empty when there was no answer.
  [[nodiscard]] const std::string& code() const noexcept { return code_; }

  /// There was no answer: the connection is closed, or the time was over. What was asked for may have happened.
  [[nodiscard]] bool broken() const noexcept { return code_.empty(); }

 private:
  redis_error(const std::string& what, std::string code) : std::runtime_error{what}, code_{std::move(code)} {}

  std::string code_;
};

/// One value of an answer: nothing, an integer, text, an error, or a list of such. Valid as long as its reply. A view:
/// copying and reading are O(1), thread-safe.
class redis_value {
 public:
  redis_value() noexcept = default;
  explicit redis_value(const redisReply* seen) noexcept : value_{seen} {}

  /// Nothing: a key that is not there, a transaction that was aborted.
  [[nodiscard]] bool is_nil() const noexcept { return value_ == nullptr || value_->type == REDIS_REPLY_NIL; }

  /// Errors stand only within lists, for one command of a transaction; others are thrown.
  [[nodiscard]] bool is_error() const noexcept { return value_ != nullptr && value_->type == REDIS_REPLY_ERROR; }

  /// Any bytes; also a status such as OK, and an error's words. None for all else.
  [[nodiscard]] std::optional<std::string_view> text() const noexcept {
    if (value_ == nullptr) return std::nullopt;
    switch (value_->type) {
      case REDIS_REPLY_STRING:
      case REDIS_REPLY_STATUS:
      case REDIS_REPLY_ERROR:
        return std::string_view{value_->str, static_cast<std::size_t>(value_->len)};
      default:
        return std::nullopt;
    }
  }

  /// None when it is not an integer; text that looks like one is text.
  [[nodiscard]] std::optional<std::int64_t> integer() const noexcept {
    if (value_ == nullptr || value_->type != REDIS_REPLY_INTEGER) return std::nullopt;
    return std::int64_t{value_->integer};
  }

  /// Of a list; 0 for all else.
  [[nodiscard]] std::size_t size() const noexcept {
    return value_ != nullptr && value_->type == REDIS_REPLY_ARRAY ? static_cast<std::size_t>(value_->elements) : 0;
  }

  /// Throws `std::out_of_range`.
  [[nodiscard]] redis_value operator[](std::size_t index) const {
    if (index >= size()) {
      detail::client_failure(
          std::out_of_range{"redis_value: no element " + std::to_string(index) + " of " + std::to_string(size())});
    }
    return redis_value{value_->element[index]};
  }

  [[nodiscard]] const redisReply* native() const noexcept { return value_; }

 private:
  const redisReply* value_ = nullptr;
};

/// An answer in memory, independent of its connection. Movable. Reading is thread-safe, O(1).
class redis_reply {
 public:
  /// Nothing.
  redis_reply() noexcept = default;
  /// Takes over what hiredis returned; may be null.
  explicit redis_reply(redisReply* taken) noexcept : reply_{taken} {}

  [[nodiscard]] redis_value value() const noexcept { return redis_value{reply_.get()}; }

  /// As for `redis_value`.
  [[nodiscard]] bool is_nil() const noexcept { return value().is_nil(); }
  [[nodiscard]] bool is_error() const noexcept { return value().is_error(); }
  [[nodiscard]] std::optional<std::string_view> text() const noexcept { return value().text(); }
  [[nodiscard]] std::optional<std::int64_t> integer() const noexcept { return value().integer(); }
  [[nodiscard]] std::size_t size() const noexcept { return value().size(); }
  [[nodiscard]] redis_value operator[](std::size_t index) const { return value()[index]; }

 private:
  struct release {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, release> reply_;
};

}  // namespace banyan
