#include <banyan/core/executor.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

namespace {

// As a thread pool looks: it keeps tasks, and can be neither copied nor moved.
struct queue_executor {
  queue_executor() = default;
  queue_executor(const queue_executor&) = delete;
  queue_executor& operator=(const queue_executor&) = delete;
  void execute(banyan::task work) { waiting.push_back(std::move(work)); }
  void run_all() {
    while (!waiting.empty()) {
      banyan::task next = std::move(waiting.front());
      waiting.pop_front();
      next();
    }
  }
  std::deque<banyan::task> waiting;
};

// As Asio's look: any callable.
struct generic_executor {
  template <class F>
  void execute(F&& work) const {
    ++*calls;
    std::forward<F>(work)();
  }
  std::shared_ptr<int> calls = std::make_shared<int>(0);
};

struct copying_executor {
  void execute(const banyan::task&) {}
};

struct no_executor {
  void post(banyan::task) {}
};

static_assert(banyan::executor<queue_executor> && banyan::executor<generic_executor>);
static_assert(banyan::executor<copying_executor>);
static_assert(!banyan::executor<no_executor> && !banyan::executor<int>);
static_assert(!std::is_constructible_v<banyan::any_executor, no_executor>);
static_assert(!std::is_constructible_v<banyan::any_executor, queue_executor&>);  // std::ref says what is meant

TEST_CASE("a task runs what it was made of, also what can only be moved") {
  banyan::task none;
  CHECK_FALSE(none);
  int seen = 0;
  banyan::task one{[&seen, value = std::make_unique<int>(5)] { seen += *value; }};
  CHECK(one);
  banyan::task other{std::move(one)};
  CHECK_FALSE(one);
  other();
  CHECK(seen == 5);
  other = banyan::task{[&seen] { return ++seen; }};  // a result is dropped
  other();
  CHECK(seen == 6);
  auto alive = std::make_shared<int>(0);
  other = banyan::task{[alive] { throw std::runtime_error{"no"}; }};
  CHECK(alive.use_count() == 2);
  CHECK_THROWS_AS(other(), std::runtime_error);
  other = {};
  CHECK(alive.use_count() == 1);
}

TEST_CASE("the inline executor runs at once and lets exceptions through") {
  int seen = 0;
  banyan::inline_executor ex;
  ex.execute([&] { ++seen; });
  CHECK(seen == 1);
  CHECK_THROWS_AS(ex.execute([] { throw std::runtime_error{"no"}; }), std::runtime_error);
  banyan::any_executor any{ex};
  any.execute([&, once = std::make_unique<int>(2)] { seen += *once; });
  CHECK(seen == 3);
  CHECK_THROWS_AS(any.execute([] { throw std::runtime_error{"no"}; }), std::runtime_error);
}

TEST_CASE("any executor keeps what it is given and refers to what it is shown") {
  CHECK_FALSE(banyan::any_executor{});
  int seen = 0;
  queue_executor queue;
  const banyan::any_executor reference{std::ref(queue)};
  const banyan::any_executor copy = reference;
  reference.execute([&] { seen = seen * 10 + 1; });
  copy.execute([&] { seen = seen * 10 + 2; });
  CHECK(seen == 0);
  CHECK(queue.waiting.size() == 2);
  queue.run_all();
  CHECK(seen == 12);

  generic_executor generic;
  banyan::any_executor kept{generic};
  CHECK(generic.calls.use_count() == 2);
  kept.execute([] {});
  banyan::any_executor same = kept;
  CHECK(generic.calls.use_count() == 2);
  kept = {};
  same.execute([] {});
  CHECK(*generic.calls == 2);
  same = banyan::any_executor{banyan::inline_executor{}};
  CHECK(generic.calls.use_count() == 1);
}

TEST_CASE("a dropped task is destroyed without having run") {
  auto alive = std::make_shared<int>(0);
  bool ran = false;
  {
    queue_executor queue;
    banyan::any_executor{std::ref(queue)}.execute([&ran, alive] { ran = true; });
    CHECK(alive.use_count() == 2);
  }
  CHECK(alive.use_count() == 1);
  CHECK_FALSE(ran);
}

TEST_CASE("the thread executor runs elsewhere") {
  auto finished = std::make_shared<std::atomic<bool>>(false);
  auto where = std::make_shared<std::thread::id>();
  banyan::any_executor{banyan::thread_executor{}}.execute([finished, where] {
    *where = std::this_thread::get_id();
    finished->store(true);
  });
  while (!finished->load()) std::this_thread::yield();
  CHECK(*where != std::this_thread::get_id());
}

}  // namespace
