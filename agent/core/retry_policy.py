"""When to try again after a failure that may heal.

Retries inside one network call are the adapter's; these are the ones over minutes. They never give up: footage
is not dropped because a store was away for a week.
"""

import math
from dataclasses import dataclass

from agent.core.errors import AgentError, Remedy, StoreLied

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


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Try again after `delay_s`; `alarm` when a person should know."""

    delay_s: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Do not try again by itself: keep the bytes, say why."""

    reason: str


def decide(error: AgentError, attempt: int, jitter: float) -> RetryIn | AskPerson:
    """Decide what follows the `attempt`-th failure in a row (1 = first).

    `jitter` is a number in [0, 1) drawn by the caller; the pause lies between half and all of the back-off, so
    that a hundred stations do not come back in the same second.
    """
    if error.remedy is Remedy.QUARANTINE:
        return AskPerson(str(error))
    alarm = error.remedy is Remedy.HALT or attempt >= STRIKES
    if error.retry_after_s is not None and not math.isnan(error.retry_after_s):
        wanted = min(max(error.retry_after_s, BASE_S), RETRY_AFTER_CAP_S)
        return RetryIn(wanted + jitter * min(wanted * 0.1, 10.0), alarm or error.retry_after_s > RETRY_AFTER_CAP_S)
    return RetryIn(_ceiling_s(error, attempt) * (0.5 + jitter / 2), alarm)


def _ceiling_s(error: AgentError, attempt: int) -> float:
    if error.remedy is Remedy.HALT:
        return HALTED_S
    if isinstance(error, StoreLied) and attempt >= STRIKES:
        return LIED_S
    return min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 16))
