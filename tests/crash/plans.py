"""Plans: whom to kill next, at which moment or system call. Chosen by a seeded generator, aimed at what is missing."""

import random
from dataclasses import dataclass
from math import exp, log

AGENT, READER, DEPOT, ALL = "agent", "reader", "depot", "agent, readers and depot"


@dataclass(frozen=True, slots=True)
class Plan:
    """Kill `target` at its `number`-th `call` in one thread, or after `wait_s` without a call.

    `from_start`: the target is started for it, under the tracer from its first step; this is how recovery is killed.
    """

    target: str
    from_start: bool
    call: str | None = None
    number: int = 0
    wait_s: float = 0.0

    def __str__(self) -> str:
        """Tell it in one line, enough to repeat it."""
        when = "from its start" if self.from_start else "while it runs"
        how = f"at {self.call} {self.number}" if self.call else f"after {self.wait_s:.2f} s"
        return f"{self.target} {how} {when}"


_CALLS = {
    AGENT: {
        "pwrite64": 700, "fdatasync": 60, "fsync": 14, "renameat2": 5, "fchmod": 5, "mkdir": 5, "unlink": 8,
        "openat": 100, "close": 150, "write": 25, "sendmsg": 40, "sendto": 120, "ftruncate": 1,
    },
    READER: {
        "splice": 16, "sendto": 20, "recvmsg": 20, "openat": 80, "close": 80, "unlinkat": 4, "fsync": 4, "syncfs": 2,
    },
    DEPOT: {
        "pwrite64": 300, "fdatasync": 100, "fsync": 20, "renameat2": 5, "fchmod": 5, "unlink": 20,
        "openat": 70, "close": 70, "write": 10, "sendto": 40,
    },
}  # fmt: skip
"""The calls that a life makes, and how many of each its busiest thread does."""

_SHARES = ((AGENT, 48), (DEPOT, 26), (READER, 18), (ALL, 8))
_MOMENTS = 0.2
_AIMED = 0.6
_LONGEST_WAIT_S = 1.2

_FIRST_STEPS = (("mkdir", 5), ("pwrite64", 4), ("fsync", 4))
"""Calls before there is a ledger, only in a life's first round."""

_AIMS = {
    "object in the spool, unknown to the ledger": (AGENT, "fsync", 10),
    "purge recorded, object there": (AGENT, "fsync", 3),
    "part in the spool": (AGENT, "fchmod", 3),
    "upload part-way": (DEPOT, "write", 8),
    "upload whole, object not in place": (DEPOT, "fchmod", 4),
    "object in place, not recorded": (DEPOT, "fsync", 12),
    "part at the depot without a record": (DEPOT, "pwrite64", 60),
    "finished upload without receipt": (AGENT, "sendto", 60),
    "receipt issued, unknown to the ledger": (AGENT, "fdatasync", 60),
    "wipe intended, file there": (READER, "unlinkat", 4),
    "wipe intended, file unlinked": (READER, "fsync", 4),
    "catalogue journal left": (DEPOT, "unlink", 20),
}
"""What may lead to a state that chance has not met: target, call, highest number."""


def choose(rng: random.Random, missing: list[str], *, begun: bool) -> Plan:
    """Draw a plan; `begun` tells that the life has seen a kill before."""
    if not begun and "no ledger yet" in missing:
        call, most = rng.choice(_FIRST_STEPS)
        return Plan(AGENT, from_start=True, call=call, number=rng.randint(1, most))
    aims = [_AIMS[state] for state in missing if state in _AIMS]
    if aims and rng.random() < _AIMED:
        target, call, most = rng.choice(aims)
        return Plan(target, from_start=target != READER, call=call, number=rng.randint(1, most))
    (target,) = rng.choices([name for name, _ in _SHARES], [share for _, share in _SHARES])
    if target == ALL or rng.random() < _MOMENTS:
        return Plan(target, from_start=target == AGENT and rng.random() < 0.5, wait_s=rng.uniform(0, _LONGEST_WAIT_S))
    call, most = rng.choice(list(_CALLS[target].items()))
    number = rng.randint(1, most) if rng.random() < 0.5 else round(exp(rng.uniform(0, log(most))))
    return Plan(target, from_start=target != READER and rng.random() < 0.7, call=call, number=number)
