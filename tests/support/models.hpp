#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>

/// Sequential models for the checker in linearizability.hpp: a register, a counter, one key of a map, one key of a
/// cache.
///
///     using op = keyed_operation<int, int>;
///     history_recorder<op, keyed_result<int>> recorder{4, 1000};
///     recorder.record(t, op::get(key), [&] { return keyed_result<int>::value(cache.get(key)); });
///     recorder.record(t, op::put(key, v), [&] { cache.put(key, v); return keyed_result<int>::done(); });
///     recorder.record(t, op::erase(key), [&] { return keyed_result<int>::flag(cache.erase(key)); });
///     check_by_key(cache_model<int, int>{}, recorder.calls(), [](const op& o) { return o.key; });
///
/// Give every write a value of its own: a stale read of a value that was written twice cannot be told from a fresh one.
namespace banyan::testing {

/// A register: `read` returns what the last `write` wrote; `compare_exchange` writes if it finds what it expects.
template <class Value>
struct register_model {
  enum class kind { read, write, compare_exchange };
  struct operation {
    kind what = kind::read;
    Value value{};     // what to write
    Value expected{};  // for compare_exchange
  };
  struct result {
    Value value{};          // read: what was read
    bool exchanged = true;  // compare_exchange
  };
  using state = Value;

  Value initial_value{};

  state initial() const { return initial_value; }

  bool apply(state& current, const operation& op, const result* answer) const {
    switch (op.what) {
      case kind::read:
        return answer == nullptr || answer->value == current;
      case kind::write:
        current = op.value;
        return true;
      case kind::compare_exchange: {
        const bool exchanged = current == op.expected;
        if (exchanged) current = op.value;
        return answer == nullptr || answer->exchanged == exchanged;
      }
    }
    return false;
  }

  std::string describe(const operation& op, const result* answer) const {
    std::ostringstream out;
    switch (op.what) {
      case kind::read:
        out << "read";
        break;
      case kind::write:
        out << "write(" << op.value << ")";
        break;
      case kind::compare_exchange:
        out << "compare_exchange(" << op.expected << ", " << op.value << ")";
        break;
    }
    if (answer == nullptr) {
      out << " pending";
    } else if (op.what == kind::read) {
      out << " -> " << answer->value;
    } else if (op.what == kind::compare_exchange) {
      out << (answer->exchanged ? " -> exchanged" : " -> refused");
    }
    return out.str();
  }
};

/// A counter: each operation adds a number (0 to read) and returns what was there before.
struct counter_model {
  using operation = long;
  using result = long;
  using state = long;

  state initial() const { return 0; }
  bool apply(state& current, const operation& add, const result* before) const {
    const bool right = before == nullptr || *before == current;
    current += add;
    return right;
  }
  std::string describe(const operation& add, const result* before) const {
    return "fetch_add(" + std::to_string(add) + ")" +
           (before == nullptr ? std::string{" pending"} : " -> " + std::to_string(*before));
  }
};

enum class keyed_kind { get, put, put_if_absent, erase, exchange };

/// An operation on one key of a map or cache. `exchange` is a `compute(key, f)` whose f ignores what it sees and
/// stores `value`; its result is what f saw. That suffices to find a compute that is not atomic.
template <class Key, class Value>
struct keyed_operation {
  keyed_kind what = keyed_kind::get;
  Key key{};
  Value value{};

  static keyed_operation get(Key key) { return {keyed_kind::get, std::move(key), Value{}}; }
  static keyed_operation put(Key key, Value value) { return {keyed_kind::put, std::move(key), std::move(value)}; }
  static keyed_operation put_if_absent(Key key, Value value) {
    return {keyed_kind::put_if_absent, std::move(key), std::move(value)};
  }
  static keyed_operation erase(Key key) { return {keyed_kind::erase, std::move(key), Value{}}; }
  static keyed_operation exchange(Key key, Value value) {
    return {keyed_kind::exchange, std::move(key), std::move(value)};
  }
};

/// What such an operation returned: get, exchange: the value seen, if any; erase: whether there was something to erase;
/// put_if_absent: whether it inserted, or, where the component returns it, the value that was in the way; put: nothing.
template <class Value>
struct keyed_result {
  std::optional<Value> seen{};
  bool yes = false;

  static keyed_result value(std::optional<Value> seen) { return {std::move(seen), false}; }
  static keyed_result flag(bool yes) { return {std::nullopt, yes}; }
  static keyed_result done() { return {}; }
};

namespace detail {

template <class Key, class Value>
std::string describe_keyed(const keyed_operation<Key, Value>& op, const keyed_result<Value>* answer) {
  std::ostringstream out;
  switch (op.what) {
    case keyed_kind::get:
      out << "get(" << op.key << ")";
      break;
    case keyed_kind::put:
      out << "put(" << op.key << ", " << op.value << ")";
      break;
    case keyed_kind::put_if_absent:
      out << "put_if_absent(" << op.key << ", " << op.value << ")";
      break;
    case keyed_kind::erase:
      out << "erase(" << op.key << ")";
      break;
    case keyed_kind::exchange:
      out << "exchange(" << op.key << ", " << op.value << ")";
      break;
  }
  if (answer == nullptr) {
    out << " pending";
    return out.str();
  }
  const bool sees = op.what == keyed_kind::get || op.what == keyed_kind::exchange;
  if (op.what == keyed_kind::erase || op.what == keyed_kind::put_if_absent) {
    out << (answer->yes ? " -> true" : " -> false");
  }
  if (answer->seen.has_value()) {
    out << (sees ? " -> " : ", seen ") << *answer->seen;
  } else if (sees) {
    out << " -> nothing";
  }
  return out.str();
}

template <class Value>
std::size_t hash_optional(const std::optional<Value>& value) {
  if constexpr (requires { std::hash<Value>{}(*value); }) {
    return value.has_value() ? std::hash<Value>{}(*value) * 2 + 1 : 0;
  } else {
    return value.has_value() ? 1 : 0;
  }
}

}  // namespace detail

/// One key of a map that forgets nothing. Use with `check_by_key`.
template <class Key, class Value>
struct map_model {
  using operation = keyed_operation<Key, Value>;
  using result = keyed_result<Value>;
  using state = std::optional<Value>;

  state initial() const { return std::nullopt; }

  bool apply(state& current, const operation& op, const result* answer) const {
    const state before = current;
    switch (op.what) {
      case keyed_kind::get:
        return answer == nullptr || answer->seen == before;
      case keyed_kind::put:
        current = op.value;
        return true;
      case keyed_kind::exchange:
        current = op.value;
        return answer == nullptr || answer->seen == before;
      case keyed_kind::put_if_absent:
        if (!before.has_value()) current = op.value;
        return answer == nullptr || (answer->yes == !before.has_value() &&
                                     (!answer->seen.has_value() || answer->yes || answer->seen == before));
      case keyed_kind::erase:
        current.reset();
        return answer == nullptr || answer->yes == before.has_value();
    }
    return false;
  }

  std::size_t hash(const state& current) const { return detail::hash_optional(current); }
  std::string describe(const operation& op, const result* answer) const { return detail::describe_keyed(op, answer); }
};

/// What a miss says about later hits.
enum class cache_misses {
  /// A miss may happen at any time and means nothing: a later get may hit the value again. The weakest useful promise.
  mean_nothing,
  /// A miss means that the entry is gone: only a new write brings a value back.
  mean_gone,
};

/// One key of a cache that evicts when it likes (also right after the write, as an admission policy does). A hit must
/// return the value that was current at some moment within the call: never one that was overwritten or erased before
/// the call began, never one that nobody wrote. Use with `check_by_key`.
///
/// Evictions are not recorded, so the model places one wherever the result needs it; that choice is always the right
/// one, because forgetting earlier or at other times only forbids more.
template <class Key, class Value, cache_misses Misses = cache_misses::mean_nothing>
struct cache_model {
  using operation = keyed_operation<Key, Value>;
  using result = keyed_result<Value>;
  using state = std::optional<Value>;

  state initial() const { return std::nullopt; }

  bool apply(state& current, const operation& op, const result* answer) const {
    switch (op.what) {
      case keyed_kind::get:
        if (answer == nullptr) return true;
        return saw(current, *answer);
      case keyed_kind::put:
        current = op.value;
        return true;
      case keyed_kind::exchange: {
        const bool right = answer == nullptr || saw(current, *answer);
        current = op.value;
        return right;
      }
      case keyed_kind::put_if_absent:
        if (answer == nullptr) {
          // Pending: whether it inserts depends on an eviction nobody saw. Assume that it does when it can; a history
          // in which it must not have is covered by leaving the pending call out.
          current = op.value;
          return true;
        }
        if (answer->yes) {
          current = op.value;
          return true;
        }
        return current.has_value() && (!answer->seen.has_value() || answer->seen == current);
      case keyed_kind::erase: {
        const bool right = answer == nullptr || !answer->yes || current.has_value();
        current.reset();
        return right;
      }
    }
    return false;
  }

  std::size_t hash(const state& current) const { return detail::hash_optional(current); }
  std::string describe(const operation& op, const result* answer) const { return detail::describe_keyed(op, answer); }

 private:
  static bool saw(state& current, const result& answer) {
    if (answer.seen.has_value()) return answer.seen == current;
    if constexpr (Misses == cache_misses::mean_gone) current.reset();
    return true;
  }
};

}  // namespace banyan::testing
