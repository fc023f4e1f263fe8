#include <banyan/cache.hpp>
#include <iostream>
#include <string>

int main() {
  banyan::lru_cache<std::string, int> stock{{.capacity = 2}};
  stock.put("apples", 12);
  stock.put("pears", 7);

  if (auto apples = stock.get("apples")) std::cout << "apples: " << *apples << '\n';

  stock.put("plums", 30);  // the cache is full, and pears were used least recently
  std::cout << "pears are " << (stock.get("pears") ? "here" : "gone") << '\n';

  // One load per key, however many threads ask; the others wait for it.
  int figs = stock.get_or_load("figs", [](const std::string& fruit) { return static_cast<int>(fruit.size()); });
  std::cout << "figs: " << figs << '\n';

  banyan::cache_stats stats = stock.stats();
  std::cout << stats.hits << " hit, " << stats.misses << " misses, " << stats.evictions << " evictions\n";
}
