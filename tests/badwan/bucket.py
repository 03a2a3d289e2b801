"""A token bucket: when a block has left a line of a given rate. Pure: it is told what time it is."""

BURST_S = 0.04
"""So much of the rate may be saved up, so that a late wake-up of this process costs no speed."""
STEP_S = 0.01
"""No single block occupies the line for longer."""
LEAST_BLOCK_BYTES = 256


class Bucket:
    """Shared by all connections of one direction: together they have its rate."""

    def __init__(self) -> None:
        """Begin with a full bucket."""
        self._free_at = float("-inf")

    def departure(self, block_bytes: int, rate_bit_s: float | None, now: float) -> float:
        """Take a block's tokens; the time, never before `now`, at which its last byte has left."""
        if rate_bit_s is None:
            return now
        self._free_at = max(self._free_at, now - BURST_S) + block_bytes * 8 / rate_bit_s
        return max(now, self._free_at)


def block_bytes(rate_bit_s: float | None, most: int) -> int:
    """How large blocks may be so that they leave evenly."""
    return most if rate_bit_s is None else min(most, max(LEAST_BLOCK_BYTES, round(rate_bit_s / 8 * STEP_S)))
