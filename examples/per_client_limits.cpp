// A limit for each client, one for everybody, and somebody who sends twenty thousand requests a second, each from an
// address of its own.
//
// An IPv6 subscriber has a whole network: a /56 is 2^72 addresses. Who limits addresses limits nobody who means harm;
// who limits networks (`ipv6_prefix`) does. The same ten seconds of traffic go through three gates: a limit for all
// together, with one for each address besides, and with one for each network instead. Time is simulated, so the program
// takes a moment and prints the same figures every time.
#include <array>
#include <banyan/core.hpp>
#include <banyan/limit.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using clock_type = banyan::manual_clock;
using bucket = banyan::token_bucket<clock_type>;

constexpr banyan::token_bucket_options each_client{.rate = 10, .burst = 20};
constexpr banyan::token_bucket_options everybody{.rate = 6000, .burst = 600};

struct kind {
  const char* name;
  std::uint64_t clients;
  std::uint64_t per_second;  // requests of each
};

constexpr std::array<kind, 5> kinds{{
    {"homes, IPv6", 3000, 1},
    {"homes, IPv4", 500, 1},
    {"an office behind one IPv4 address", 1, 200},
    {"busy services", 50, 20},
    {"one that hops over its /56", 1, 20'000},
}};

struct request {
  std::size_t kind;
  std::string address;
};

std::string address_of(std::size_t kind, std::uint64_t client, banyan::xoshiro256& random) {
  char text[64];
  const auto any = static_cast<unsigned>(banyan::random_below(random, 0x10000));
  const auto number = static_cast<unsigned>(client);
  switch (kind) {
    case 0:  // subscriber networks of 56 bits; hosts change their address now and then
      std::snprintf(text, sizeof text, "2001:db8:%x:%02x00::%x", number / 256, number % 256, any % 4);
      break;
    case 1:
      std::snprintf(text, sizeof text, "198.18.%u.%u", number / 256, number % 256);
      break;
    case 2:
      std::snprintf(text, sizeof text, "203.0.113.7");
      break;
    case 3:
      std::snprintf(text, sizeof text, "2001:db8:a000:%02x00::1", number);
      break;
    default:
      std::snprintf(text, sizeof text, "2001:db8:ffff:ff%02x:%x:%x::%x", any % 256, any,
                    static_cast<unsigned>(banyan::random_below(random, 0x10000)),
                    static_cast<unsigned>(banyan::random_below(random, 0x10000)));
  }
  return text;
}

/// The requests of one millisecond, in any order.
std::vector<request> requests_of(std::uint64_t millisecond, banyan::xoshiro256& random) {
  std::vector<request> all;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const std::uint64_t per_second = kinds[k].clients * kinds[k].per_second;
    const std::uint64_t count = per_second * (millisecond + 1) / 1000 - per_second * millisecond / 1000;
    for (std::uint64_t i = 0; i < count; ++i) {
      all.push_back({k, address_of(k, banyan::random_below(random, kinds[k].clients), random)});
    }
  }
  for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[banyan::random_below(random, i)]);
  return all;
}

struct outcome {
  std::array<std::uint64_t, kinds.size()> asked{};
  std::array<std::uint64_t, kinds.size()> admitted{};
};

/// Ten seconds of traffic, the same each time.
outcome send_through(const std::function<bool(const std::string& address)>& gate) {
  outcome result;
  banyan::xoshiro256 random{2026};
  for (std::uint64_t ms = 0; ms < 10'000; ++ms) {
    clock_type::advance(1ms);
    for (const request& r : requests_of(ms, random)) {
      ++result.asked[r.kind];
      if (gate(r.address)) ++result.admitted[r.kind];
    }
  }
  return result;
}

}  // namespace

int main() {
  clock_type::set(clock_type::time_point{1'000'000h});

  bucket all{everybody};
  const outcome together = send_through([&](const std::string&) { return all.try_acquire().allowed(); });

  bucket all_again{everybody};
  banyan::keyed_limiter<std::string, bucket> addresses{each_client, {.max_keys = 1'000'000}};
  const outcome by_address = send_through([&](const std::string& address) {
    return banyan::hierarchical{addresses.of(address), all_again}.try_acquire().allowed();
  });
  const std::size_t busy_addresses = addresses.busy();

  bucket all_once_more{everybody};
  banyan::keyed_limiter<std::uint64_t, bucket> networks{each_client, {.max_keys = 100'000}};
  const outcome by_network = send_through([&](const std::string& address) {
    const auto network = banyan::ipv6_prefix(address, 56);
    if (!network.has_value()) return false;  // not an address at all
    return banyan::hierarchical{networks.of(*network), all_once_more}.try_acquire().allowed();
  });

  std::printf("10 s; %.0f requests a second for all; %.0f a second and %llu at once for each client\n\n",
              everybody.rate, each_client.rate, static_cast<unsigned long long>(each_client.burst));
  std::printf("%-35s %8s   admitted, of what was asked, with a limit for\n", "", "asked");
  std::printf("%-35s %8s  %10s %14s %14s\n", "clients", "a second", "all", "all + address", "all + network");
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const auto percent = [k](const outcome& o) {
      return 100.0 * static_cast<double>(o.admitted[k]) / static_cast<double>(o.asked[k]);
    };
    std::printf("%-35s %8llu  %8.1f %% %12.1f %% %12.1f %%\n", kinds[k].name,
                static_cast<unsigned long long>(together.asked[k] / 10), percent(together), percent(by_address),
                percent(by_network));
  }
  std::printf("\nbusy at the end: %zu addresses, or %zu networks; tables of %.1f and %.1f MB\n", busy_addresses,
              networks.busy(), static_cast<double>(addresses.memory()) / 1e6,
              static_cast<double>(networks.memory()) / 1e6);

  // What the program is there to show: with networks, those who keep to the limit hardly notice.
  const auto served = [&](const outcome& o, std::size_t k) { return o.admitted[k] * 100 >= o.asked[k] * 99; };
  const bool shown = served(by_network, 0) && served(by_network, 1) && !served(by_address, 0) && !served(together, 0);
  return shown ? 0 : 1;
}
