#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <utility>

#include <banyan/core/expected.hpp>
#include <banyan/session/session_backend.hpp>

namespace banyan::testing {

/// A backend in front of another one, which goes away: for all calls, or for the n-th. One thread.
template <class Inner>
class failing_backend {
 public:
  enum class way { says_so, throws, answers_lost };  // answers_lost: the call is made, and then it throws

  explicit failing_backend(Inner& inner) : inner_{&inner} {}

  bool away = false;
  way how = way::says_so;
  std::uint64_t calls = 0;
  std::uint64_t fails_at = 0;  // this call, counted from 1, and not the others; 0: none
  bool failed = false;
  std::function<void()> before_answer{};  // called once, when a record was looked up and is not yet handed on

  auto get(const session_id& id, session_time now) {
    auto found = pass([&] { return inner_->get(id, now); });
    if (const auto meanwhile = std::exchange(before_answer, nullptr)) meanwhile();
    return found;
  }
  auto put(const session_id& id, const session_record& record, std::uint64_t version, session_time now) {
    return pass([&] { return inner_->put(id, record, version, now); });
  }
  auto touch(const session_id& id, std::uint64_t version, session_time expires, session_time now) {
    return pass([&] { return inner_->touch(id, version, expires, now); });
  }
  auto erase(const session_id& id, std::uint64_t version, session_time now) {
    return pass([&] { return inner_->erase(id, version, now); });
  }

 private:
  template <class F>
  auto pass(F f) -> decltype(f()) {
    ++calls;
    if (!away && calls != fails_at) return f();
    failed = true;
    if (how == way::says_so) return unexpected{session_errc::unavailable};
    if (how == way::answers_lost) (void)f();
    throw std::runtime_error{"the backend is away"};
  }

  Inner* inner_;
};

}  // namespace banyan::testing
