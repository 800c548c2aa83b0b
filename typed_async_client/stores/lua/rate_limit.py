"""GCRA, as in ``policies/rate_limit.py``."""

from typing import Final

from typed_async_client.stores.lua.script import CLOCK, Script

__all__ = ["CANCEL_SLOT", "TAKE_SLOT"]

# A key holds when the burst is full again, as "seconds microseconds". In one number, microseconds
# since 1970 would be rounded to a quarter of one.
TAKE_SLOT: Final = Script(
    CLOCK,
    """
local interval, allowance = tonumber(ARGV[1]), tonumber(ARGV[2])
local max_waiting, max_wait, left = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local tolerance = 1

local before = redis.call('GET', key)
local full_s, full_u = seconds, micros
if before then
    local s, u = string.match(before, '^(%S+) (%S+)$')
    s, u = tonumber(s), tonumber(u)
    if s > seconds or (s == seconds and u > micros) then
        full_s, full_u = s, u
    end
end

local early = (full_s - seconds) * 1e6 + (full_u - micros) - allowance
local wait = 0
if early > tolerance then
    wait = early / 1e6
    local waiting = math.ceil((early - tolerance) / interval) - 1
    local longest = math.min(max_wait, left)
    local reason
    if max_waiting >= 0 and waiting >= max_waiting then
        reason = 'queue_full'
    elseif longest <= 0 or wait > longest then
        reason = left <= max_wait and 'deadline' or 'too_long'
    end
    if reason then
        return {'rejected', reason, string.format('%.17g', wait)}
    end
end

full_u = full_u + interval
full_s = full_s + math.floor(full_u / 1e6)
full_u = full_u % 1e6
local after = string.format('%.0f %.17g', full_s, full_u)
local ms = (full_s - seconds) * 1000 + (full_u - micros) / 1000
redis.call('SET', key, after, 'PX', expiry(ms))
return {'reserved', string.format('%.17g', wait), before or '', after}
""",
)

CANCEL_SLOT: Final = Script(
    CLOCK,
    """
local before, after = ARGV[1], ARGV[2]
if redis.call('GET', key) ~= after then
    return 0
end
local s, u = string.match(before, '^(%S+) (%S+)$')
local ms = s and (tonumber(s) - seconds) * 1000 + (tonumber(u) - micros) / 1000 or 0
if ms > 0 then
    redis.call('SET', key, before, 'PX', expiry(ms))
else
    redis.call('DEL', key)
end
return 1
""",
)
