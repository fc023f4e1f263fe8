// The same with real threads: nobody's increment is lost while keys move, and whoever stops keeps nobody from going on.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <banyan/shard/live_reshard.hpp>
#include <banyan/shard/reshard_access.hpp>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::reshard_phase;
using record = banyan::reshard_record<std::uint32_t>;

// Lock-free, so that nothing but the library can keep a thread waiting: version and value share a word.
struct word_store {
  using key_type = std::size_t;
  using value_type = std::uint32_t;
  using error_type = int;
  static constexpr std::size_t keys = 16;

  static std::uint64_t packed(const record& given) {
    const std::uint64_t version = (given.version & 0x7fff'ffffU) | (given.version >> 48 << 31);
    return version << 32 | given.value.value_or(0);
  }
  static record unpacked(std::uint64_t word) {
    const std::uint64_t version = word >> 32;
    if (version == 0) return {};
    return {(version & 0x7fff'ffffU) | (version >> 31 << 48), static_cast<std::uint32_t>(word)};
  }

  banyan::expected<record, int> read(std::size_t key) { return unpacked(words[key].load()); }
  banyan::expected<bool, int> put_if(std::size_t key, std::uint64_t version, const record& given) {
    std::uint64_t there = words[key].load();
    return unpacked(there).version == version && words[key].compare_exchange_strong(there, packed(given));
  }
  banyan::expected<banyan::reshard_page<std::size_t, std::uint32_t>, int> scan(const std::string& cursor,
                                                                               std::size_t limit) {
    banyan::reshard_page<std::size_t, std::uint32_t> page;
    std::size_t key = cursor.empty() ? 0 : std::stoul(cursor);
    for (; key < keys && page.records.size() < limit; ++key)
      page.records.emplace_back(key, unpacked(words[key].load()));
    std::erase_if(page.records, [](const auto& each) { return each.second.version == 0; });
    if (key < keys) page.next = std::to_string(key);
    return page;
  }

  std::array<std::atomic<std::uint64_t>, keys> words{};
};

static_assert(banyan::reshard_store<word_store>);

std::optional<std::uint32_t> one_more(const std::optional<std::uint32_t>& now) { return now.value_or(0) + 1; }

TEST_CASE("no increment is lost while keys move under threads of two processes") {
  for (std::uint32_t round = 0; round < 6; ++round) {
    word_store source;
    word_store target;
    banyan::reshard_access<word_store> first{source, target, 1};
    banyan::reshard_access<word_store> second{source, target, 1};
    const auto save = [](std::uint64_t, std::string_view) { return true; };
    banyan::live_reshard reshard{source, target, save, {.batch = 4}};
    first.adopt(reshard.announcement());
    second.adopt(reshard.announcement());
    std::atomic<bool> stop{false};
    std::atomic<std::uint32_t> done{0};
    std::atomic<std::uint32_t> failed{0};
    std::atomic<bool> in_time{true};
    {
      std::vector<banyan::testing::joining_thread> threads;
      for (std::uint64_t t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
          banyan::testing::random_source random{banyan::testing::derived_seed("threads", round * 3 + t)};
          auto& access = t == 0 ? first : second;
          while (!stop.load()) {
            const std::size_t key = random.below(word_store::keys);
            const std::uint32_t before = access.read(key).value_or(std::nullopt).value_or(0);
            ++(access.update(key, one_more) ? done : failed);
            if (access.read(key).value_or(std::nullopt).value_or(0) <= before) ++failed;
          }
        });
      }
      while (!reshard.settled() && in_time.load()) {
        const auto deadline = banyan::steady_clock::now() + 20s;
        for (auto* access : {&first, &second}) {
          access->adopt(reshard.announcement());
          if (!access->wait_settled(reshard.step_number(), deadline)) in_time.store(false);
        }
        static_cast<void>(reshard.confirm(reshard.step_number()));
        const auto progress = reshard.step();
        if (progress && *progress == banyan::reshard_progress::ready) static_cast<void>(reshard.advance());
        std::this_thread::yield();
      }
      stop.store(true);
    }
    REQUIRE(in_time.load());
    CHECK(reshard.phase() == reshard_phase::done);
    CHECK(failed.load() == 0);
    CHECK(reshard.state().conflicts == 0);
    std::uint32_t sum = 0;
    for (std::size_t key = 0; key < word_store::keys; ++key) sum += target.read(key)->value.value_or(0);
    CHECK(sum == done.load());
  }
}

TEST_CASE("when a phase has settled, nobody is inside the one before") {
  banyan::detail::reshard_gate gate;
  std::atomic<std::uint64_t> settled{1};
  std::atomic<bool> stop{false};
  std::atomic<std::uint32_t> late{0};
  const auto phase_of = [](std::uint64_t step) { return static_cast<reshard_phase>(step % banyan::reshard_phases); };
  gate.change(1, phase_of(1));
  std::uint64_t step = 1;
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        while (!stop.load(std::memory_order_relaxed)) {
          const auto pass = gate.enter();
          for (int look = 0; look < 20; ++look) {
            if (phase_of(settled.load() + banyan::reshard_phases - 1) == pass.phase()) late.fetch_add(1);
          }
        }
      });
    }
    const auto end = banyan::steady_clock::now() + 1s;
    while (banyan::steady_clock::now() < end) {
      ++step;
      gate.change(step, phase_of(step));
      while (gate.settled_step() != step) {
      }
      settled.store(step);
    }
    stop.store(true);
  }
  CHECK(late.load() == 0);
  CHECK(step > 10);
}

TEST_CASE("whoever stops in the middle of a call, the others go on") {
  for (const auto phase :
       {reshard_phase::dual_write, reshard_phase::verify, reshard_phase::cutover, reshard_phase::handover}) {
    word_store source;
    word_store target;
    banyan::reshard_access<word_store> access{source, target, 1};
    access.adopt({1, 1, phase});
    const auto result =
        banyan::testing::stop_a_thread({.workers = 4, .rounds = 40}, [&](std::size_t worker, std::uint64_t iteration) {
          const std::size_t key = (worker + iteration) % word_store::keys;
          static_cast<void>(access.read(key));
          static_cast<void>(access.update(key, one_more));
          static_cast<void>(access.settled_step());
        });
    INFO(result.describe());
    REQUIRE(result.passed());
  }
}

}  // namespace
