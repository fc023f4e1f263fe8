// Bytes of memory for each entry of a full cache, beyond its 64-bit key and value: growth of the resident set, each
// contender in a process of its own. Usage: [ENTRIES...], default 1048576 16777216.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "caffeine.hpp"
#include "contenders.hpp"

namespace {

double resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// A quarter more keys than fit, so that evictions have happened; maps without eviction get as many as are to stay.
void measure(const bench::entrant<std::uint64_t>& entrant, std::uint32_t entries) {
  std::printf("%-11s ", entrant.name.c_str());
  std::fflush(stdout);
  const ::pid_t child = ::fork();
  if (child != 0) {
    ::waitpid(child, nullptr, 0);
    return;
  }
  const bench::keys_by_rank<std::uint64_t> names{0};
  const double before = resident_bytes();
  const auto cache = entrant.make(entries, entries, names);
  cache->fill(entrant.evicts ? entries + entries / 4 : entries);
  const double each = (resident_bytes() - before) / entries;
  std::printf("%6.1f bytes beyond key and value%s\n", each - 16, entrant.evicts ? "" : "   evicts nothing");
  std::fflush(stdout);
  ::_exit(0);
}

// Objects of 16 bytes for each key and value are Java's price, so all of it counts but the 16 bytes themselves.
void measure_caffeine(std::uint32_t entries, const std::string& jar) {
  bench::caffeine process{jar, {std::to_string(entries), std::to_string(entries), "get", "0", "0", "number"}};
  double heap = 0;
  double held = 0;
  if (std::sscanf(process.answer().c_str(), "%lf %lf", &heap, &held) != 2 || held < 1) return;
  std::printf("%-11s %6.1f bytes beyond key and value (%.1f beyond the boxes of both)\n", "caffeine", heap / held - 16,
              heap / held - 32);
}

}  // namespace

int main(int count, char** words) {
  std::vector<std::uint32_t> sizes;
  for (int i = 1; i < count; ++i) sizes.push_back(static_cast<std::uint32_t>(std::strtoul(words[i], nullptr, 10)));
  if (sizes.empty()) sizes = {1U << 20, 1U << 24};
  const char* const jar = std::getenv("CAFFEINE_JAR");
  for (const std::uint32_t entries : sizes) {
    if (entries < 1 || entries > (1U << 26)) {
      std::fprintf(stderr, "entries must be in [1, %u]\n", 1U << 26);
      return 2;
    }
    std::printf("%u entries\n", entries);
    for (const auto& entrant : bench::all_entrants<std::uint64_t>()) measure(entrant, entries);
    if (entries <= (1U << 22)) measure_caffeine(entries, jar != nullptr ? jar : "/usr/share/java/caffeine.jar");
    std::printf("\n");
    std::fflush(stdout);
  }
}
