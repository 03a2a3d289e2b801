"""Before a restart: nothing new begins, nothing is cut off that may not be, and nothing is forgotten afterwards."""

import asyncio

import pytest

from agent.core.clip import BayName
from agent.core.errors import ActionRefused
from agent.services.disposal import Disposal
from agent.services.kit import Kit
from tests.scenarios.shift import Running, Shift


async def at_rest(running: Running) -> None:
    await running.until(lambda: running.agent.desk.drain.ready, "the station is at rest")


def copying(running: Running) -> bool:
    slot = running.agent.station.slots.get(BayName("1"))
    return slot is not None and slot.session.progress.done_bytes > 100_000


async def test_a_drained_station_ends_its_sessions_and_says_what_is_aboard(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=6, rate_bytes_s=500_000)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: copying(running), "copying")
        await running.ask("drain")
        await at_rest(running)
        assert (await running.advice("1"))[0] == "take, footage still aboard"
        view = (await running.agent.desk.station())["drain"]
        assert view == {"actor": "sergeant", "reason": "test", "ready": True, "waits": []}
        assert [e["outcome"] for e in await running.events("camera.undocked")] == ["released"]
        assert len(await running.events("station.drained")) == 1
        health = await running.agent.desk.health()
        assert not health["ok"]
        assert any("drain --undo" in str(text) for text in health["problems"])  # type: ignore[union-attr]
        await running.chain_holds()
    camera.script(rate_bytes_s=None)
    async with shift.station() as running:  # a restart ends it
        assert (await running.agent.desk.station())["drain"] is None
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_camera_that_is_docked_meanwhile_is_not_read_and_its_bay_says_so(shift: Shift) -> None:
    camera, late = shift.camera("CAM1"), shift.camera("CAM2")
    async with shift.station() as running:
        await running.ask("drain")
        await at_rest(running)
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "restarted")
        camera.undock()
        await running.until_advice("1", None)
        late.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "restarted")
        assert await running.clips() == []
        assert running.agent.desk.drain.ready


async def test_undone_the_station_goes_on_where_it_stood(shift: Shift) -> None:
    camera, late = shift.camera("CAM1", clips=6, rate_bytes_s=500_000), shift.camera("CAM2")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: copying(running), "copying")
        await running.ask("drain")
        await at_rest(running)
        late.dock(shift.bay(2))
        await running.until_advice("2", "take, footage still aboard", "restarted")
        await running.ask("undrain")
        for bay in ("1", "2"):
            await running.until_advice(bay, "take")
        assert (await running.agent.desk.station())["drain"] is None
        assert [e["actor"] for e in await running.events("station.drain_ended")] == ["sergeant"]
    shift.nothing_lost()


async def test_a_drain_that_is_undone_and_asked_for_again_still_comes_to_rest(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=6, rate_bytes_s=500_000)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: copying(running), "copying")
        for action in ("drain", "undrain", "drain", "undrain", "drain"):
            await running.ask(action)
        await at_rest(running)
        await running.ask("undrain")
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_drain_that_is_undone_and_asked_for_again_while_it_is_written_down_still_comes_to_rest(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first witness of the drain is held up by hand for as long as both requests take."""
    writing, may_go_on = asyncio.Event(), asyncio.Event()
    bear_witness = Kit.bear_witness

    async def slow(kit: Kit) -> None:
        if kit.draining:
            writing.set()
            await may_go_on.wait()
        await bear_witness(kit)

    camera = shift.camera("CAM1", clips=6, rate_bytes_s=500_000)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: copying(running), "copying")
        monkeypatch.setattr(Kit, "bear_witness", slow)
        await running.ask("drain")
        await asyncio.wait_for(writing.wait(), 30)
        await running.ask("undrain")
        await running.until(lambda: bool(running.agent.desk.drain._going_on()), "the bay serves again")
        await running.ask("drain")
        may_go_on.set()
        await at_rest(running)
        assert running.agent.desk.drain._going_on() == []
        await running.ask("undrain")
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_uploads_stop_and_none_begins(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        await running.ask("drain")
        await at_rest(running)
        await shift.depot.start()
        await running.ask("retry")
        await asyncio.sleep(1.0)  # long enough for an upload that should not begin
        assert shift.depot.held() == {}
        await running.ask("undrain")
        await running.until(lambda: shift.truth(camera) <= set(shift.depot.held()), "all in the depot")
    shift.nothing_lost()


async def test_an_open_window_is_waited_for_and_never_cut(shift: Shift, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is held open by hand for longer than a session's end would grant."""
    opened, may_go_on = asyncio.Event(), asyncio.Event()
    wipe = Disposal._wipe

    async def slow(*given: object) -> None:
        opened.set()
        await may_go_on.wait()
        await wipe(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Disposal, "_wipe", slow)
    monkeypatch.setattr("agent.services.station.WINDOW_GRACE_S", 0.1)
    monkeypatch.setattr("agent.services.drain.LOOK_S", 0.1)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await asyncio.wait_for(opened.wait(), 30)
        await running.ask("drain")
        await asyncio.sleep(0.5)
        view = (await running.agent.desk.station())["drain"]
        assert isinstance(view, dict)
        assert view["ready"] is False
        assert "bay 1: the camera is being cleared" in view["waits"]  # type: ignore[operator]
        assert (await running.advice("1"))[0] == "do not remove"
        may_go_on.set()
        await at_rest(running)
        intended, gone = await running.events("copy.wipe_intended"), await running.events("copy.gone")
        # The listing that settles the intents goes by another order than the looks before them.
        assert sorted(str(event["clip"]) for event in gone) == sorted(str(event["clip"]) for event in intended) != []
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_folder_is_not_taken_while_the_station_is_drained(shift: Shift) -> None:
    card = shift.root / "card"
    card.mkdir()
    async with shift.station() as running:
        await running.ask("drain")
        with pytest.raises(ActionRefused, match="about to be restarted"):
            async for _ in running.agent.desk.hand_over({"path": str(card), "actor": "sergeant"}):
                pass


async def test_what_is_not_drained_cannot_be_undrained(shift: Shift) -> None:
    async with shift.station() as running:
        with pytest.raises(ActionRefused, match="not drained"):
            await running.ask("undrain")
