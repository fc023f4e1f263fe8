// What a request pays for its session of 500 bytes: a load, and a load with a save, in memory and, where the client is
// installed, in a SQLite file. Rivals: the floor, which copies the bytes; and what servers do who keep sessions to
// themselves, a mutex around a hash map, without versions or expiry.

#include <banyan/session.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#if defined(BANYAN_BENCH_SQLITE)
#include <banyan/adapters/sqlite_session_backend.hpp>
#endif

namespace {

constexpr std::size_t sessions_kept = 10'000;
const std::string content(500, 'x');

template <class Store>
std::vector<std::string> fill(Store& sessions) {
  std::vector<std::string> cookies;
  for (std::size_t i = 0; i < sessions_kept; ++i) cookies.emplace_back(sessions.create(content)->id.text());
  return cookies;
}

const std::string& next(const std::vector<std::string>& cookies, std::minstd_rand& random) {
  return cookies[random() % cookies.size()];
}

void copy_floor(benchmark::State& state) {
  for (auto _ : state) {
    std::string copy = content;
    benchmark::DoNotOptimize(copy.data());
  }
}
BENCHMARK(copy_floor)->Name("floor: copies 500 bytes")->UseRealTime();

class mutex_map {
 public:
  std::vector<std::string> fill_all() {
    std::vector<std::string> cookies;
    for (std::size_t i = 0; i < sessions_kept; ++i) {
      const banyan::session_id id = banyan::session_id::make();
      cookies.emplace_back(id.text());
      map_[cookies.back()] = content;
    }
    return cookies;
  }
  std::optional<std::string> load(const std::string& cookie) {
    const std::lock_guard lock{mutex_};
    const auto at = map_.find(cookie);
    return at == map_.end() ? std::nullopt : std::optional{at->second};
  }
  void save(const std::string& cookie, std::string value) {
    const std::lock_guard lock{mutex_};
    map_[cookie] = std::move(value);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::string> map_;
};

void mutex_load(benchmark::State& state) {
  static mutex_map map;
  static const std::vector<std::string> cookies = map.fill_all();
  std::minstd_rand random{static_cast<unsigned>(state.thread_index()) + 1};
  for (auto _ : state) benchmark::DoNotOptimize(map.load(next(cookies, random)));
}
BENCHMARK(mutex_load)->Name("load/mutex and map")->ThreadRange(1, 2)->UseRealTime();

void mutex_update(benchmark::State& state) {
  static mutex_map map;
  static const std::vector<std::string> cookies = map.fill_all();
  std::minstd_rand random{static_cast<unsigned>(state.thread_index()) + 1};
  for (auto _ : state) {
    const std::string& cookie = next(cookies, random);
    std::string value = *map.load(cookie);
    value[0] = 'y';
    map.save(cookie, std::move(value));
  }
}
BENCHMARK(mutex_update)->Name("load and save/mutex and map")->ThreadRange(1, 2)->UseRealTime();

template <class Backend>
struct service {
  explicit service(Backend& backend, banyan::session_options options = {})
      : sessions{backend, options}, cookies{fill(sessions)} {}
  banyan::session_store<std::string, Backend> sessions;
  std::vector<std::string> cookies;
};

template <class Service>
void load(benchmark::State& state, Service& s) {
  std::minstd_rand random{static_cast<unsigned>(state.thread_index()) + 1};
  for (auto _ : state) benchmark::DoNotOptimize(s.sessions.load(next(s.cookies, random)));
}

template <class Service>
void update(benchmark::State& state, Service& s) {
  std::minstd_rand random{static_cast<unsigned>(state.thread_index()) + 1};
  for (auto _ : state) {
    benchmark::DoNotOptimize(s.sessions.update(next(s.cookies, random), [](std::string& v) { v[0] = 'y'; }));
  }
}

auto& in_memory() {
  static banyan::memory_session_backend backend;
  static service<banyan::memory_session_backend> s{backend};
  return s;
}
auto& in_memory_no_breaker() {
  static banyan::memory_session_backend backend;
  static service<banyan::memory_session_backend> s{backend, {.breaker = std::nullopt}};
  return s;
}
void memory_load(benchmark::State& state) { load(state, in_memory()); }
BENCHMARK(memory_load)->Name("load/session_store, memory")->ThreadRange(1, 2)->UseRealTime();
void memory_bare_load(benchmark::State& state) { load(state, in_memory_no_breaker()); }
BENCHMARK(memory_bare_load)->Name("load/session_store, memory, no breaker")->ThreadRange(1, 2)->UseRealTime();
void memory_update(benchmark::State& state) { update(state, in_memory()); }
BENCHMARK(memory_update)->Name("load and save/session_store, memory")->ThreadRange(1, 2)->UseRealTime();

#if defined(BANYAN_BENCH_SQLITE)
struct scratch {
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("banyan_bench_session_" + std::to_string(std::random_device{}()));
  std::string file = (std::filesystem::create_directory(folder), (folder / "sessions.db").string());
};

auto& in_sqlite() {
  static const scratch where;
  static banyan::sqlite_session_backend backend{where.file};
  static service<banyan::sqlite_session_backend> s{backend};
  return s;
}
void sqlite_load(benchmark::State& state) { load(state, in_sqlite()); }
BENCHMARK(sqlite_load)->Name("load/session_store, SQLite")->ThreadRange(1, 2)->UseRealTime();
void sqlite_update(benchmark::State& state) { update(state, in_sqlite()); }
BENCHMARK(sqlite_update)->Name("load and save/session_store, SQLite")->ThreadRange(1, 2)->UseRealTime();
#endif

void make_id(benchmark::State& state) {
  for (auto _ : state) {
    banyan::session_id id = banyan::session_id::make();
    benchmark::DoNotOptimize(id);
  }
}
BENCHMARK(make_id)->Name("session_id::make")->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
