"""Whenever the agent dies, each object is announced at least once, or has arrived, and no upload is forgotten."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import MonkeyPatch  # noqa: PT013 - hypothesis and fixtures of one function do not go together

from agent.core.announcement import Announcement
from agent.core.object import Digest
from agent.ledger.database import Tx
from agent.services import announcer as module
from agent.services.announcer import Announcer
from agent.services.kit import Kit
from agent.services.uploader import Uploader
from tests.services.stage import ScriptedStore, kit_in, put
from tests.services.test_patrol import prove

LIMIT_S = 20


class Ear:
    """Takes announcements, and dies at a given one: before it has heard it, or just after."""

    def __init__(self) -> None:
        self.heard: list[Digest] = []
        self.dies: str | None = None

    async def __call__(self, announcement: Announcement) -> bool:
        if self.dies == "before":
            raise asyncio.CancelledError
        self.heard += [each.sha256 for each in announcement.objects]
        if self.dies == "after":
            raise asyncio.CancelledError
        return True


def owed(kit: Kit) -> set[str]:
    def ask(tx: Tx) -> set[str]:
        return {row[0] for row in tx.conn.execute("SELECT sha256 FROM uploads")}

    return kit.database.run_blocking(ask)


async def live(kit: Kit) -> None:
    """Announce until nothing is left to tell, or until death."""
    announcer = Announcer(kit, Uploader(kit))
    async with asyncio.timeout(LIMIT_S):
        with suppress(asyncio.CancelledError):
            while await announcer._tell_next("central"):
                pass


@given(st.lists(st.tuples(st.sampled_from([None, "before", "after"]), st.integers(0, 3)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_at_least_once_whatever_the_moment_of_death(lives: list[tuple[str | None, int]]) -> None:
    ear = Ear()
    store = ScriptedStore(announce=ear)
    waiting: set[str] = set()
    with tempfile.TemporaryDirectory() as root, MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_OBJECTS", 2)
        number = 0
        for dies, more in [*lives, (None, 1)]:
            ear.dies = dies
            with kit_in(Path(root), store) as kit:
                for _ in range(more):
                    number += 1
                    waiting.add(put(kit, f"CAM{number % 2}", b"%d" % number))
                if waiting and number % 3 == 0:
                    done = Digest(min(waiting))
                    size = kit.spool.path(done).stat().st_size
                    prove(kit, done, size)
                    waiting.discard(done)
                asyncio.run(live(kit))
                assert owed(kit) == waiting
        assert waiting <= set(ear.heard)
        told_again = len(ear.heard) - len(set(ear.heard))
        assert told_again <= 2 * sum(dies == "after" for dies, _ in lives)
