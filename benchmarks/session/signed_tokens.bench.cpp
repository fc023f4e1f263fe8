// A token with a payload of 50 bytes, signed and verified. The floor is the HMAC alone.

#include <banyan/session/signed_tokens.hpp>

#include <benchmark/benchmark.h>

#if defined(BANYAN_BENCH_OPENSSL)

#include <banyan/adapters/openssl_hmac_sha256.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace {

const banyan::token_key key = banyan::token_key::make(1);
const std::string payload(50, 'x');
banyan::signed_tokens<banyan::openssl_hmac_sha256> tokens{{key}, {.purpose = "session"}};

void floor_hmac(benchmark::State& state) {
  const banyan::openssl_hmac_sha256 mac{key.secret};
  const std::array<std::byte, 75> message{};
  std::array<std::byte, 32> tag{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(mac.sign(message, tag));
    benchmark::DoNotOptimize(tag);
  }
}
BENCHMARK(floor_hmac)->Name("floor: HMAC-SHA-256 of 75 bytes");

void sign(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(tokens.sign(payload));
}
BENCHMARK(sign)->ThreadRange(1, 2)->UseRealTime();

void verify(benchmark::State& state) {
  const std::string token = *tokens.sign(payload);
  for (auto _ : state) benchmark::DoNotOptimize(tokens.verify(token));
}
BENCHMARK(verify)->ThreadRange(1, 2)->UseRealTime();

void verify_forged(benchmark::State& state) {
  std::string token = *tokens.sign(payload);
  token[30] = token[30] == 'A' ? 'B' : 'A';
  for (auto _ : state) benchmark::DoNotOptimize(tokens.verify(token));
}
BENCHMARK(verify_forged)->Name("verify, forged")->UseRealTime();

void verify_garbage(benchmark::State& state) {
  const std::string token(120, 'A');
  for (auto _ : state) benchmark::DoNotOptimize(tokens.verify(token));
}
BENCHMARK(verify_garbage)->Name("verify, no token")->UseRealTime();

}  // namespace

#endif

BENCHMARK_MAIN();
