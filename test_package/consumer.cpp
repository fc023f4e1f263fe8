#include <banyan/banyan.hpp>
#include <banyan/version.hpp>
#include <cstdio>
#include <optional>
#include <string>

// Prints the version of the package that it was built with; the consumer test compares it with the sources'.
int main() {
  banyan::lru_cache<std::string, int> cache{{.capacity = 2}};
  cache.put("a", 1);
  cache.put("b", 2);
  cache.put("c", 3);
  if (cache.get("a") || cache.get("c") != std::optional<int>{3}) return 1;
  std::printf("%d.%d.%d\n", banyan::version_major, banyan::version_minor, banyan::version_patch);
}
