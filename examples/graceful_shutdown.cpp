// How a service stops, and how one of the servers behind it is replaced, without a request being lost.
//
// Threads of the service call three servers through a balancer. First one of the servers gets a new version: drain it,
// wait until nothing is in flight there, remove it, add the new one. Then the service itself is told to stop, by the
// SIGTERM that Kubernetes, systemd or Docker would send (here, the program sends it to itself): drain everything, wait
// for what is in flight, but only so long, then cancel the rest.
#include <unistd.h>

#include <atomic>
#include <banyan/balance.hpp>
#include <banyan/cluster.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using banyan::steady_clock;

using servers = banyan::cluster<std::string>;  // an address each
using balancer = banyan::balancer<std::string, banyan::power_of_two>;

/// Ends what takes too long.
class cancellation {
 public:
  void request() {
    {
      const std::lock_guard lock(mutex_);
      requested_ = true;
    }
    changed_.notify_all();
  }

  /// False when it was cut short.
  bool sleep_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [this] { return requested_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool requested_ = false;
};

/// How requests ended.
struct endings {
  std::atomic<int> answered = 0;
  std::atomic<int> cancelled = 0;
  std::atomic<int> refused = 0;
};

class service {
 public:
  explicit service(servers& upstream) : upstream_(upstream), balancer_(upstream) {}

  /// One request, which takes the server so long. False when there is nobody to take it: an HTTP server would answer
  /// with status 503, and the client or a proxy would go elsewhere.
  bool handle(std::chrono::milliseconds work) {
    auto pick = balancer_.pick();
    if (!pick) {
      ++ended_.refused;
      return false;
    }
    const auto start = steady_clock::now();
    if (cancel_.sleep_for(work)) {  // the call to *pick
      pick.succeeded(steady_clock::now() - start);
      ++ended_.answered;
    } else {
      // Nothing is reported: it is not the server's fault. The token gives back the use all the same.
      ++ended_.cancelled;
    }
    return true;
  }

  /// Returns when nothing is in flight any more: waits for `grace`, then cancels what is left.
  void shut_down(std::chrono::milliseconds grace) {
    upstream_.drain_all();  // from here on every pick comes back empty; a listening socket would be closed now as well
    print_in_flight("in flight");
    if (!upstream_.wait_drained(grace)) print_in_flight("after the grace");
    cancel_.request();  // in any case: what is in flight at servers that were removed is not among what was waited for
    upstream_.wait_drained(grace);
    print_in_flight("at the end");
  }

  [[nodiscard]] const endings& ended() const { return ended_; }

 private:
  void print_in_flight(const char* when) const {
    std::printf("  %-17s", when);
    for (const banyan::endpoint_stats& each : upstream_.all_stats())
      std::printf("  %s: %lld", upstream_.name_of(each.id).c_str(), static_cast<long long>(each.in_flight));
    std::printf("\n");
  }

  servers& upstream_;
  balancer balancer_;
  cancellation cancel_;
  endings ended_;
};

/// Takes one server out for a new version. The others carry on meanwhile, and clients notice nothing.
void replace_server(servers& all, banyan::endpoint_id old, std::string successor) {
  std::printf("%s is replaced\n", all.name_of(old).c_str());
  all.drain(old);  // nothing new goes there; to be told instead of waiting, give it a callback
  std::printf("  in flight there    %lld\n", static_cast<long long>(all.in_flight(old)));
  const bool drained = all.wait_drained(old, 2s);
  std::printf("  %s\n", drained ? "drained" : "not drained in time: what is left may end, but nobody waits");
  all.remove(old);
  const banyan::endpoint_id added = all.add(std::move(successor));
  std::printf("  removed; %s serves\n", all.name_of(added).c_str());
}

}  // namespace

int main() try {
  // Signals are for one thread that waits for them, so they are blocked in all threads, before there are any. In a
  // handler, hardly anything would be allowed.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  servers upstream({.slow_start = {.window = 100ms}});
  const banyan::endpoint_id first = upstream.add("10.0.0.1:80");
  upstream.add("10.0.0.2:80");
  upstream.add("10.0.0.3:80");
  service shop(upstream);

  std::vector<std::future<void>> threads;  // their destructors join
  threads.reserve(7);
  for (int i = 0; i < 6; ++i) {
    threads.push_back(std::async(std::launch::async, [&shop, i] {
      while (shop.handle(10ms + i * 5ms)) continue;
    }));
  }

  std::this_thread::sleep_for(100ms);
  replace_server(upstream, first, "10.0.0.4:80");
  threads.push_back(std::async(std::launch::async, [&shop] { shop.handle(1h); }));  // somebody asks for too much
  std::this_thread::sleep_for(200ms);

  ::kill(::getpid(), SIGTERM);
  int signal = 0;
  sigwait(&signals, &signal);
  std::printf("signal %d: shutting down\n", signal);
  shop.shut_down(300ms);
  threads.clear();

  const endings& ended = shop.ended();
  std::printf("%d requests answered, %d cancelled, %d refused\n", ended.answered.load(), ended.cancelled.load(),
              ended.refused.load());
  return upstream.drained() ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "graceful_shutdown: %s\n", error.what());
  return EXIT_FAILURE;
}
