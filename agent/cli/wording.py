"""How names, sizes and times are written for people. Nothing here may put a control character on a terminal."""

from datetime import datetime

from agent.core.amount import shown_bytes
from agent.core.clip import one_line

_MINUTE_S, _HOUR_S = 60, 3600


def safe(text: str) -> str:
    """Text from anywhere, on one line and plainly printable."""
    return one_line(text.encode("utf-8", "backslashreplace"))


def shown(value: object) -> str:
    """A value of a JSON answer: `hex:...` for a name that is not UTF-8, `-` for nothing."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return f"hex:{safe(str(value.get('hex', '')))}"
    return safe(str(value))


def size(size_bytes: float) -> str:
    """Bytes in decimal units, as disks and cameras are labelled."""
    return shown_bytes(size_bytes)


def duration(seconds: float) -> str:
    """A length of time, as exact as a person needs it."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def moment(at: str) -> str:
    """A moment of a JSON answer (RFC 3339) on the wall clock of whoever reads it, to the minute."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M %Z}"


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 clip", "2 clips"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
