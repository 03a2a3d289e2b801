"""What people decide about cameras, and that the station keeps to it."""

import pytest

from agent.core.clip import BayName, Copy, Custody
from agent.core.errors import ActionRefused
from tests.scenarios.shift import Shift


async def test_a_seized_camera_is_offloaded_and_never_written_to(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        await running.ask("seize", camera="CAM1")
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        assert {c.custody for c in await running.clips()} == {Custody.CONFIRMED}
        assert {c.copy for c in await running.clips()} == {Copy.PRESENT}
        assert (await running.agent.desk.bays())[0]["seized"] == "test"
        await running.until_kept("1", {"camera_seized": len(shift.truth(camera))})
        await running.ask("release", camera="CAM1")
        await running.until_advice("1", "take")
        names = [e["event"] for e in await running.events("camera.seized") + await running.events("camera.released")]
        assert names == ["camera.seized", "camera.released"]


async def test_an_unknown_serial_is_offloaded_and_its_wipe_held_until_someone_claims_it(shift: Shift) -> None:
    shift.write_config(enrolled=[])
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        await running.until_kept("1", {"camera_unclaimed": len(shift.truth(camera))})
        await running.ask("claim", camera="CAM1")
        await running.until_advice("1", "take")


async def test_one_serial_in_two_bays_holds_the_wipe_on_both(shift: Shift) -> None:
    first, second = shift.camera("CAM1"), shift.camera("CAM1B")
    second.script(serial="CAM1")
    await shift.depot.stop()
    async with shift.station() as running:
        first.dock(shift.bay(1))
        second.dock(shift.bay(2))
        for bay in ("1", "2"):
            await running.until_advice(bay, "take, footage still aboard")
        await shift.depot.start()
        await running.ask("retry")
        wanted = shift.truth(first) | shift.truth(second)
        await running.until(lambda: wanted <= set(shift.depot.held()), "all in the depot")
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        assert len(shift.aboard(first)) == len(shift.truth(first))
        assert len(shift.aboard(second)) == len(shift.truth(second))
    shift.nothing_lost()


async def test_an_urgent_release_stops_at_a_safe_point_and_says_what_is_aboard(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=6, rate_bytes_s=500_000)
    async with shift.station() as running:
        camera.dock(shift.bay(1))

        def copying() -> bool:
            slot = running.agent.station.slots.get(BayName("1"))
            return slot is not None and slot.session.progress.done_bytes > 100_000

        await running.until(copying, "copying")
        answer = await running.ask("urgent-release", bay="1")
        assert "footage still aboard" in answer["done"]
        assert (await running.advice("1"))[0] == "take, footage still aboard"
        assert [e["actor"] for e in await running.events("camera.release_asked")] == ["sergeant"]
        camera.undock()
        await running.until_advice("1", None)
        camera.script(rate_bytes_s=None)
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_requested_clip_goes_before_what_nobody_asked_for(shift: Shift) -> None:
    shift.write_config(workers=1)
    await shift.depot.stop()
    camera = shift.camera("CAM1", clips=5)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        last = [c for c in await running.clips() if c.role == "clip" and not c.event][-1]
        await running.ask("request", clip=last.id)
        waiting = [r for r in await running.agent.desk.queue() if r["urgent"]]
        assert last.sha256 in [r["sha256"] for r in waiting]
        await shift.depot.start()
        await running.ask("retry")
        await running.until_advice("1", "take")
        order = [e["sha256"] for e in await running.events("object.proved")]
        urgent = {c.sha256 for c in await running.clips() if c.urgent}
        assert set(order[: len(urgent)]) == urgent


async def test_a_clip_that_is_held_back_stays_on_its_camera_and_the_others_go(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        held = next(c for c in await running.clips() if c.role == "clip")
        await running.ask("hold-back", clip=held.id)
        await shift.depot.start()
        await running.ask("retry")

        async def others_gone() -> bool:
            return all(c.copy is Copy.GONE for c in await running.clips() if c.id != held.id)

        await running.until(others_gone, "the others are cleared")
        left = next(c for c in await running.clips() if c.id == held.id)
        assert (left.custody, left.copy) == (Custody.SPOOLED, Copy.PRESENT)
        assert held.sha256 not in shift.depot.held()
        assert shift.aboard(camera) == {held.entry.path}
        assert (await running.advice("1"))[0] != "take"
        await running.ask("let-go", clip=held.id)
        await running.until_advice("1", "take")
        await running.chain_holds()
    shift.nothing_lost()


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("seize", {}),
        ("seize", {"camera": "a\nb"}),
        ("release", {"camera": "CAM9"}),
        ("claim", {"camera": "CAM9"}),
        ("urgent-release", {"bay": "9"}),
        ("request", {"clip": "nope"}),
        ("hold", {"clip": "nope"}),
        ("unhold", {"clip": "nope"}),
        ("retry", {"sha256": "xyz"}),
        ("pause", {"store": "nowhere"}),
        ("resume", {}),
        ("hold-back", {"clip": "nope"}),
        ("let-go", {"clip": "nope"}),
        ("explode", {}),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_reason(shift: Shift, action: str, body: dict[str, str]) -> None:
    async with shift.station() as running:
        with pytest.raises(ActionRefused, match=r"\w+ .*\w"):
            await running.ask(action, **body)


@pytest.mark.parametrize(
    ("bay", "words"),
    [("1", r"^Bay 1 is empty\.$"), ("77", r"^There is no bay 77\. Known bays: 1, 2, 3, 4\.$")],
)
async def test_a_bay_that_does_not_exist_is_not_called_empty(shift: Shift, bay: str, words: str) -> None:
    async with shift.station() as running:
        with pytest.raises(ActionRefused, match=words):
            await running.ask("urgent-release", bay=bay)


async def test_nobody_acts_without_a_name_and_a_reason(shift: Shift) -> None:
    async with shift.station() as running:
        for actor, reason in (("", "x"), ("x", "")):
            with pytest.raises(ActionRefused, match="needs a"):
                await running.agent.desk.act("seize", {"camera": "CAM1", "actor": actor, "reason": reason})
