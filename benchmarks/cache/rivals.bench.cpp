// The caches against their rivals, all in one run: contenders take turns, round after round, and the table gives the
// medians of the rounds and of the ratios within a round. See --help.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <time.h>

#include "caffeine.hpp"
#include "contenders.hpp"
#include "timing.hpp"
#include "workload.hpp"

namespace {

using bench::contender;
using bench::median;
using bench::operation;
using bench::seconds_of;
using bench::tally;
using bench::task;

struct settings {
  std::vector<std::string> scenarios{"zipf", "hits", "one", "strings", "90-10", "50-50"};
  std::vector<std::string> only;
  std::vector<unsigned> threads{1, 2};
  int rounds = 9;
  double seconds = 0.2;
  bool cpu_clock = false;
  std::string jar = "/usr/share/java/caffeine.jar";
};

struct scenario {
  std::string name;
  std::string meaning;
  std::uint32_t keys;
  std::uint32_t capacity;
  task work;
  bool strings = false;
};

const std::vector<scenario>& scenarios() {
  constexpr std::uint32_t million = 1'000'000;
  constexpr std::uint32_t k64 = 65'536;
  constexpr auto through = operation::read_through;
  static const std::vector<scenario> all{
      {"zipf", "Zipf 0.99 over a million keys, capacity 65,536: get, then put on a miss", million, k64, {through}},
      {"hits", "Zipf 0.99 over 65,536 keys that are all there: get", k64, k64, {operation::get}},
      {"one", "all threads get one key", 1, k64, {operation::get}},
      {"strings", "as zipf, keys are strings of 20 bytes", million, k64, {through}, true},
      {"90-10", "as zipf, 90 % get, 10 % put", million, k64, {operation::mixed, 429'496'730}},
      {"50-50", "as zipf, 50 % get, 50 % put", million, k64, {operation::mixed, 2'147'483'648}},
      {"1k", "as zipf, capacity 1,024, 16 times as many keys", 1U << 14, 1U << 10, {through}},
      {"16k", "as zipf, capacity 16,384, 16 times as many keys", 1U << 18, 1U << 14, {through}},
      {"256k", "as zipf, capacity 262,144, 16 times as many keys", 1U << 22, 1U << 18, {through}},
      {"4m", "as zipf, capacity 4,194,304, 16 times as many keys", 1U << 26, 1U << 22, {through}},
      {"16m", "as zipf, capacity 16,777,216, 16 times as many keys", 1U << 28, 1U << 24, {through}},
  };
  return all;
}

struct racer {
  std::string name;
  bool evicts = true;
  std::unique_ptr<contender> what;  // null: Caffeine
  std::unique_ptr<bench::caffeine> elsewhere;
  std::vector<std::size_t> at{};  // where each thread is in its sequence
  std::vector<double> rates{};    // operations a second, by round
  tally sum{};
};

constexpr std::size_t large_warming = std::size_t{1} << 21;

using sequences = std::vector<std::vector<std::uint32_t>>;

// One round: each thread goes on in its own sequence until the time is over.
void run_round(racer& one, const task& work, const sequences& ranks, const settings& wanted, double length) {
  if (one.elsewhere) {
    double rate = 0;
    tally sum;
    const std::string answer = one.elsewhere->ask(std::to_string(length));
    unsigned long long counts[4]{};
    if (std::sscanf(answer.c_str(), "%llu %llu %llu %llu %lf", counts, counts + 1, counts + 2, counts + 3, &rate) == 5)
      sum = {counts[0], counts[1], counts[2], counts[3]};
    one.rates.push_back(rate);
    one.sum += sum;
    return;
  }
  const clockid_t clock = wanted.cpu_clock ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  constexpr std::size_t stretch = 512;
  std::atomic<bool> stop{false};
  std::latch ready{static_cast<std::ptrdiff_t>(ranks.size() + 1)};
  std::vector<tally> sums(ranks.size());
  std::vector<double> rates(ranks.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < ranks.size(); ++t) {
      threads.emplace_back([&, t] {
        const std::span<const std::uint32_t> mine{ranks[t]};
        std::size_t at = one.at[t];
        ready.arrive_and_wait();
        const double begin = seconds_of(clock);
        while (!stop.load(std::memory_order_relaxed)) {
          sums[t] += one.what->run(work, mine.subspan(at, stretch));
          at = at + stretch < mine.size() ? at + stretch : 0;
        }
        rates[t] = static_cast<double>(sums[t].operations) / (seconds_of(clock) - begin);
        one.at[t] = at;
      });
    }
    ready.arrive_and_wait();
    std::this_thread::sleep_for(std::chrono::duration<double>(length));
    stop.store(true, std::memory_order_relaxed);
  }
  double rate = 0;
  for (std::size_t t = 0; t < ranks.size(); ++t) {
    one.sum += sums[t];
    rate += rates[t];
  }
  one.rates.push_back(rate);
}

const racer* find(const std::vector<racer>& racers, std::string_view name) {
  for (const racer& one : racers) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

void print(const std::vector<racer>& racers) {
  const std::array<const char*, 6> rivals{"mutex-lru", "tbb-lru", "caffeine", "tbb-map", "cuckoo-map", "floor"};
  std::printf("%-11s %8s %8s %7s", "", "M ops/s", "spread", "hits");
  for (const char* rival : rivals) {
    if (find(racers, rival) != nullptr) std::printf(" %11s", rival);
  }
  std::printf("\n");
  for (const racer& one : racers) {
    const auto [low, high] = std::minmax_element(one.rates.begin(), one.rates.end());
    const double rate = median(one.rates);
    std::printf(
        "%-11s %8.2f %7.0f%% %6.2f%%", one.name.c_str(), rate / 1e6, 100 * (*high - *low) / rate,
        100.0 * static_cast<double>(one.sum.hits) / static_cast<double>(std::max<std::uint64_t>(one.sum.gets, 1)));
    for (const char* name : rivals) {
      const racer* rival = find(racers, name);
      if (rival == nullptr) continue;
      std::vector<double> ratios;
      for (std::size_t i = 0; i < one.rates.size(); ++i) ratios.push_back(one.rates[i] / rival->rates[i]);
      std::printf(" %10.2fx", median(ratios));
    }
    std::printf("%s%s\n", one.evicts ? "" : "   keeps all keys", one.sum.wrong != 0 ? "   WRONG VALUES" : "");
  }
  std::printf("\n");
  std::fflush(stdout);
}

bool chosen(const settings& wanted, const std::string& name) {
  return wanted.only.empty() || std::find(wanted.only.begin(), wanted.only.end(), name) != wanted.only.end();
}

template <class Key>
void race(const scenario& scene, unsigned threads, const settings& wanted) {
  const bool large = scene.keys > (1U << 23);
  const std::size_t length = std::size_t{1} << (large ? 24 : 21);
  const bench::keys_by_rank<Key> names{scene.keys};
  sequences ranks;
  for (unsigned t = 0; t < threads; ++t) ranks.push_back(bench::zipf_sequence(scene.keys, length, t + 1));
  // Before the clock runs, so that the speed of a contender does not decide its contents: once through what is timed,
  // or where that takes minutes, through something shorter of the same kind.
  const std::vector<std::uint32_t> before =
      large ? bench::zipf_sequence(scene.keys, large_warming, 0) : std::vector<std::uint32_t>{};

  std::vector<racer> racers;
  for (const auto& entrant : bench::all_entrants<Key>()) {
    if (!chosen(wanted, entrant.name)) continue;
    if (entrant.only_reads_through && scene.work.what == operation::mixed) continue;
    if (large && !entrant.evicts) continue;  // memory
    racer one{entrant.name, entrant.evicts, entrant.make(scene.capacity, scene.keys, names), nullptr};
    one.what->fill(one.evicts ? std::min(scene.capacity, scene.keys) : scene.keys);
    one.what->run(scene.work, large ? before : ranks[0]);
    one.at.assign(threads, 0);
    racers.push_back(std::move(one));
  }
  if (!large && chosen(wanted, "caffeine") && ::access(wanted.jar.c_str(), R_OK) == 0) {
    const char* const what = scene.work.what == operation::get     ? "get"
                             : scene.work.what == operation::mixed ? "mixed"
                                                                   : "read_through";
    auto process = std::make_unique<bench::caffeine>(
        wanted.jar, std::vector<std::string>{std::to_string(scene.keys), std::to_string(scene.capacity), what,
                                             std::to_string(scene.work.put_share), std::to_string(threads),
                                             scene.strings ? "string" : "number"});
    if (process->answer() == "ready") racers.push_back({"caffeine", true, nullptr, std::move(process)});
  }
  for (int round = -1; round < wanted.rounds; ++round) {
    for (racer& one : racers) {
      run_round(one, scene.work, ranks, wanted, round < 0 ? 3 * wanted.seconds : wanted.seconds);
      if (round >= 0) continue;
      one.rates.clear();  // the first one was to warm up
      one.sum = {};
    }
  }
  std::printf("%s: %s; %u thread%s\n", scene.name.c_str(), scene.meaning.c_str(), threads, threads == 1 ? "" : "s");
  if (large) {
    std::printf("(filled, then %u operations before the clock ran; left out: Caffeine, and what keeps all keys)\n",
                static_cast<unsigned>(large_warming));
  }
  print(racers);
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

constexpr const char* usage =
    "usage: %s [options]\n"
    "  --scenario A,B   which loads (default: zipf,hits,one,strings,90-10,50-50; further: 1k,16k,256k,4m,16m)\n"
    "  --only A,B       which contenders (default: all that were found when this was built)\n"
    "  --threads A,B    numbers of threads (default 1,2)\n"
    "  --rounds N       rounds for each contender (default 9)\n"
    "  --seconds S      length of a round (default 0.2)\n"
    "  --clock cpu      count the time the threads ran instead of the time that passed: steadier on a busy machine,\n"
    "                   and kind to those that sleep while they wait (Caffeine is always timed by the wall)\n"
    "  --caffeine JAR   where Caffeine is (default /usr/share/java/caffeine.jar); needs a JDK\n";

}  // namespace

int main(int count, char** words) {
  std::signal(SIGPIPE, SIG_IGN);
  settings wanted;
  for (int i = 1; i < count; i += 2) {
    const std::string_view option = words[i];
    const std::string value = i + 1 < count ? words[i + 1] : "";
    if (value.empty()) {
      std::printf(usage, words[0]);
      return option == "--help" ? 0 : 2;
    }
    if (option == "--scenario") {
      wanted.scenarios = split(value);
    } else if (option == "--only") {
      wanted.only = split(value);
    } else if (option == "--threads") {
      wanted.threads.clear();
      for (const std::string& n : split(value))
        wanted.threads.push_back(static_cast<unsigned>(std::max(1, std::atoi(n.c_str()))));
    } else if (option == "--rounds") {
      wanted.rounds = std::max(1, std::atoi(value.c_str()));
    } else if (option == "--seconds") {
      wanted.seconds = std::max(0.001, std::atof(value.c_str()));
    } else if (option == "--clock") {
      wanted.cpu_clock = value == "cpu";
    } else if (option == "--caffeine") {
      wanted.jar = value;
    } else {
      std::printf(usage, words[0]);
      return 2;
    }
  }
  for (const std::string& name : wanted.scenarios) {
    const auto found =
        std::find_if(scenarios().begin(), scenarios().end(), [&](const scenario& s) { return s.name == name; });
    if (found == scenarios().end()) {
      std::fprintf(stderr, "no scenario is called '%s'\n", name.c_str());
      return 2;
    }
    for (const unsigned threads : wanted.threads) {
      if (found->strings) {
        race<std::string>(*found, threads, wanted);
      } else {
        race<std::uint64_t>(*found, threads, wanted);
      }
    }
  }
}
