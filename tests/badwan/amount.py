"""Amounts as people write them: 50ms, 20mbit, 12MB.

Sizes are decimal (kB, MB, GB) or binary (KiB, MiB, GiB), rates are bits per second, and case does not matter.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping

_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")
_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_RATES = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_SIZES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip


class NoAmount(ArgumentTypeError):
    """A text that is not the amount it should be."""


def seconds(text: str) -> float:
    """Read a time: `50ms`, `10s`, `2min`. Raises NoAmount."""
    return _read(text, _TIMES, "time, such as 50ms or 10s")


def bits_per_second(text: str) -> float:
    """Read a rate: `20mbit`. Raises NoAmount."""
    rate = _read(text, _RATES, "rate, such as 20mbit or 512kbit")
    if not rate:
        raise NoAmount("a rate of nothing is a stall: use --stall-after or --black-hole-after")
    return rate


def size_bytes(text: str) -> int:
    """Read a number of bytes: `12MB`, `4096`. Raises NoAmount."""
    return round(_read(text, _SIZES, "number of bytes, such as 12MB or 4096"))


def _read(text: str, units: Mapping[str, float], what: str) -> float:
    found = _FORM.fullmatch(text.strip())
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise NoAmount(f"{text!r} is no {what}")
    return float(found[1]) * factor
