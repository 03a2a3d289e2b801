"""A rate of transfer as people write it: `5 Mbit/s`, `none` for no limit, `0` for a pause.

Rules: pure. Inside it is whole bytes per second; None is no limit, 0 a pause. Lines are sold in bits per second and
decimal steps, so nothing else is read: a `5 MB/s` that was meant as megabits would be eight times too much.
"""

import re
from decimal import Decimal

LEAST_BYTES_S = 8_000
"""64 kbit/s. More slowly than this a clip takes days, and stores give up on the connection."""
MOST_BYTES_S = 12_500_000_000
"""100 Gbit/s: more is a slip of the pen."""

_UNITS = {"kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
_FORM = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?) ?(kbit/s|Mbit/s|Gbit/s)")
_BITS = 8


def parse_rate(text: str) -> int | None:
    """Read a limit into bytes per second; None for `none`. Raises ValueError."""
    if text == "none":
        return None
    if text == "0":
        return 0
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f'{text!r} is no limit; write for example "5 Mbit/s" (kbit/s, Mbit/s or Gbit/s), "none", or "0" for a pause'
        )
    rate = int(Decimal(found[1]) * _UNITS[found[2]]) // _BITS
    if not LEAST_BYTES_S <= rate <= MOST_BYTES_S:
        raise ValueError(
            f'{text!r} is not between 64 kbit/s and 100 Gbit/s; write "none" for no limit, "0" for a pause'
        )
    return rate


def rate_text(rate: int | None) -> str:
    """Write a limit for people: the inverse of `parse_rate`, but for words where there is no rate."""
    if rate is None:
        return "no limit"
    if rate == 0:
        return "paused"
    bits = rate * _BITS
    unit = next((name for name, size in reversed(_UNITS.items()) if bits >= size), "kbit/s")
    value = f"{bits / _UNITS[unit]:.3f}".rstrip("0").rstrip(".")
    return f"{value} {unit}"
