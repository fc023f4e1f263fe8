// What a pick and giving it back cost, for every policy and its rivals, all in one run: contenders take turns, round
// after round, with one thread and with several, and the tables give the medians of the rounds and of the ratios within
// a round. See --help.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <time.h>

#include "contenders.hpp"
#include "timing.hpp"

namespace {

using bench::contender;
using bench::entrant;
using bench::median;
using bench::seconds_of;
using bench::thread_state;

struct settings {
  std::vector<std::size_t> endpoints{3, 100, 1'000, 10'000};
  std::vector<unsigned> threads{1, 2};
  std::vector<std::string> only{};
  int rounds = 9;
  double seconds = 0.05;
  std::uint32_t stripes = 0;
  bool equal_weights = false;
  bool cpu_clock = false;
};

struct racer {
  const entrant* who;
  std::unique_ptr<contender> what;
  std::vector<std::vector<double>> rates{};  // picks a second of all threads, by number of threads, then by round
  std::uint64_t empty = 0;
};

// One round: each thread picks until the time is over.
double run_round(racer& one, unsigned threads, const settings& wanted, double length) {
  const clockid_t clock = wanted.cpu_clock ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  constexpr std::uint64_t stretch = 64;  // few: a pick that goes through 10,000 endpoints takes a while
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> empty{0};
  std::latch ready{static_cast<std::ptrdiff_t>(threads) + 1};
  std::vector<double> rates(threads);
  {
    std::vector<std::jthread> running;
    for (unsigned t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        thread_state mine{t};
        std::uint64_t picks = 0;
        std::uint64_t unanswered = one.what->run(1, mine);  // what a thread sets up once is not what is measured
        ready.arrive_and_wait();
        const double begin = seconds_of(clock);
        while (!stop.load(std::memory_order_relaxed)) {
          unanswered += one.what->run(stretch, mine);
          picks += stretch;
        }
        rates[t] = static_cast<double>(picks) / (seconds_of(clock) - begin);
        empty.fetch_add(unanswered, std::memory_order_relaxed);
      });
    }
    ready.arrive_and_wait();
    std::this_thread::sleep_for(std::chrono::duration<double>(length));
    stop.store(true, std::memory_order_relaxed);
  }
  one.empty += empty.load(std::memory_order_relaxed);
  double sum = 0;
  for (const double each : rates) sum += each;
  return sum;
}

double median_ratio(const std::vector<double>& rates, const std::vector<double>& others) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < rates.size(); ++i) ratios.push_back(rates[i] / others[i]);
  return median(std::move(ratios));
}

// `column`: which of the numbers of threads. Ratios above 1: so many times as many picks.
void print(const std::vector<racer>& racers, std::size_t endpoints, const settings& wanted, std::size_t column) {
  const unsigned threads = wanted.threads[column];
  const auto one_thread = std::find(wanted.threads.begin(), wanted.threads.end(), 1U);
  const bool scaling = threads > 1 && one_thread != wanted.threads.end();
  const auto alone = static_cast<std::size_t>(one_thread - wanted.threads.begin());

  std::printf("%zu endpoints, %u thread%s\n", endpoints, threads, threads == 1 ? "" : "s");
  std::printf("%-16s %10s %7s", "", "ns a pick", "spread");
  if (scaling) std::printf(" %11s", "to 1 thread");
  for (const racer& rival : racers) {
    if (rival.who->rival) std::printf(" %13s", rival.who->name.c_str());
  }
  std::printf("\n");
  for (const racer& one : racers) {
    const std::vector<double>& rates = one.rates[column];
    const auto [low, high] = std::minmax_element(rates.begin(), rates.end());
    const double rate = median(rates);
    std::printf("%-16s %10.1f %6.0f%%", one.who->name.c_str(), threads * 1e9 / rate, 100 * (*high - *low) / rate);
    if (scaling) std::printf(" %10.2fx", median_ratio(rates, one.rates[alone]));
    for (const racer& rival : racers) {
      if (rival.who->rival) std::printf(" %12.2fx", median_ratio(rates, rival.rates[column]));
    }
    std::printf("%s\n", one.empty != 0 ? "   FOUND NOBODY AT TIMES" : "");
  }
  std::printf("\n");
  std::fflush(stdout);
}

void race(std::size_t endpoints, const std::vector<entrant>& entrants, const settings& wanted) {
  const bench::setup scene{endpoints, wanted.stripes, wanted.equal_weights};
  std::vector<racer> racers;
  for (const entrant& each : entrants)
    racers.push_back({&each, each.make(scene), std::vector<std::vector<double>>(wanted.threads.size())});
  for (int round = -1; round < wanted.rounds; ++round) {  // the first one is to warm up
    for (racer& one : racers) {
      for (std::size_t i = 0; i < wanted.threads.size(); ++i) {
        const double rate = run_round(one, wanted.threads[i], wanted, wanted.seconds);
        if (round >= 0) one.rates[i].push_back(rate);
      }
    }
  }
  for (std::size_t i = 0; i < wanted.threads.size(); ++i) print(racers, endpoints, wanted, i);
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

template <class N>
std::vector<N> numbers(std::string_view text) {
  std::vector<N> all;
  for (const std::string& each : split(text)) all.push_back(static_cast<N>(std::max(1L, std::atol(each.c_str()))));
  return all;
}

constexpr const char* usage =
    "usage: %s [options]\n"
    "  --endpoints A,B  how many (default 3,100,1000,10000)\n"
    "  --threads A,B    numbers of threads (default 1,2)\n"
    "  --only A,B       which contenders (default: all)\n"
    "  --rounds N       rounds for each contender (default 9)\n"
    "  --seconds S      length of a round (default 0.05)\n"
    "  --weights equal  all endpoints alike (default: 1, 2, 3, 4, 5, 1, 2, ...)\n"
    "  --stripes N      cluster_options::stripes (default 0: as many as the library thinks fit)\n"
    "  --clock cpu      count the time the threads ran instead of the time that passed: steadier on a busy machine,\n"
    "                   and kind to those that sleep while they wait\n"
    "\n"
    "ns a pick: the time a thread takes for a pick and giving it back. The columns named after rivals: how many times "
    "as\n"
    "many picks a second, in the same round. to 1 thread: the same for all threads together against one alone.\n"
    "\n"
    "contenders:\n";

void print_usage(const char* program, const std::vector<entrant>& entrants) {
  std::printf(usage, program);
  for (const entrant& each : entrants) std::printf("  %-15s  %s\n", each.name.c_str(), each.meaning.c_str());
}

// False when the words make no sense.
bool read_options(int count, char** words, settings& wanted) {
  for (int i = 1; i < count; i += 2) {
    const std::string_view option = words[i];
    if (i + 1 == count) return false;
    const std::string value = words[i + 1];
    if (option == "--endpoints") {
      wanted.endpoints = numbers<std::size_t>(value);
    } else if (option == "--threads") {
      wanted.threads = numbers<unsigned>(value);
    } else if (option == "--only") {
      wanted.only = split(value);
    } else if (option == "--rounds") {
      wanted.rounds = std::max(1, std::atoi(value.c_str()));
    } else if (option == "--seconds") {
      wanted.seconds = std::max(0.001, std::atof(value.c_str()));
    } else if (option == "--weights") {
      wanted.equal_weights = value == "equal";
    } else if (option == "--stripes") {
      wanted.stripes = static_cast<std::uint32_t>(std::max(0, std::atoi(value.c_str())));
    } else if (option == "--clock") {
      wanted.cpu_clock = value == "cpu";
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int count, char** words) {
  std::vector<entrant> entrants = bench::all_entrants();
  settings wanted;
  if (!read_options(count, words, wanted)) {
    print_usage(words[0], entrants);
    return count == 2 && std::string_view{words[1]} == "--help" ? 0 : 2;
  }
  for (const std::string& name : wanted.only) {
    if (std::none_of(entrants.begin(), entrants.end(), [&](const entrant& each) { return each.name == name; })) {
      std::fprintf(stderr, "no contender is called '%s'\n", name.c_str());
      return 2;
    }
  }
  if (!wanted.only.empty()) {
    std::erase_if(entrants, [&](const entrant& each) {
      return std::find(wanted.only.begin(), wanted.only.end(), each.name) == wanted.only.end();
    });
  }
  for (const std::size_t endpoints : wanted.endpoints) race(endpoints, entrants, wanted);
}
