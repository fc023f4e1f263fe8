#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Any router for `Key`, chosen while the program runs: by a configuration file, say. Copies share the router.
///
///     banyan::any_router<std::string_view> router = by_range ? make_range_router() : make_hash_router();
///
/// One indirect call more than the router itself. Keys that are text: `std::string_view` saves making strings.
/// Immutable. Thread safety: const use by many threads. A moved-from one can only be destroyed or assigned to.
template <class Key>
class any_router {
 public:
  using key_type = Key;

  /// Not explicit: any router is one. Its version is the router's. Throws `std::bad_alloc` and what moving `R` throws.
  // In this order: whether this class itself is a router must not be asked while that is being decided.
  template <class R>
  requires(!std::same_as<R, any_router>) && router_for<R, Key> any_router(R router)
      : version_{router.version()},
  router_{std::make_shared<const holder<R>>(std::move(router))} {}

  /// As the router within.
  [[nodiscard]] shard_id route(const Key& key) const { return router_->route(key); }
  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return router_->shards(); }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// The same routes under another version.
  [[nodiscard]] any_router with_version(std::uint64_t version) const {
    any_router copy = *this;
    copy.version_ = version;
    return copy;
  }

 private:
  struct held {
    held() = default;
    held(const held&) = delete;
    held& operator=(const held&) = delete;
    virtual ~held() = default;
    [[nodiscard]] virtual shard_id route(const Key& key) const = 0;
    [[nodiscard]] virtual std::span<const shard_id> shards() const noexcept = 0;
  };

  template <class R>
  struct holder final : held {
    explicit holder(R&& from) : router{std::move(from)} {}
    [[nodiscard]] shard_id route(const Key& key) const override { return router.route(key); }
    [[nodiscard]] std::span<const shard_id> shards() const noexcept override { return router.shards(); }
    const R router;
  };

  std::uint64_t version_;
  std::shared_ptr<const held> router_;
};

}  // namespace banyan
