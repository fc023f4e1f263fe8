#pragma once

#include <string_view>

namespace banyan::detail {

/// The changes of a `session_backend` as one script for Redis, atomic as scripts are. A session is a hash with the
/// fields v(ersion), s(tate), c(reated), e(xpires), d(ata).
///
///     KEYS[1]  the session
///     ARGV     put, the version that is expected, now, expires, version, state, created, data
///              touch, version, now, expires
///              erase, version, now
///     reply    0: done, 1: conflict, 2: not found
///
/// Times are milliseconds below 2^53, which Lua's doubles hold exactly. They are the caller's; the server forgets a
/// session by its own clock a minute after its time, so that clocks which are behind still find it.
struct redis_session_script {
  static constexpr std::string_view script = R"(local what, version, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'v', 'e')
local there = held[1] and tonumber(held[2]) > now
if what == 'put' and version == '0' then
  if there then return 1 end
elseif not there then
  return 2
elseif held[1] ~= version then
  return 1
end

if what == 'erase' then
  redis.call('DEL', KEYS[1])
  return 0
end

local expires = tonumber(ARGV[4])
if there and (what == 'touch' or ARGV[6] == '0') then expires = math.max(expires, tonumber(held[2])) end
local written = string.format('%.0f', expires)
if what == 'touch' then
  redis.call('HSET', KEYS[1], 'e', written)
else
  redis.call('HSET', KEYS[1], 'v', ARGV[5], 's', ARGV[6], 'c', ARGV[7], 'e', written, 'd', ARGV[8])
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(expires - now, 0) + 60000))
return 0
)";

  /// By which the server knows the script.
  static constexpr std::string_view sha1 = "9068d05be24a6c06723b55a9ffeb6c8183baf10f";
};

}  // namespace banyan::detail
