"""The window of ``policies/budget.py``."""

from typing import Final

from typed_async_client.stores.lua.script import CLOCK, Script

__all__ = ["DEPOSIT", "REFUND", "WITHDRAW"]

# A key is a hash of the parts of the window, 0 to 9, each as "number deposits withdrawals".
_PARTS: Final = """
local slice = tonumber(ARGV[1])
local number = math.floor(now / slice)

local function read(part)
    local n, deposits, withdrawals = string.match(part or '', '^(%S+) (%S+) (%S+)$')
    return tonumber(n or -1), tonumber(deposits or 0), tonumber(withdrawals or 0)
end

local function write(n, deposits, withdrawals)
    redis.call('HSET', key, n % 10, string.format('%.0f %d %d', n, deposits, withdrawals))
end

local function current()
    local n, deposits, withdrawals = read(redis.call('HGET', key, number % 10))
    if n ~= number then
        return 0, 0
    end
    return deposits, withdrawals
end
"""

DEPOSIT: Final = Script(
    CLOCK,
    _PARTS,
    """
local deposits, withdrawals = current()
write(number, deposits + 1, withdrawals)
redis.call('PEXPIRE', key, expiry(slice * 10000))
return 1
""",
)

WITHDRAW: Final = Script(
    CLOCK,
    _PARTS,
    """
local ratio, reserve, rounding = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local current_deposits, current_withdrawals = current()
local deposits, busiest = 0, 0
local taken = {current_withdrawals + 1}
for _, part in ipairs(redis.call('HVALS', key)) do
    local n, d, w = read(part)
    if n > number - 10 then
        deposits, busiest = deposits + d, math.max(busiest, d)
        if n ~= number then
            table.insert(taken, w)
        end
    end
end

local pace = math.max(1, ratio * busiest)
local burst, withdrawals = 0, 0
for _, w in ipairs(taken) do
    burst, withdrawals = burst + math.max(0, w - pace), withdrawals + w
end
if burst > reserve + rounding or withdrawals > reserve + ratio * deposits + rounding then
    return ''
end
write(number, current_deposits, current_withdrawals + 1)
redis.call('PEXPIRE', key, expiry(slice * 10000))
return string.format('%.0f', number)
""",
)

REFUND: Final = Script(
    CLOCK,
    _PARTS,
    """
local taken = tonumber(ARGV[2])
local n, deposits, withdrawals = read(redis.call('HGET', key, taken % 10))
if n == taken and taken > number - 10 and withdrawals > 0 then
    write(n, deposits, withdrawals - 1)
end
return 1
""",
)
