#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/cluster/detail/member_list.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/published.hpp>

namespace banyan::detail {

/// A change that an observer has prepared. Destroyed after the writers' lock has been given back.
class pending_change {
 public:
  pending_change() = default;
  pending_change(const pending_change&) = delete;
  pending_change& operator=(const pending_change&) = delete;
  virtual ~pending_change() = default;
  virtual void commit() noexcept = 0;
};

/// Somebody who bakes the member list into something of his own.
class membership_observer {
 public:
  /// Called under the writers' lock. What it throws cancels the change.
  virtual std::unique_ptr<pending_change> prepare(const std::shared_ptr<const member_list>& next) = 0;

 protected:
  ~membership_observer() = default;
};

/// The members of a cluster, apart from the users' values: one list, changed as a whole. Readers never wait; writers
/// exclude each other. A change is prepared for every observer before any sees it, so that one that fails changes
/// nothing, and it is in force everywhere when the call returns.
class roster {
 public:
  using list_ptr = std::shared_ptr<const member_list>;

  explicit roster(std::shared_ptr<cluster_terms> terms)
      : terms_{std::move(terms)}, current_{make_empty(), *terms_->domain} {}
  roster(const roster&) = delete;
  roster& operator=(const roster&) = delete;

  ~roster() {
    // Tokens that are still out free their endpoints.
    const auto last = current_.read();
    for (const member& each : (*last)->members) each.record->state().set_attention(endpoint_state::removed);
    terms_->domain->synchronize();
  }

  [[nodiscard]] const std::shared_ptr<cluster_terms>& terms() const noexcept { return terms_; }
  [[nodiscard]] auto read() const { return current_.read(); }

  /// Replaces the list by what `edit(member_list&)` makes of a copy. `edit` returns false when there is nothing to
  /// change. `decided()` is called when nothing can fail any more, just before the change comes into force; it must not
  /// throw. Blocks while another change is made. Strong guarantee.
  template <class Edit, class Decided>
  bool change(Edit edit, Decided decided) {
    std::vector<std::unique_ptr<pending_change>> pending;
    list_ptr before;  // records may be freed with it: not under the lock
    {
      const std::lock_guard lock{writers_};
      before = *current_.read();
      auto next = std::make_shared<member_list>(*before);
      if (!edit(*next)) return false;
      prepare(list_ptr{std::move(next)}, pending);
      decided();
      for (const auto& each : pending) each->commit();
    }
    return true;
  }

  /// As above, for what needs nothing further.
  template <class Edit>
  bool change(Edit edit) {
    return change(std::move(edit), [] {});
  }

  /// Tells the observer of the present list, then of every change. Blocking as `change`.
  void watch(membership_observer& observer) {
    std::unique_ptr<pending_change> first;
    const std::lock_guard lock{writers_};
    observers_.reserve(observers_.size() + 1);
    first = observer.prepare(*current_.read());
    first->commit();
    observers_.push_back(&observer);
  }

  void unwatch(membership_observer& observer) noexcept {
    const std::lock_guard lock{writers_};
    std::erase(observers_, &observer);
  }

  /// After attention was set on records, and outside the lock: every thread either sees it or is seen.
  void barrier() noexcept { terms_->domain->synchronize(); }

  /// Frees what can be freed.
  void reclaim() noexcept { terms_->domain->reclaim(); }

 private:
  static list_ptr make_empty() {
    auto list = std::make_shared<member_list>();
    list->zones = std::make_shared<const std::vector<std::string>>(1);
    return list;
  }

  class own_change final : public pending_change {
   public:
    own_change(published<list_ptr>& target, list_ptr next, hazard_domain& domain)
        : target_{target}, next_{std::move(next), domain} {}
    void commit() noexcept override { target_.commit(next_); }

   private:
    published<list_ptr>& target_;
    published<list_ptr>::staged next_;
  };

  void prepare(list_ptr next, std::vector<std::unique_ptr<pending_change>>& pending) {
    pending.reserve(observers_.size() + 1);
    for (membership_observer* const observer : observers_) pending.push_back(observer->prepare(next));
    pending.push_back(std::make_unique<own_change>(current_, std::move(next), *terms_->domain));
  }

  std::shared_ptr<cluster_terms> terms_;
  std::mutex writers_;
  std::vector<membership_observer*> observers_;
  published<list_ptr> current_;
};

}  // namespace banyan::detail
