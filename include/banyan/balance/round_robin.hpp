#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/not_refused.hpp>
#include <banyan/core/cache_line.hpp>

namespace banyan {

/// One after the other, in the order in which they joined. Weights are ignored: see `smooth_weighted_round_robin`.
///
/// When to use: endpoints and requests are all alike. When not to: as soon as an endpoint is slower than the others, it
/// gets as many requests as they do, and they pile up there (`power_of_two`, `peak_ewma`).
///
/// Each thread goes round for itself; the first begins with the first endpoint, later ones elsewhere, so that many
/// threads that start together do not all begin with the same. Shares are equal to within one pick a thread. `strict`:
/// one order for all threads, at the price of a word that they all write.
///
/// `choose` is wait-free and O(1).
class round_robin {
 public:
  struct options {
    bool strict = false;  ///< all threads go round together
  };
  struct table {};

  round_robin() noexcept = default;
  /// Throws `std::bad_alloc`.
  explicit round_robin(options wanted) {
    if (wanted.strict) shared_ = std::make_unique<position>();
  }

  [[nodiscard]] table build(std::span<const candidate>) const noexcept { return {}; }

  [[nodiscard]] std::uint32_t choose(const table&, std::span<const candidate> candidates,
                                     pick_context& context) const noexcept {
    const auto size = static_cast<std::uint32_t>(candidates.size());
    std::uint32_t at = turn(size, context);
    if (context.selective()) {
      // The turn goes by, so that those who have what is needed get the same number of turns.
      for (std::uint32_t more = detail::most_asked; more > 0 && context.refused(at); --more) at = turn(size, context);
    }
    return detail::not_refused(at, size, context);
  }

 private:
  struct alignas(cache_line_size) position {
    std::atomic<std::uint64_t> next{0};
  };

  [[nodiscard]] std::uint32_t turn(std::uint32_t size, pick_context& context) const noexcept {
    if (shared_ == nullptr) return static_cast<std::uint32_t>(context.advance(size));
    // Relaxed: the number alone matters.
    return static_cast<std::uint32_t>(shared_->next.fetch_add(1, std::memory_order_relaxed) % size);
  }

  std::unique_ptr<position> shared_;
};

static_assert(balance_policy<round_robin>);

}  // namespace banyan
