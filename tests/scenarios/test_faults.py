"""A shift that goes wrong. In all: nothing lost, the other bay unaffected, and the camera's word is plain."""

import asyncio
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config.load import bundled_profiles
from agent.core.clip import BayName, Copy, Custody
from agent.services import session
from agent.services.identity import identify
from tests.scenarios.shift import Running, Shift

READ_PHASES = {
    "in the first clip": 100_000,
    "between two clips": 300_000,
    "in the last clip": 800_000,
    "in the last look": 1_100_000,
    "late in the last look": 1_700_000,
}


@pytest.mark.parametrize("at_bytes", READ_PHASES.values(), ids=READ_PHASES.keys())
async def test_a_camera_pulled_while_it_is_read_loses_nothing(shift: Shift, at_bytes: int) -> None:
    camera = shift.camera("CAM1", "novatek-ro", faults={"vanish_after_bytes": at_bytes})
    other = shift.camera("CAM2")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        other.dock(shift.bay(2))
        await running.until_advice("2", "take")
        await running.until(lambda: running.slot("1").problem, "the camera is missed")
        camera.undock()
        shift.nothing_lost()
        await running.until_advice("1", None)
        camera.script(faults=None)
        camera.dock(shift.bay(3))
        await running.until_advice("3", "take")
        assert shift.truth(camera) <= set(shift.depot.held())
        assert {c.custody for c in await running.clips(camera)} == {Custody.CONFIRMED}
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_camera_pulled_while_its_clips_are_on_the_way_is_cleared_when_it_comes_back(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        await shift.depot.stop()
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way to the evidence store")
        camera.undock()
        await running.until_advice("1", None)
        await shift.depot.start()
        await running.until(lambda: shift.truth(camera) <= set(shift.depot.held()), "all in the depot")
        assert len(shift.aboard(camera)) == len(shift.truth(camera))
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert len(await running.events("object.proved")) == len(shift.truth(camera))
    assert shift.aboard(camera) == set()


async def test_a_wipe_that_was_cut_off_is_settled_by_the_next_docking(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: _intended(running), "an intent")
        camera.undock()
        await running.until_advice("1", None)
        shift.nothing_lost()
        camera.dock(shift.bay(2))
        await running.until_advice("2", "take")
        assert {c.copy for c in await running.clips()} == {Copy.GONE}
    shift.nothing_lost()


async def _intended(running: Running) -> bool:
    return any(c.copy is not Copy.PRESENT for c in await running.clips())


async def test_with_the_store_away_copying_goes_on_and_nothing_is_wiped(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")

        async def said() -> bool:
            return "central" in json.dumps((await running.agent.desk.health())["problems"])

        await running.until(said, "the health names the store")
        assert len(shift.aboard(camera)) == len(shift.truth(camera))
        await shift.depot.start()
        await running.ask("retry")
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_full_spool_makes_the_bay_wait_and_drops_nothing(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        spool = running.agent.kit.spool
        space = os.statvfs(spool.root)
        spool.reserve_bytes = space.f_blocks * space.f_frsize
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "waiting for the spool")
        assert {c.custody for c in await running.clips()} == {Custody.LISTED}
        spool.reserve_bytes = 0
        running.agent.kit.ring()
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_disk_that_fails_at_the_sync_costs_a_copy_and_no_clip(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.services.session.SPOOL_PAUSE_S", 0.2)
    camera = shift.camera("CAM1")
    real = os.fsync
    failures: list[str] = []

    def failing(fd: int) -> None:
        target = str(Path(f"/proc/self/fd/{fd}").readlink())
        if target.endswith(".part") and "state/spool" in target and len(failures) < 2:
            failures.append(target)
            raise OSError(5, os.strerror(5))
        real(fd)

    monkeypatch.setattr(os, "fsync", failing)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: len(failures) == 2, "two failed syncs")
        await running.until_advice("1", "take")
        spooled = [event["clip"] for event in await running.events("clip.spooled")]
    assert len(spooled) == len(set(spooled)), "a clip was called spooled before its bytes were durable"
    assert len(set(failures)) == 2, "the same file was synced again after a failure"
    shift.nothing_lost()


@pytest.mark.parametrize("fault", ["stall_after_bytes", "garbage_after_bytes", "die_after_bytes"])
async def test_a_reader_that_hangs_or_dies_stays_in_its_bay(
    shift: Shift, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = shift.root / "profiles"
    shutil.copytree(bundled_profiles(), profiles)
    plain = profiles / "plain-dcim.toml"
    plain.write_text(plain.read_text().replace("stall_s = 30", "stall_s = 1"))
    shift.write_config(more='[profiles]\ndirectory = "profiles"')
    monkeypatch.setattr("agent.services.station.STRIKE_PAUSE_S", 0.1)
    bad = shift.camera("CAM1", faults={fault: 400_000})
    good = shift.camera("CAM2")
    async with shift.station() as running:
        bad.dock(shift.bay(1))
        good.dock(shift.bay(2))
        await running.until_advice("2", "take")
        await running.until(lambda: running.slot("1").faulted, "the bay is faulted")
        advice, reason = await running.advice("1")
        assert advice == "take, footage still aboard"
        assert reason
        bad.undock()
        bad.script(faults=None)
        await running.until_advice("1", None)
        bad.dock(shift.bay(1))
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_a_file_that_cannot_be_read_is_kept_aside_and_the_others_go_on(shift: Shift) -> None:
    camera = shift.camera("CAM1", faults={"medium_error_at": {"glob": "*_000001.*", "offset": 1000}})
    clips = sorted(f.path for f in camera.truth.files if f.role == "clip")
    camera.script(faults={"medium_error_at": {"glob": clips[0].decode(), "offset": 1000}})
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "could not be read")
        states = {c.entry.path: c for c in await running.clips()}
        assert states[clips[0]].custody is Custody.QUARANTINED
        assert states[clips[0]].problem

        async def others_confirmed() -> bool:
            return all(c.custody is Custody.CONFIRMED for c in await running.clips() if c.entry.path != clips[0])

        await running.until(others_confirmed, "the others are confirmed")
        assert clips[0] in shift.aboard(camera)
        camera.undock()
        await running.until_advice("1", None)
        camera.script(faults=None)
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
    shift.nothing_lost()


async def test_bytes_that_change_after_the_copy_are_never_wiped_unseen(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    victim = next(f for f in camera.truth.files if f.role == "clip")
    place = Path(str(camera.card)) / victim.path.decode()
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        place = shift.bay(1) / "card" / victim.path.decode()
        changed = bytes(reversed(place.read_bytes()))
        place.write_bytes(changed)
        os.utime(place, ns=(victim.mtime_ns, victim.mtime_ns))
        await shift.depot.start()
        await running.ask("retry")
        await running.until_advice("1", "take")
        held = shift.depot.held()
        assert hashlib.sha256(changed).hexdigest() in held, "the new bytes were lost"
        assert victim.sha256 in held, "the old bytes were lost"
        assert [e["expected"] for e in await running.events("copy.replaced")] == [victim.sha256]


async def test_a_spool_copy_altered_before_its_upload_is_taken_again_from_the_camera(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        victim = next(f for f in camera.truth.files if f.role == "clip")
        spooled = shift.root / "state/spool/objects" / victim.sha256[:2] / victim.sha256
        spooled.chmod(0o600)
        altered = bytearray(spooled.read_bytes())
        altered[1000] ^= 1
        spooled.write_bytes(altered)
        await shift.depot.start()
        await running.ask("retry")
        await running.until_advice("1", "take")
        assert len(await running.events("clip.spool_copy_failed")) == 1
    assert shift.truth(camera) <= set(shift.depot.held())
    assert list((shift.root / "state/spool/rejected").iterdir())
    shift.nothing_lost()


async def test_a_store_with_another_key_never_opens_the_gate(shift: Shift) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (shift.root / "other.pub").write_bytes(pem)
    shift.write_config(receipt_key=str(shift.root / "other.pub"))
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: shift.truth(camera) <= set(shift.depot.held()), "the depot has all bytes")
        await running.until(lambda: _refused(running), "the receipts are refused")
        assert {c.custody for c in await running.clips()} == {Custody.SPOOLED}
        assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def _refused(running: Running) -> bool:
    return any(row.get("problem") for row in await running.agent.desk.queue())


async def test_a_fault_of_our_own_in_one_session_stays_in_that_bay(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = identify

    async def broken(camera: object, docked: object, *rest: object) -> object:
        if docked.bay == "1":  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return await real(camera, docked, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "identify", broken)
    monkeypatch.setattr("agent.services.station.STRIKE_PAUSE_S", 0.05)
    bad, good = shift.camera("CAM1"), shift.camera("CAM2")
    async with shift.station() as running:
        bad.dock(shift.bay(1))
        good.dock(shift.bay(2))
        await running.until_advice("2", "take")
        await running.until(lambda: running.slot("1").faulted, "bay 1 is faulted")
        assert "Internal error" in (await running.advice("1"))[1]


async def test_two_hundred_quick_dockings_end_in_a_calm_station(shift: Shift) -> None:
    """Snapshots as they come, faster than any session can start; the watch itself lets bursts end."""
    shift.camera("CAM1").dock(shift.bay(1))
    async with shift.station() as running:
        await running.until_advice("1", "take")
        hub = running.agent.station
        docked = hub.slots[BayName("1")].docked
        for number in range(200):
            hub._see(0, {BayName("1"): replace(docked, token=str(number))} if number % 2 else {})
            await asyncio.sleep(0)
            assert len(hub.slots) <= 1
        hub._see(0, {})
        await running.until(lambda: hub.slots == {}, "the bay is empty")
    shift.nothing_lost()


async def test_a_bay_that_ends_slowly_keeps_no_other_waiting(shift: Shift) -> None:
    slow, quick = shift.camera("CAM1"), shift.camera("CAM2")
    async with shift.station() as running:
        slow.dock(shift.bay(1))
        await running.until_advice("1", "take")
        async with running.slot("1").session.interlock.window():
            slow.undock()
            quick.dock(shift.bay(2))
            await running.until_advice("2", "take")
            assert "1" in running.bays(), "it is still ending"
        await running.until_advice("1", None)


async def test_a_copy_that_is_cancelled_gives_its_room_back(shift: Shift) -> None:
    camera = shift.camera("CAM1", rate_bytes_s=200_000)
    async with shift.station() as running:
        for _ in range(3):
            camera.dock(shift.bay(1))
            await running.until(lambda: bool(list((shift.root / "state/spool/incoming").iterdir())), "a copy runs")
            camera.undock()
            await running.until_advice("1", None)
        assert list((shift.root / "state/spool/incoming").iterdir()) == []
        assert running.agent.kit.spool._expected == 0
