#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "support/history.hpp"

/// A linearizability checker: is there an order of all recorded calls that a single thread could have produced, and
/// that keeps every call between its invocation and its response?
///
///     const linearizability_report report = check_linearizable(register_model<int>{}, recorder.calls());
///     INFO(report.explanation);
///     REQUIRE(report.linearizable());
///
/// The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993), with Lowe's pruning: a
/// configuration (the set of calls placed so far, and the state they lead to) that has been seen is not searched again
/// (Testing for linearizability, 2017). `check_by_key` checks the calls of each key alone, which is sound because
/// linearizability is local (Herlihy and Wing, 1990) and is what makes long histories affordable (Horn and Kroening,
/// Faster linearizability checking via P-compositionality, 2015).
namespace banyan::testing {

/// What the checked thing should do, as if called by one thread. `apply` changes the state and says whether the result
/// is one the operation may have in that state; a null result stands for a pending call, which may have any.
/// Where an operation may end in several states, choose by the result (see cache_model).
///
/// Optional members: `std::size_t hash(const state&) const`, used if there is no std::hash of the state;
/// `std::string describe(const operation&, const result*) const`, used in the explanation.
template <class M>
concept sequential_model = std::equality_comparable<typename M::state> && std::copyable<typename M::state> &&
    requires(const M& model, typename M::state& state, const typename M::operation& operation,
             const typename M::result* result) {
  { model.initial() } -> std::convertible_to<typename M::state>;
  { model.apply(state, operation, result) } -> std::same_as<bool>;
};

template <sequential_model M>
using call_of = recorded_call<typename M::operation, typename M::result>;

enum class linearizability { linearizable, not_linearizable, undecided };

struct linearizability_report {
  linearizability verdict = linearizability::undecided;
  std::uint64_t steps = 0;    ///< calls tried in the search
  std::size_t prefix = 0;     ///< not_linearizable: how many calls had begun when the history went wrong
  std::string explanation{};  ///< for people
  bool linearizable() const noexcept { return verdict == linearizability::linearizable; }
};

struct linearizability_options {
  std::uint64_t max_steps = 20'000'000;  ///< then undecided. Memory: about one bit per call and step, at worst
  std::size_t shown = 24;                ///< calls in the explanation
};

namespace detail {

template <sequential_model M>
std::size_t hash_state(const M& model, const typename M::state& state) {
  if constexpr (requires {
                  { model.hash(state) } -> std::convertible_to<std::size_t>;
                }) {
    return model.hash(state);
  } else if constexpr (requires { std::hash<typename M::state>{}(state); }) {
    return std::hash<typename M::state>{}(state);
  } else {
    return 0;
  }
}

/// Which calls have been placed, with a hash that is kept up to date bit by bit.
struct placed_set {
  std::vector<std::uint64_t> words;
  std::uint64_t hash = 0;

  void flip(std::size_t index) {
    words[index / 64] ^= std::uint64_t{1} << (index % 64);
    std::uint64_t x = (index + 1) * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    hash ^= x ^ (x >> 27);
  }
};

/// The search over the calls that began before `end`; those that had not responded by then count as pending.
template <sequential_model M>
class linearizability_search {
 public:
  linearizability_search(const M& model, const std::vector<call_of<M>>& calls, std::uint64_t end)
      : model_{model}, calls_{calls} {
    struct moment {
      std::uint64_t time;
      std::size_t call;
      bool response;
    };
    std::vector<moment> moments;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (calls[i].invoked >= end) continue;
      moments.push_back({calls[i].invoked, i, false});
      if (!calls[i].pending() && calls[i].responded < end) {
        moments.push_back({calls[i].responded, i, true});
        ++left_;
      }
    }
    std::sort(moments.begin(), moments.end(), [](const moment& a, const moment& b) { return a.time < b.time; });
    // Entry 0 is both ends of a circular list; the rest are invocations and responses by time.
    entries_.resize(moments.size() + 1);
    std::vector<std::size_t> invocation(calls.size(), 0);
    for (std::size_t i = 0; i <= moments.size(); ++i) {
      entry& each = entries_[i];
      each.previous = i == 0 ? moments.size() : i - 1;
      each.next = i == moments.size() ? 0 : i + 1;
      if (i == 0) continue;
      each.call = moments[i - 1].call;
      each.is_response = moments[i - 1].response;
      if (each.is_response) {
        entries_[invocation[each.call]].response = i;
      } else {
        invocation[each.call] = i;
      }
    }
    placed_.words.resize((calls.size() + 63) / 64);
  }

  linearizability run(std::uint64_t max_steps) {
    typename M::state state = model_.initial();
    std::size_t at = entries_[0].next;
    while (left_ > 0) {
      if (steps_ == max_steps) return linearizability::undecided;
      const entry& here = entries_[at];
      if (at != 0 && !here.is_response) {
        ++steps_;
        const call_of<M>& call = calls_[here.call];
        typename M::state after = state;
        if (model_.apply(after, call.operation, here.response != 0 ? &*call.result : nullptr)) {
          placed_.flip(here.call);
          if (seen_.insert(configuration{placed_, after, hash_state(model_, after)}).second) {
            path_.push_back({at, std::exchange(state, std::move(after))});
            lift(at);
            at = entries_[0].next;
            continue;
          }
          placed_.flip(here.call);
        }
        at = here.next;
        continue;
      }
      // A response whose call has not been placed, or the end with such a response before it: the last choice was
      // wrong.
      if (path_.empty()) return linearizability::not_linearizable;
      at = path_.back().first;
      state = std::move(path_.back().second);
      path_.pop_back();
      placed_.flip(entries_[at].call);
      put_back(at);
      at = entries_[at].next;
    }
    return linearizability::linearizable;
  }

  std::uint64_t steps() const noexcept { return steps_; }

 private:
  struct entry {
    std::size_t previous = 0;
    std::size_t next = 0;
    std::size_t call = 0;
    std::size_t response = 0;  // of an invocation: its response's entry; 0 while pending
    bool is_response = false;
  };
  struct configuration {
    placed_set placed;
    typename M::state state;
    std::size_t state_hash;
    bool operator==(const configuration& other) const {
      return placed.hash == other.placed.hash && state_hash == other.state_hash && state == other.state &&
             placed.words == other.placed.words;
    }
  };
  struct configuration_hash {
    std::size_t operator()(const configuration& c) const noexcept {
      return static_cast<std::size_t>(c.placed.hash) ^ (c.state_hash * std::size_t{31});
    }
  };

  void unlink(std::size_t i) {
    entries_[entries_[i].previous].next = entries_[i].next;
    entries_[entries_[i].next].previous = entries_[i].previous;
  }
  void relink(std::size_t i) {
    entries_[entries_[i].previous].next = i;
    entries_[entries_[i].next].previous = i;
  }
  void lift(std::size_t i) {
    unlink(i);
    if (entries_[i].response == 0) return;
    unlink(entries_[i].response);
    --left_;
  }
  void put_back(std::size_t i) {
    if (entries_[i].response != 0) {
      relink(entries_[i].response);
      ++left_;
    }
    relink(i);
  }

  const M& model_;
  const std::vector<call_of<M>>& calls_;
  std::vector<entry> entries_;
  std::size_t left_ = 0;
  std::uint64_t steps_ = 0;
  placed_set placed_;
  std::vector<std::pair<std::size_t, typename M::state>> path_;
  std::unordered_set<configuration, configuration_hash> seen_;
};

template <class T>
std::string show(const T& value) {
  if constexpr (requires(std::ostringstream & out) { out << value; }) {
    std::ostringstream out;
    out << value;
    return out.str();
  } else {
    return "?";
  }
}

template <sequential_model M>
std::string show_call(const M& model, const call_of<M>& call, std::uint64_t end) {
  const bool responded = !call.pending() && call.responded < end;
  std::string text = "[" + std::to_string(call.invoked) + ", " + (responded ? std::to_string(call.responded) : "...") +
                     "] thread " + std::to_string(call.thread) + ": ";
  const typename M::result* result = responded ? &*call.result : nullptr;
  if constexpr (requires {
                  { model.describe(call.operation, result) } -> std::convertible_to<std::string>;
                }) {
    text += model.describe(call.operation, result);
  } else {
    text += show(call.operation) + " -> " + (result != nullptr ? show(*result) : "pending");
  }
  return text;
}

}  // namespace detail

/// Checks the calls against the model. Worst case exponential in the number of calls under way at once, linear in the
/// length of a history that is fine and has little overlap. When the answer is no, the explanation lists the shortest
/// prefix of the history that is already wrong and marks the response that made it so.
template <sequential_model M>
linearizability_report check_linearizable(const M& model, const std::vector<call_of<M>>& calls,
                                          const linearizability_options& options = {}) {
  linearizability_report report;
  const auto verdict_before = [&](std::uint64_t end) {
    detail::linearizability_search<M> search{model, calls, end};
    const linearizability verdict = search.run(options.max_steps);
    report.steps += search.steps();
    return verdict;
  };
  report.verdict = verdict_before(no_response);
  if (report.verdict == linearizability::undecided) {
    report.explanation =
        "undecided after " + std::to_string(report.steps) + " steps over " + std::to_string(calls.size()) + " calls";
  }
  if (report.verdict != linearizability::not_linearizable) return report;

  // A prefix of a linearizable history is linearizable, so the first wrong response can be found by bisection.
  std::vector<std::uint64_t> responses;
  for (const call_of<M>& call : calls) {
    if (!call.pending()) responses.push_back(call.responded);
  }
  std::sort(responses.begin(), responses.end());
  std::size_t good = 0;
  std::size_t bad = responses.size();
  while (good + 1 < bad) {
    const std::size_t middle = good + (bad - good) / 2;
    const bool wrong = verdict_before(responses[middle - 1] + 1) == linearizability::not_linearizable;
    (wrong ? bad : good) = middle;
  }
  const std::uint64_t culprit = responses[bad - 1];
  std::vector<const call_of<M>*> prefix;
  for (const call_of<M>& call : calls) {
    if (call.invoked < culprit) prefix.push_back(&call);
  }
  std::sort(prefix.begin(), prefix.end(), [](const auto* a, const auto* b) { return a->invoked < b->invoked; });
  report.prefix = prefix.size();
  std::string& text = report.explanation;
  text = "not linearizable: no order of the first " + std::to_string(prefix.size()) +
         " calls explains the result marked >>\n";
  std::size_t left_out = 0;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    const call_of<M>& call = *prefix[i];
    if (call.responded != culprit && prefix.size() - i > options.shown) {
      ++left_out;
      continue;
    }
    if (left_out != 0) text += "   (" + std::to_string(std::exchange(left_out, std::size_t{0})) + " calls left out)\n";
    text += (call.responded == culprit ? ">> " : "   ") + detail::show_call(model, call, culprit + 1) + "\n";
  }
  return report;
}

/// Checks the calls of each key alone; `key_of(operation)` gives the key, which must be ordered by <. The first key
/// that fails is reported.
template <sequential_model M, class KeyOf>
linearizability_report check_by_key(const M& model, const std::vector<call_of<M>>& calls, KeyOf&& key_of,
                                    const linearizability_options& options = {}) {
  using key_type = std::remove_cvref_t<decltype(key_of(calls.front().operation))>;
  std::map<key_type, std::vector<call_of<M>>> by_key;
  for (const call_of<M>& call : calls) by_key[key_of(call.operation)].push_back(call);
  linearizability_report all;
  all.verdict = linearizability::linearizable;
  for (const auto& [key, own] : by_key) {
    linearizability_report report = check_linearizable(model, own, options);
    all.steps += report.steps;
    if (report.linearizable()) continue;
    report.explanation = "key " + detail::show(key) + ": " + report.explanation;
    report.steps = all.steps;
    if (report.verdict == linearizability::not_linearizable) return report;
    all = std::move(report);  // undecided: another key may yet be plainly wrong
  }
  return all;
}

}  // namespace banyan::testing
