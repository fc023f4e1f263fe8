// CRC-16 by the length of the text, which for a Redis Cluster slot is a key or its tag: beside the classic way, one
// byte and one table after the other, and the floor, every byte read.

#include <banyan/hashing/crc16.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>

namespace {

std::uint16_t byte_by_byte(std::string_view text) {
  std::uint32_t rest = 0;
  for (const char c : text) {
    rest = ((rest << 8) ^ banyan::detail::crc16_tables[0][((rest >> 8) ^ static_cast<unsigned char>(c)) & 0xffU]) &
           0xffffU;
  }
  return static_cast<std::uint16_t>(rest);
}

std::uint16_t bytes_read(std::string_view text) {
  return std::accumulate(text.begin(), text.end(), std::uint16_t{0}, [](std::uint16_t sum, char c) {
    return static_cast<std::uint16_t>(sum + static_cast<unsigned char>(c));
  });
}

template <class Hash>
void texts(benchmark::State& state, Hash hash) {
  const auto size = static_cast<std::size_t>(state.range(0));
  std::array<std::string, 64> keys;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i].assign(size, 'k');
    keys[i][i % size] = static_cast<char>('0' + i % 10);
  }
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(hash(std::string_view{keys[i++ % keys.size()]}));
}

BENCHMARK_CAPTURE(texts, crc16, banyan::crc16)->Arg(4)->Arg(8)->Arg(20)->Arg(64)->Arg(1024);
BENCHMARK_CAPTURE(texts, byte_by_byte, byte_by_byte)->Arg(4)->Arg(8)->Arg(20)->Arg(64)->Arg(1024);
BENCHMARK_CAPTURE(texts, bytes_read, bytes_read)->Arg(4)->Arg(8)->Arg(20)->Arg(64)->Arg(1024);

}  // namespace

BENCHMARK_MAIN();
