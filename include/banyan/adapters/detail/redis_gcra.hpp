#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <banyan/adapters/redis_reply.hpp>
#include <banyan/limit/detail/gcra_terms.hpp>
#include <banyan/limit/detail/gcra_word.hpp>

namespace banyan::detail {

/// `gcra_word::take` as a script for Redis. The key holds the time at which the bucket was empty, as "SECONDS:TICKS" of
/// the server's clock, until the bucket is full: no key, full bucket. Lua counts in doubles, exactly up to 2^53, which
/// ticks since 1970 exceed; so times and lengths are pairs of whole seconds and ticks below a second's, and all that is
/// done with them is exact.
///
///     KEYS[1]  the bucket
///     ARGV     cost of the request, length of the burst, each as two numbers; and for tests, the time, as by TIME
///     reply    admitted (1 or 0), how long until it would be, what is left, each as two numbers
///
/// Refusals write nothing. One exception: a clock that went back by more than the burst's length would shut the bucket
/// for as long as it went back; the bucket is then empty now.
///
/// Needs Redis 5 or later: before, a script could not ask for the time and write after it.
struct redis_gcra {
  static constexpr std::string_view script = R"(local second = 32000000000
local function minus(as, at, bs, bt)
  local s, t = as - bs, at - bt
  if t < 0 then return s - 1, t + second end
  return s, t
end
local function more(as, at, bs, bt) return as > bs or (as == bs and at > bt) end

local cost_s, cost_t = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_s, full_t = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = ARGV[5] and {ARGV[5], ARGV[6]} or redis.call('TIME')
local now_s, now_t = tonumber(time[1]), tonumber(time[2]) * 32000

local function keep(s, t)
  local empty_s, empty_t = minus(now_s, now_t, s, t)
  local rest_s, rest_t = minus(full_s, full_t, s, t)
  local ms = rest_s * 1000 + math.ceil(rest_t / 32000000) + 1
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f', empty_s, empty_t), 'PX', string.format('%.0f', ms))
end

local has_s, has_t, back = full_s, full_t, false
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'table' then return held end
if held then
  local s, t = string.match(held, '^(%d+):(%d+)$')
  if not s then return redis.error_reply('WRONGTYPE the key holds something else than a token bucket') end
  has_s, has_t = minus(now_s, now_t, tonumber(s), tonumber(t))
  if more(has_s, has_t, full_s, full_t) then
    has_s, has_t = full_s, full_t
  elseif has_s < 0 then
    local s, t = minus(0, 0, has_s, has_t)
    back = more(s, t, full_s, full_t)
    if back then has_s, has_t = 0, 0 end
  end
end

local left_s, left_t = minus(has_s, has_t, cost_s, cost_t)
if left_s >= 0 then
  if cost_s > 0 or cost_t > 0 then keep(left_s, left_t) end
  return {1, 0, 0, left_s, left_t}
end
if back then keep(0, 0) end
local wait_s, wait_t = minus(cost_s, cost_t, has_s, has_t)
if has_s < 0 then has_s, has_t = 0, 0 end
return {0, wait_s, wait_t, has_s, has_t}
)";

  /// By which the server knows the script.
  static constexpr std::string_view sha1 = "ed2281da46b9a5b96ad59ccd04de3e35b89b49fb";

  /// A length as the script takes it.
  using pair = std::array<std::string, 2>;
  [[nodiscard]] static pair split(std::uint64_t ticks) {
    return {std::to_string(ticks / ticks_per_second), std::to_string(ticks % ticks_per_second)};
  }

  /// None when that is no reply of the script.
  [[nodiscard]] static std::optional<gcra_outcome> outcome(const redis_value& reply) {
    if (reply.size() != 5) return std::nullopt;
    std::array<std::uint64_t, 5> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto number = reply[i].integer();
      if (!number || *number < 0) return std::nullopt;
      numbers[i] = static_cast<std::uint64_t>(*number);
    }
    return gcra_outcome{numbers[0] == 1 ? gcra_outcome::verdict::admitted : gcra_outcome::verdict::refused,
                        join(numbers[1], numbers[2]), join(numbers[3], numbers[4])};
  }

 private:
  static constexpr std::uint64_t ticks_per_second = std::uint64_t{1'000'000'000} << ticks_per_nanosecond_log2;

  // A wait after the clock went back can be as long as it went back: at most the burst's length, so the sum fits.
  [[nodiscard]] static constexpr std::uint64_t join(std::uint64_t seconds, std::uint64_t ticks) noexcept {
    return seconds * ticks_per_second + ticks;
  }
};

}  // namespace banyan::detail
