"""Limits of bandwidth in a running station: pauses and changes by reload, whole bytes in a real depot."""

import asyncio
import time
from typing import Any

from agent.core.clip import Clip, Custody
from tests.scenarios.shift import CLIP_BYTES, Running, Shift

SOON_S = 2.0
"""A reload waits for half a second without further changes; what runs then ends within half a second."""


async def station_view(running: Running) -> dict[str, Any]:
    return dict(await running.agent.desk.station())


def limit_to(shift: Shift, limit: str) -> None:
    shift.write_config(more=f'[bandwidth]\nlimit = "{limit}"')


async def under_way(running: Running) -> None:
    await running.until(
        lambda: any(r.transfer.sent_bytes for r in running.agent.uploader.running.values()), "an upload is under way"
    )


async def test_in_a_pause_footage_is_taken_and_kept_and_goes_when_the_pause_ends(shift: Shift) -> None:
    limit_to(shift, "0")
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard")
        assert {clip.custody for clip in await running.clips()} == {Custody.SPOOLED}
        assert (await station_view(running))["bandwidth"]["shown"] == "paused"
        assert {r["why"] for r in await running.agent.desk.queue()} == {
            "uploads are paused: the configuration allows none now"
        }
        assert (await running.agent.desk.health())["ok"], "a pause that was asked for is no trouble"
        assert shift.depot.held() == {}
        shift.write_config(more="")
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_pause_and_its_end_reach_the_uploads_that_run(shift: Shift) -> None:
    limit_to(shift, "64 kbit/s")
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await under_way(running)
        limit_to(shift, "0")
        began = time.monotonic()
        await running.until(lambda: not running.agent.uploader.running, "nothing is sent any more")
        assert time.monotonic() - began < SOON_S
        await asyncio.sleep(0.5)
        assert not running.agent.uploader.running
        limit_to(shift, "64 kbit/s")
        await under_way(running)
        shift.write_config(more="")
        await running.until_advice("1", "take")
        assert (await station_view(running))["bandwidth"]["shown"] == "no limit"
        assert not await running.events("clip.spool_copy_failed")
        await running.chain_holds()
    shift.nothing_lost()


async def test_an_urgent_clip_goes_first_and_keeps_the_limit(shift: Shift) -> None:
    limit_to(shift, "1 Mbit/s")
    many = shift.camera("CAM1", clips=4)

    async def spooled() -> list[Clip]:
        """The large clips that are whole in the spool, once all have left the camera."""
        large = [c for c in await running.clips() if c.entry.size_bytes >= CLIP_BYTES]
        return [c for c in large if c.custody is Custody.SPOOLED] if len(large) == 4 and _copied(large) else []

    async with shift.station() as running:
        many.dock(shift.bay(1))
        await running.until(spooled, "all are in the spool")
        await under_way(running)
        last, began = (await spooled())[-1], time.monotonic()
        await running.ask("request", clip=last.id)
        await running.until(lambda: last.sha256 in shift.depot.held(), "the clip that somebody asked for")
        assert time.monotonic() - began > CLIP_BYTES / 125_000 * 0.8
        assert await spooled(), "it did not wait for the others"
        shift.write_config(more="")
        await running.until_advice("1", "take")
    shift.nothing_lost()


def _copied(clips: list[Clip]) -> bool:
    return all(clip.custody is not Custody.LISTED for clip in clips)
