#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/pool/detail/in_turn.hpp>
#include <banyan/pool/lease.hpp>
#include <banyan/pool/pool_error.hpp>

namespace banyan::detail {

/// An asynchronous request. It is shared by the one who asked, who may cancel, and by the pool, which answers it once
/// or drops it.
template <class T>
class pool_request : public in_turn::step {
 public:
  using answer = expected<lease<T>, pool_error>;

  explicit pool_request(pool_machine<T>& machine, const char* tag, std::int64_t deadline) noexcept
      : machine_{machine}, tag_{tag}, deadline_{deadline} {
    machine.retain();
  }
  pool_request(const pool_request&) = delete;
  pool_request& operator=(const pool_request&) = delete;

  virtual void answered(answer&& result) noexcept = 0;

  /// Its turn to be answered on this thread has come.
  void run() noexcept final { machine_.conclude(*this); }

  void unref() noexcept {
    // (1) acquire, release: the last one sees what the other did.
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  [[nodiscard]] pool_machine<T>& machine() const noexcept { return machine_; }
  [[nodiscard]] const char* tag() const noexcept { return tag_; }
  [[nodiscard]] std::int64_t deadline() const noexcept { return deadline_; }
  [[nodiscard]] steady_clock::time_point asked_at() const noexcept { return asked_at_; }

  /// The place in the waiting list; changes when what was given proved useless.
  std::atomic<std::uint64_t> place{0};
  /// What it was given, until it is answered: an item or one of the refusals.
  std::uint32_t given = 0;
  /// The executor has dropped it.
  bool dropped = false;

 protected:
  virtual ~pool_request() { machine_.release(); }  // also when what is built upon it could not be

 private:
  pool_machine<T>& machine_;
  const char* tag_;
  std::int64_t deadline_;
  steady_clock::time_point asked_at_ = steady_clock::now();
  std::atomic<std::uint32_t> holders_{2};
};

}  // namespace banyan::detail
