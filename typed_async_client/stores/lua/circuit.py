"""The state machine of ``policies/circuit.py``."""

from typing import Final

from typed_async_client.stores.lua.script import CLOCK, Script

__all__ = ["ADMIT", "REPORT"]

# A key is a hash. `epoch` is the number of the state: '0' for a circuit that never opened, and
# unique otherwise, so that a report about an earlier state is recognized. `calls`, `failures` and
# `slow` count the probes, or the attempts of a window of calls, or what opened the circuit; a window
# of time is counted in the fields 0 to 9, each as "number calls failures slow".
_CHANGE: Final = """
local function rates(previous, reason, calls, failures, slow, retry_after)
    return {previous, reason, calls, failures, slow, retry_after and string.format('%.17g', retry_after) or ''}
end

local function change(state, epoch, fields, ms)
    local number = tonumber(epoch)
    number = number == 0 and seconds * 1e6 + micros or number + 1
    local text = string.format('%.0f', number)
    redis.call('DEL', key)
    redis.call('HSET', key, 'state', state, 'epoch', text, unpack(fields))
    redis.call('PEXPIRE', key, expiry(ms))
    return text
end
"""

ADMIT: Final = Script(
    CLOCK,
    _CHANGE,
    """
local probes, reset_timeout, max_reset_timeout = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local found = redis.call('HMGET', key, 'state', 'epoch', 'trips', 'over', 'left', 'calls', 'failures', 'slow')
local state, epoch = found[1] or 'closed', found[2] or '0'
if state == 'closed' then
    return {'admitted', epoch, 0, {}}
end

local over, left = tonumber(found[4]), tonumber(found[5])
local transition = {}
if now >= over and (state == 'open' or left == 0) then
    if state == 'open' then
        transition = rates('open', 'break_over', tonumber(found[6]), tonumber(found[7]), tonumber(found[8]))
    end
    state, over, left = 'half_open', now + reset_timeout, probes
    epoch = change(state, epoch, {
        'trips', found[3], 'over', string.format('%.17g', over), 'left', left,
        'calls', 0, 'failures', 0, 'slow', 0,
    }, (reset_timeout + max_reset_timeout) * 1000)
end
if state == 'open' or left == 0 then
    return {'rejected', string.format('%.17g', over - now)}
end
redis.call('HSET', key, 'left', left - 1)
return {'admitted', epoch, 1, transition}
""",
)

REPORT: Final = Script(
    CLOCK,
    _CHANGE,
    """
local admitted_in, is_counted = ARGV[1], ARGV[2] == '1'
local failed, slowed, random = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local minimum_calls, failure_rate, slow_rate = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local probes, reset_timeout = tonumber(ARGV[9]), tonumber(ARGV[10])
local reset_factor, max_reset_timeout = tonumber(ARGV[11]), tonumber(ARGV[12])
local step, window_calls, closed_ms = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])

local found = redis.call('HMGET', key, 'state', 'epoch', 'trips', 'calls', 'failures', 'slow', 'place')
local state, epoch, trips = found[1] or 'closed', found[2] or '0', tonumber(found[3] or 0)
local calls, failures, slow = tonumber(found[4] or 0), tonumber(found[5] or 0), tonumber(found[6] or 0)
if epoch ~= admitted_in then
    return {}
end
if not is_counted then
    if state == 'half_open' then
        redis.call('HINCRBY', key, 'left', 1)
    end
    return {}
end

local function count_latest()
    local place = tonumber(found[7] or 0)
    local oldest = redis.call('HGET', key, 'r' .. place)
    if oldest then
        oldest = tonumber(oldest)
        failures, slow = failures - oldest % 2, slow - math.floor(oldest / 2)
    else
        calls = calls + 1
    end
    failures, slow = failures + failed, slow + slowed
    redis.call('HSET', key, 'r' .. place, failed + 2 * slowed, 'place', (place + 1) % window_calls,
        'calls', calls, 'failures', failures, 'slow', slow)
end

local function count_recent()
    local number = math.floor(now / step)
    local parts = redis.call('HMGET', key, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    local c, f, s = 1, failed, slowed
    calls, failures, slow = 1, failed, slowed
    for _, part in ipairs(parts) do
        local n, pc, pf, ps = string.match(part or '', '^(%S+) (%S+) (%S+) (%S+)$')
        if n and tonumber(n) > number - 10 then
            calls, failures, slow = calls + pc, failures + pf, slow + ps
            if tonumber(n) == number then
                c, f, s = c + pc, f + pf, s + ps
            end
        end
    end
    redis.call('HSET', key, number % 10, string.format('%.0f %d %d %d', number, c, f, s))
end

local function excess(among)
    if failures / among >= failure_rate then
        return 'failure_rate'
    end
    return slow / among >= slow_rate and 'slow_rate' or nil
end

local function open(reason)
    local ceiling = math.min(reset_timeout * reset_factor ^ trips, max_reset_timeout)
    local break_time = math.min(ceiling * (0.8 + 0.4 * random), max_reset_timeout)
    change('open', epoch, {
        'trips', trips + 1, 'over', string.format('%.17g', now + break_time), 'left', 0,
        'calls', calls, 'failures', failures, 'slow', slow,
    }, (break_time + max_reset_timeout) * 1000)
    return {'open', rates(state, reason, calls, failures, slow, break_time)}
end

if state == 'closed' then
    if window_calls > 0 then
        count_latest()
    else
        count_recent()
    end
    redis.call('PEXPIRE', key, expiry(closed_ms))
    local reason = calls >= minimum_calls and excess(calls)
    return reason and open(reason) or {}
end

calls, failures, slow = calls + 1, failures + failed, slow + slowed
redis.call('HSET', key, 'calls', calls, 'failures', failures, 'slow', slow)
local reason = excess(probes)
if reason then
    return open(reason)
end
local left = probes - calls
if (failures + left) / probes >= failure_rate or (slow + left) / probes >= slow_rate then
    return {}
end
change('closed', epoch, {}, closed_ms)
return {'closed', rates(state, 'probes_passed', calls, failures, slow)}
""",
)
