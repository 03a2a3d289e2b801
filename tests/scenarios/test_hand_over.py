"""A folder that a person hands over: the whole chain once, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core.clip import CameraId, Copy
from agent.core.errors import ActionRefused
from agent.ledger import fleet
from agent.services.disposal import Disposal
from agent.services.interlock import Interlock
from agent.simulate.cards import build_card
from tests.scenarios.shift import Running, Shift


def card(shift: Shift, name: str, kind: str = "plain-dcim", serial: str = "CAM7") -> Path:
    root = shift.root / name
    root.mkdir()
    build_card(root, kind, serial=serial, seed=7, clips=2, clip_bytes=200_000)
    return root


async def hand_over(running: Running, folder: Path, **request: Any) -> dict[str, Any]:
    wanted = {"path": str(folder), "actor": "pc smith", "wait_s": 5, **request}
    async with aclosing(running.agent.desk.hand_over(wanted)) as answers:  # type: ignore[type-var]
        told = [answer async for answer in answers]
    return dict(told[-1]["result"])  # type: ignore[arg-type]


async def test_a_card_goes_through_the_whole_chain_and_is_cleared(shift: Shift) -> None:
    shift.write_config(enrolled=[])
    folder = card(shift, "card")
    async with shift.station() as running:
        result = await hand_over(running, folder)
        assert {c["state"] for c in result["clips"]} == {"confirmed"}
        assert {c["camera_copy"] for c in result["clips"]} == {"gone"}
        assert result["camera"] == "CAM7"
        assert result["listed_whole"]
        assert result["problems"] == []
        assert [e["actor"] for e in await running.events("camera.claimed")] == ["hand:pc smith"]
        assert running.agent.station.slots == {}


async def test_vouching_by_hand_ends_with_the_run(shift: Shift) -> None:
    shift.write_config(enrolled=[])
    folder = card(shift, "card", serial="CAM1")
    async with shift.station() as running:
        await hand_over(running, folder)
        camera = shift.camera("CAM1")
        camera.dock(shift.bay(1))
        await running.until_kept("1", {"camera_unclaimed": len(shift.truth(camera))})


async def test_a_folder_without_a_cameras_layout_is_copied_and_never_cleared(shift: Shift) -> None:
    folder = shift.root / "holiday"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"not a camera's" * 1000)
    (folder / "notes.txt").write_text("x")
    async with shift.station() as running:
        result = await hand_over(running, folder)
        assert [(c["name"], c["state"], c["camera_copy"]) for c in result["clips"]] == [
            ("a.mp4", "confirmed", "present")
        ]
        assert any("does not name this kind" in note for note in result["notes"])
    assert (folder / "a.mp4").exists()


async def test_footage_that_the_profile_does_not_name_is_a_problem(shift: Shift) -> None:
    folder = card(shift, "card")
    (folder / "DCIM" / "X.bwc").write_bytes(bytes(2 << 20))
    (folder / "extra.MKV").write_bytes(b"x")
    async with shift.station() as running:
        result = await hand_over(running, folder)
        assert result["unrecognised"] == 2
        assert any("NOT copied: 2 files" in p for p in result["problems"])


async def test_a_card_that_says_it_is_another_camera_is_refused(shift: Shift) -> None:
    folder = card(shift, "card")
    async with shift.station() as running:
        result = await hand_over(running, folder, camera="CAM9")
        assert result["clips"] == []
        assert any("camera CAM7, not of CAM9" in p for p in result["problems"])


@pytest.mark.parametrize("where", ["rack/1/card", "rack/1", "rack", ".", "state", "state/spool"])
async def test_a_folder_that_belongs_to_a_bay_or_to_the_agent_is_refused(shift: Shift, where: str) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        await running.ask("seize", camera="CAM1")
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        with pytest.raises(ActionRefused, match="overlaps with"):
            await hand_over(running, shift.root / where, camera="ROOT")
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


@pytest.mark.parametrize(
    "request_", [{"path": "relative"}, {"path": "/nowhere/at/all"}, {"wait_s": -1}, {"wait_s": "x"}]
)
async def test_a_request_that_cannot_be_met_is_refused(shift: Shift, request_: dict[str, Any]) -> None:
    folder = card(shift, "card")
    async with shift.station() as running:
        with pytest.raises(ActionRefused):
            await hand_over(running, folder, **request_)


async def test_two_hand_overs_at_once_are_two_sessions(shift: Shift) -> None:
    one, two = card(shift, "one"), card(shift, "two", "novatek-ro")
    async with shift.station() as running:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hand_over(running, folder, camera="CAM7")) for folder in (one, two)]
        results = [t.result() for t in tasks]
        assert {c["state"] for r in results for c in r["clips"]} == {"confirmed"}
        names = [{str(c["name"]) for c in r["clips"]} for r in results]
        assert not names[0] & names[1], "each result names its own clips"
        assert all(names)


async def test_a_hand_over_that_is_cancelled_finishes_its_open_window(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = card(shift, "card", "novatek-ro")
    reached = asyncio.Event()
    real = Disposal._unlink

    async def slow(self: Disposal, *rest: Any) -> None:
        reached.set()
        await asyncio.sleep(0.3)
        await real(self, *rest)

    monkeypatch.setattr(Disposal, "_unlink", slow)
    async with shift.station() as running:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(hand_over(running, folder, camera="CAM7"))
            await reached.wait()
            task.cancel()
        assert {c.copy for c in await running.clips()} <= {Copy.GONE, Copy.PRESENT}
        assert Copy.GONE in {c.copy for c in await running.clips()}


@pytest.mark.parametrize("by_hand", [False, True])
async def test_once_a_seizure_is_answered_nothing_is_unlinked_any_more(
    shift: Shift, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    camera = shift.camera("CAM1", "novatek-ro", clips=6)
    root = camera.home / "card" if by_hand else shift.bay(1) / "card"
    reached = asyncio.Event()
    real = Disposal._unlink

    async def slow(self: Disposal, *rest: Any) -> None:
        reached.set()
        await asyncio.sleep(0.1)
        await real(self, *rest)

    monkeypatch.setattr(Disposal, "_unlink", slow)

    def left() -> set[Path]:
        return {p for p in root.rglob("*") if p.is_file()}

    async with shift.station() as running, asyncio.TaskGroup() as group:
        if by_hand:
            group.create_task(hand_over(running, root, camera="CAM1"))
        else:
            camera.dock(shift.bay(1))
        await reached.wait()
        await running.ask("seize", camera="CAM1")
        kept = left()
        assert kept
        await asyncio.sleep(0.5)
        assert left() == kept


async def test_a_seizure_is_not_called_done_while_an_unlink_hangs(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.services.actions.WINDOW_GRACE_S", 0.2)
    camera = shift.camera("CAM1")

    @asynccontextmanager
    async def hanging(lock: Interlock) -> AsyncIterator[None]:
        lock._closed.clear()
        try:
            await asyncio.sleep(3)
            yield
        finally:
            lock._closed.set()

    monkeypatch.setattr(Interlock, "window", hanging)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "do not remove")
        with pytest.raises(ActionRefused, match="has not come back yet"):
            await running.ask("seize", camera="CAM1")
        row = await running.agent.kit.ledger(lambda tx, _: fleet.camera(tx, CameraId("CAM1")))
        assert row is not None
        assert row.seized_by == "sergeant"
    assert len(shift.aboard(camera)) == len(shift.truth(camera))
