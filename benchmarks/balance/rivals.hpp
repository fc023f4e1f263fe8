#pragma once

/// \file
/// How one balances without this library: endpoints held by shared pointers, so that a request keeps its endpoint while
/// the membership changes, and an atomic count of what is in flight at each.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include <banyan/core/cache_line.hpp>

namespace bench {

struct alignas(banyan::cache_line_size) plain_endpoint {
  std::string address;
  double weight = 1;
  std::atomic<std::int64_t> in_flight{0};
};

using plain_list = std::vector<std::shared_ptr<plain_endpoint>>;

/// What a pick gives: an endpoint, kept and counted until this dies.
class plain_token {
 public:
  explicit plain_token(std::shared_ptr<plain_endpoint> picked) noexcept : picked_{std::move(picked)} {
    picked_->in_flight.fetch_add(1, std::memory_order_relaxed);
  }
  plain_token(plain_token&&) noexcept = default;
  plain_token& operator=(plain_token&&) = delete;
  ~plain_token() {
    if (picked_) picked_->in_flight.fetch_sub(1, std::memory_order_release);
  }
  explicit operator bool() const noexcept { return picked_ != nullptr; }

 private:
  std::shared_ptr<plain_endpoint> picked_;
};

/// A mutex around the list and a position in it.
class mutex_round_robin {
 public:
  explicit mutex_round_robin(plain_list all) : all_{std::move(all)} {}

  plain_token pick() {
    const std::lock_guard lock{mutex_};
    if (++next_ >= all_.size()) next_ = 0;
    return plain_token{all_[next_]};
  }

 private:
  alignas(banyan::cache_line_size) std::mutex mutex_;
  plain_list all_;
  std::size_t next_ = 0;
};

/// nginx's smooth weighted round robin as it is there: each pick goes through all endpoints, under a mutex.
class mutex_smooth_round_robin {
 public:
  explicit mutex_smooth_round_robin(const plain_list& all) {
    for (const auto& each : all) {
      peers_.push_back({each, each->weight, 0});
      total_ += each->weight;
    }
  }

  plain_token pick() {
    const std::lock_guard lock{mutex_};
    peer* best = nullptr;
    for (peer& each : peers_) {
      each.current += each.weight;
      if (best == nullptr || each.current > best->current) best = &each;
    }
    best->current -= total_;
    return plain_token{best->endpoint};
  }

 private:
  struct peer {
    std::shared_ptr<plain_endpoint> endpoint;
    double weight;
    double current;
  };

  alignas(banyan::cache_line_size) std::mutex mutex_;
  std::vector<peer> peers_;
  double total_ = 0;
};

/// Round robin over a list behind a reader-writer lock.
class shared_mutex_round_robin {
 public:
  explicit shared_mutex_round_robin(plain_list all) : all_{std::move(all)} {}

  plain_token pick() {
    const std::shared_lock lock{mutex_};
    return plain_token{all_[next_.fetch_add(1, std::memory_order_relaxed) % all_.size()]};
  }

 private:
  alignas(banyan::cache_line_size) std::shared_mutex mutex_;
  plain_list all_;
  alignas(banyan::cache_line_size) std::atomic<std::uint64_t> next_{0};
};

#if defined(__cpp_lib_atomic_shared_ptr)
/// Round robin over an immutable list, which a writer would replace as a whole.
class atomic_list_round_robin {
 public:
  explicit atomic_list_round_robin(plain_list all) : list_{std::make_shared<const plain_list>(std::move(all))} {}

  plain_token pick() {
    const std::shared_ptr<const plain_list> all = list_.load(std::memory_order_acquire);
    return plain_token{(*all)[next_.fetch_add(1, std::memory_order_relaxed) % all->size()]};
  }

 private:
  alignas(banyan::cache_line_size) std::atomic<std::shared_ptr<const plain_list>> list_;
  alignas(banyan::cache_line_size) std::atomic<std::uint64_t> next_{0};
};
#endif

}  // namespace bench
