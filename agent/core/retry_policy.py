"""When to try again after a failure that may heal.

Retries inside one network call are the adapter's; these are the ones over minutes. They never give up: footage
is not dropped because a store was away for a week.
"""

import math
from dataclasses import dataclass

from agent.core.errors import AgentError, ObjectRefused, Remedy, StoreLied

BASE_S = 2.0
CAP_S = 300.0
"""Longest pause of our own choosing; a store is asked at least every five minutes."""
HALTED_S = 600.0
"""Pause after a refusal that a person must mend: the mend is noticed without a restart."""
RETRY_AFTER_CAP_S = 3600.0
"""A store may ask for patience up to this long; more is treated as a mistake (test catalogue S-16)."""
STRIKES = 3
"""Failures in a row before a person is called."""
LIED_S = 3600.0
"""Pause once an object has been contradicted (wrong offset, digest or receipt) that often: what comes back wrong
every time is not sent every five minutes, and a store that is mended is still noticed without anybody's help."""

LIES = 6
"""Contradictions in a row after which an object is set aside."""
SET_ASIDE_S = 86_400.0
"""How long an object is set aside that its store refuses again and again: it is tried once a day, so that no mend stays
unnoticed, and it takes next to nothing from those that go through."""


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Try again after `delay_s`; `alarm` when a person should know."""

    delay_s: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class SetAside:
    """Take it out of the order for `delay_s`, so that it holds up no other: keep the bytes, say why, call a person."""

    delay_s: float
    reason: str


def decide(error: AgentError, attempt: int, jitter: float) -> RetryIn | SetAside:
    """Decide what follows the `attempt`-th failure in a row (1 = first).

    `jitter` is a number in [0, 1) drawn by the caller; the pause lies between half and all of the back-off, so
    that a hundred stations do not come back in the same second.
    """
    if _is_hopeless(error, attempt):
        return SetAside(SET_ASIDE_S * (1 - jitter / 24), str(error))
    alarm = error.remedy is Remedy.HALT or attempt >= STRIKES
    if error.retry_after_s is not None and not math.isnan(error.retry_after_s):
        wanted = min(max(error.retry_after_s, BASE_S), RETRY_AFTER_CAP_S)
        return RetryIn(wanted + jitter * min(wanted * 0.1, 10.0), alarm or error.retry_after_s > RETRY_AFTER_CAP_S)
    return RetryIn(_ceiling_s(error, attempt) * (0.5 + jitter / 2), alarm)


def _is_hopeless(error: AgentError, attempt: int) -> bool:
    """Whether more of the same will not help: it is this object that its store does not take."""
    if error.remedy is Remedy.QUARANTINE:
        return True
    return attempt >= STRIKES if isinstance(error, ObjectRefused) else isinstance(error, StoreLied) and attempt >= LIES


def _ceiling_s(error: AgentError, attempt: int) -> float:
    if error.remedy is Remedy.HALT:
        return HALTED_S
    if isinstance(error, StoreLied) and attempt >= STRIKES:
        return LIED_S
    return min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 16))
