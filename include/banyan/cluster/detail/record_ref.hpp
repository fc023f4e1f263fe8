#pragma once

#include <new>
#include <utility>

#include <banyan/cluster/detail/endpoint_record.hpp>
#include <banyan/core/hazard_slots.hpp>

namespace banyan::detail {

/// Lists an endpoint: it stays alive, and whoever has the reference may begin to use it. Copies list it once more. An
/// endpoint that was never made to serve, or has been removed, is freed after its last reference and token.
class record_ref {
 public:
  record_ref() = default;
  explicit record_ref(endpoint_record* record) noexcept : record_{record} {
    if (record_ != nullptr) record_->state().list();
  }
  record_ref(const record_ref& other) noexcept : record_ref{other.record_} {}
  record_ref(record_ref&& other) noexcept : record_{std::exchange(other.record_, nullptr)} {}
  record_ref& operator=(record_ref other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }

  ~record_ref() {
    if (record_ == nullptr) return;
    hazard_slots<1> guard{std::nothrow, *record_->terms().domain};
    if (!guard) [[unlikely]] {
      // Memory is out and the thread has no hazard: we may not look at the record any more. If this was the end of it,
      // it stays behind.
      (void)record_->state().unlist();
      return;
    }
    guard.publish(0, record_);  // as soon as it is unlisted, another thread may free it
    if (record_->state().unlist()) record_->settle();
  }

  [[nodiscard]] endpoint_record* get() const noexcept { return record_; }
  endpoint_record* operator->() const noexcept { return record_; }
  endpoint_record& operator*() const noexcept { return *record_; }
  explicit operator bool() const noexcept { return record_ != nullptr; }

 private:
  endpoint_record* record_ = nullptr;
};

}  // namespace banyan::detail
