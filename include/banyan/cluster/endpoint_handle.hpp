#pragma once

#include <utility>

#include <banyan/cluster/detail/record_ref.hpp>
#include <banyan/cluster/endpoint_id.hpp>

namespace banyan {

template <class T, class Clock>
class cluster;

/// Keeps an endpoint's value alive without counting as a request: for probes and monitors. May outlive the endpoint's
/// membership and the cluster. Copyable; wait-free but for the last one of an endpoint that was removed, which frees
/// it.
template <class T>
class endpoint_handle {
 public:
  endpoint_handle() = default;

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(record_); }
  [[nodiscard]] endpoint_id id() const noexcept { return record_ ? record_->id() : endpoint_id{}; }
  [[nodiscard]] T& operator*() const noexcept {
    return static_cast<detail::valued_endpoint<T>*>(record_.get())->value();
  }
  [[nodiscard]] T* operator->() const noexcept { return &**this; }

 private:
  template <class U, class Clock>
  friend class cluster;
  explicit endpoint_handle(detail::record_ref record) noexcept : record_{std::move(record)} {}

  detail::record_ref record_;
};

}  // namespace banyan
