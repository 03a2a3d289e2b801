"""A folder that a person hands over: the whole chain once, and what is refused."""

import asyncio
import shutil
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
from tests.scenarios.shift import LIMIT_S, Running, Shift


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


@pytest.mark.parametrize("decided", ["seize", "hold"])
async def test_what_was_decided_about_a_card_is_about_its_bytes_under_any_name(shift: Shift, decided: str) -> None:
    shift.write_config(enrolled=[])
    folder, again = shift.root / "card", shift.root / "again"
    (folder / "DCIM").mkdir(parents=True)
    (folder / "DCIM" / "court.mp4").write_bytes(b"footage" * 1000)  # a name without a serial
    shutil.copytree(folder, again)
    (again / "DCIM" / "other.mp4").write_bytes(b"other" * 1000)
    async with shift.station() as running:
        await running.ask("seize", camera="CAM7")
        (kept,) = (await hand_over(running, folder, camera="CAM7"))["clips"]
        assert kept["camera_copy"] == "present"
        if decided == "hold":
            await running.ask("hold", clip=kept["id"])
            await running.ask("release", camera="CAM7")
        seen = await hand_over(running, again, camera="CAM9")
    assert sorted(c["camera_copy"] for c in seen["clips"]) == ["gone", "present"]
    assert [path.name for path in (again / "DCIM").iterdir()] == ["court.mp4"]


async def test_a_wholly_empty_folder_is_told_from_a_card_that_was_cleared(shift: Shift) -> None:
    shift.write_config(enrolled=[])
    folder, empty = card(shift, "card"), shift.root / "empty"
    empty.mkdir()
    async with shift.station() as running:
        await hand_over(running, folder)
        cleared, nothing = await hand_over(running, folder), await hand_over(running, empty)
        assert ((cleared["clips"], cleared["blank"]), (nothing["clips"], nothing["blank"])) == (([], False), ([], True))


async def test_a_profile_that_does_not_exist_is_told_as_the_persons_mistake(shift: Shift) -> None:
    folder = card(shift, "card")
    async with shift.station() as running:
        wrong = await hand_over(running, folder, profile="nope")
        assert (wrong["unknown_profile"], wrong["clips"]) == (True, [])
        assert [p for p in wrong["problems"] if p.startswith("There is no profile 'nope'; known are: ")]
        right = await hand_over(running, folder, profile="plain-dcim")
        assert (right["unknown_profile"], {c["state"] for c in right["clips"]}) == (False, {"confirmed"})


async def test_no_patience_for_stores_still_copies_everything(shift: Shift) -> None:
    await shift.depot.stop()
    folder = card(shift, "card")
    async with shift.station() as running:
        result = await hand_over(running, folder, wait_s=0)
        assert result["listed_whole"]
        assert {c["state"] for c in result["clips"]} == {"spooled"}


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
        named = [p for p in result["problems"] if p.startswith("left on the camera, by name: ")]
        assert len(named) == 1
        assert "DCIM/X.bwc" in named[0]
        assert "extra.MKV" in named[0]


async def test_a_folder_without_a_cameras_layout_gives_every_kind_of_media(shift: Shift) -> None:
    folder = shift.root / "holiday"
    folder.mkdir()
    names = {f"clip.{ending}" for ending in ("mp4", "mts", "webm", "lrv", "amr", "png")}
    for name in names:
        (folder / name).write_bytes(name.encode() * 1000)
    (folder / "notes.txt").write_text("x")
    async with shift.station() as running:
        result = await hand_over(running, folder)
        assert {(c["name"], c["state"]) for c in result["clips"]} == {(name, "confirmed") for name in names}
        assert (result["unrecognised"], result["left"]) == (0, 1)
        assert "files that the profile does not name, left on the camera: 1 (notes.txt)" in result["notes"]


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
        await running.until(seized, "an unlink that has begun ends after the seizure is written down")
        await real(self, *rest)

    monkeypatch.setattr(Disposal, "_unlink", slow)

    async def seized() -> bool:
        return await running.agent.kit.ledger(lambda tx, _: fleet.seizure(tx, CameraId("CAM1"))) is not None

    def left() -> set[Path]:
        return {p for p in root.rglob("*") if p.is_file()}

    async with shift.station() as running, asyncio.TaskGroup() as group:
        if by_hand:
            group.create_task(hand_over(running, root, camera="CAM1"))
        else:
            camera.dock(shift.bay(1))
        async with asyncio.timeout(LIMIT_S):
            await reached.wait()
        before = left()
        await running.ask("seize", camera="CAM1")
        kept = left()
        assert len(kept) == len(before) - 1
        await asyncio.sleep(0.5)
        assert left() == kept


async def test_a_seizure_is_not_called_done_while_an_unlink_hangs(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.services.actions.WINDOW_GRACE_S", 0.2)
    camera = shift.camera("CAM1")
    comes_back = asyncio.Event()

    @asynccontextmanager
    async def hanging(lock: Interlock) -> AsyncIterator[None]:
        lock._closed.clear()
        try:
            await comes_back.wait()
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
        comes_back.set()
        await running.until_kept("1", {"camera_seized": len(shift.truth(camera))})
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def test_in_a_pause_of_the_line_it_is_said_why_footage_waits(shift: Shift) -> None:
    shift.write_config(enrolled=[], more='[bandwidth]\nlimit = "0"')
    folder = card(shift, "card")
    async with shift.station() as running:
        result = await hand_over(running, folder, wait_s=1)
        assert {c["state"] for c in result["clips"]} == {"spooled"}
        assert "central: uploads are paused: the configuration allows none now" in result["notes"]
        assert result["problems"] == []
