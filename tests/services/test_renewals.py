"""Events about certificates that end: one for each step, at a level that rises."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs

from agent.core.renewal_policy import Ending, Subject, step_of
from agent.services.renewals import follow_endings
from tests.services.stage import ScriptedStore, kit_in

ENDS = datetime(2026, 12, 31, tzinfo=UTC)
DAYS_LEFT = (40, 30, 30, 8, 7, 7, 1, 1, 0, -1)
LIMIT_S = 20


async def test_each_step_makes_one_event_whose_level_rises_and_rings_once(tmp_path: Path) -> None:
    left, done = list(DAYS_LEFT), asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> Sequence[Ending]:
        days = left.pop(0) if left else DAYS_LEFT[-1]
        if not left:
            loop.call_soon_threadsafe(done.set)
        return [Ending("central", Subject.STATION, ENDS, step_of(ENDS, ENDS - timedelta(days=days)))]

    with kit_in(tmp_path, ScriptedStore()) as kit, capture_logs() as logs:
        rings = kit.change.rings
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            following = group.create_task(follow_endings(kit, look, every_s=0.01))
            await done.wait()
            await asyncio.sleep(0.05)  # some looks more, which say nothing new
            following.cancel()
        assert kit.change.rings == rings + 4
    heard = [(line["log_level"], line["step"]) for line in logs if line["event"] == "store.certificate_ending"]
    assert heard == [("info", "soon"), ("warning", "pressing"), ("error", "last_day"), ("error", "ended")]
    assert {(line["store"], line["subject"], line["ends"]) for line in logs} == {
        ("central", "station_certificate", ENDS.isoformat())
    }


async def test_certificates_that_cannot_be_looked_at_end_nothing_and_tell_nothing_anew(tmp_path: Path) -> None:
    looks, done = 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> Sequence[Ending]:
        nonlocal looks
        looks += 1
        if looks in (2, 3, 4, 6):
            raise LookupError("an odd certificate")
        if looks == 8:
            loop.call_soon_threadsafe(done.set)
        return [Ending("central", Subject.STATION, ENDS, step_of(ENDS, ENDS - timedelta(days=7)))]

    with kit_in(tmp_path, ScriptedStore()) as kit, capture_logs() as logs:
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            following = group.create_task(follow_endings(kit, look, every_s=0.01))
            await done.wait()
            following.cancel()
    unread = "store.certificates_unread"
    assert [line["event"] for line in logs] == ["store.certificate_ending", unread, unread]  # once for each time
