"""A script as Redis knows it, and what all of them begin with."""

import hashlib
from typing import Final

__all__ = ["CLOCK", "Script"]

CLOCK: Final = """
local time = redis.call('TIME')
local seconds, micros = tonumber(time[1]), tonumber(time[2])
local now = seconds + micros / 1e6
local key = KEYS[1]

-- Milliseconds as text; Redis refuses more than fits its clock.
local function expiry(ms)
    return string.format('%.0f', math.min(math.ceil(ms) + 1, 1e14))
end
"""


class Script:
    """A script, and the hash under which Redis caches it."""

    __slots__ = ("sha", "text")

    def __init__(self, *parts: str) -> None:
        self.text: str = "\n".join(part.strip("\n") for part in parts)
        """What ``EVAL`` takes."""
        self.sha: str = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        """What ``EVALSHA`` takes."""
