"""One occupied bay: the docking, its session, and what became of the tries before."""

import asyncio
import time
from dataclasses import dataclass, field

from agent.core.bay import Advice, BayAdvice
from agent.core.errors import AgentError
from agent.ports import Docked
from agent.services.identity import Hand
from agent.services.session import Session

STRIKES = 3
CALM_S = 600.0
"""A session that went well for this long starts with a clean slate."""


@dataclass(slots=True)
class Slot:
    """One occupied bay."""

    docked: Docked
    session: Session
    task: "asyncio.Task[None] | None" = None
    problem: str | None = None
    faulted: bool = False
    strikes: int = 0
    hand: Hand | None = None  # a person handed this folder over; no watch knows of it
    leaving: bool = False
    hung: bool = False  # the last session ended because the camera gave no answer
    window_broken: bool = False  # a wipe window of this docking ended badly: its medium may still be being written
    reviving: bool = False  # its port is without power by our own hand: that it is gone means nothing
    begun: float = field(default_factory=time.monotonic)  # the latest try
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_watched(self) -> bool:
        """Whether the bay's watch decides how long this lasts."""
        return self.hand is None and not self.leaving and not self.reviving

    @property
    def is_calm(self) -> bool:
        """Whether the latest try went well for so long that the ones before it no longer count."""
        return time.monotonic() - self.begun > CALM_S

    def told(self, error: AgentError) -> str:
        """What the bay says of a failed try: what a person should do only once it has stopped trying by itself."""
        return error.told() if self.strikes >= STRIKES and not self.is_calm else error.sentence()

    def advice(self) -> BayAdvice:
        """What the bay says: the session's word, or the fault's."""
        if self.faulted:
            return BayAdvice(Advice.TAKE_ABOARD, self.problem or "the bay has a fault")
        if self.problem and self.session.identified is None:
            return BayAdvice(Advice.WAIT, f"trying again: {self.problem}")
        return self.session.advice()
