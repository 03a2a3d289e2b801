"""A shift at USB ports: recorded devices, real readers, and a helper that needs no privileges."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent import app
from agent.core.clip import BayName, Copy, Custody
from agent.devices import usb_camera
from agent.services import session, station
from tests.devices.recorded.bed import INSIDE, OUTSIDE_S, ROOT, path_of, run_inside
from tests.devices.recorded.rig import PORTS, PluggedCamera, Rig
from tests.scenarios.shift import Running, Shift

CLEAR = "the camera is clear"


@pytest.mark.timeout(OUTSIDE_S)
def test_a_shift_at_recorded_usb_ports() -> None:
    run_inside(__file__)


test_a_shift_at_recorded_usb_ports.__test__ = not INSIDE  # type: ignore[attr-defined]


def clips_on(camera: PluggedCamera) -> list[str]:
    return sorted(path.name for path in camera.card.rglob("*.MP4"))


class TestUsbShift:
    __test__ = INSIDE

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        (tmp_path / "usb").mkdir()
        with Rig(tmp_path / "usb") as rig:
            yield rig

    @pytest.fixture
    async def usb_shift(self, rig: Rig, tmp_path: Path) -> AsyncIterator[Shift]:
        bays = "".join(f'[[bays]]\nname = "{port}"\npaths = ["{path_of(port)}"]\n' for port in PORTS)
        usb = f'[usb]\nhelper = "{rig.helper.path}"\nreaders = "{rig.helper.readers}"\n'
        profiles = f"[profiles]\ndirectory = {json.dumps(str(ROOT / 'tests/lab/profiles'))}\n"
        shift = Shift(tmp_path, bays=0, enrolled=["BWC*"], more=bays + usb + profiles)
        await shift.depot.start()
        shift.write_config()
        yield shift
        await shift.depot.stop()

    async def test_a_camera_is_let_in_read_proved_and_cleared(self, rig: Rig, usb_shift: Shift) -> None:
        async with usb_shift.station() as running:
            camera = rig.plug("fat32", 3, authorised=False)
            await running.until_advice("3", "take", CLEAR)
            assert clips_on(camera) == []
            found = await running.clips()
            assert {(clip.camera, clip.custody, clip.copy) for clip in found} == {
                ("BWC1", Custody.CONFIRMED, Copy.GONE)
            }
            assert {clip.sha256 for clip in found} == set(usb_shift.depot.held())
            (docked,) = await running.events("camera.docked")
            assert (docked["bay"], docked["driver"], docked["firmware"]) == ("3", "usb", "3.10")
            rig.pull(camera)
            await running.until_advice("3", None)
            await running.chain_holds()
        # Whatever was read before the wipe is looked at once more on a fresh mount, and so is what the wipe left.
        verbs = rig.helper.verbs("3")
        assert verbs[0] == "authorise"
        assert verbs.index("renew") < verbs.index("window") < len(verbs) - 1 - verbs[::-1].index("renew")
        assert verbs[-1] == "unmount"

    async def test_a_device_that_is_also_a_keyboard_stays_out_and_its_neighbours_are_served(
        self, rig: Rig, usb_shift: Shift
    ) -> None:
        rig.plug("keyboard", 1, serial="BWC9", authorised=False)
        rig.plug("fat32", 2, serial="BWC2")
        async with usb_shift.station() as running:
            rig.plug("bare", 4, serial="BWC4")
            for bay in ("2", "4"):
                await running.until_advice(bay, "take", CLEAR)
            await running.until_advice("1", "take, footage still aboard", "a keyboard")
            assert len(usb_shift.depot.held()) == 2  # both cards have the same two clips
        assert rig.helper.verbs("1") == []

    async def test_a_spool_that_is_not_encrypted_takes_no_footage_of_usb_cameras_and_says_so(
        self, rig: Rig, usb_shift: Shift, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(app, "why_plain", lambda _spool: "nothing encrypts what goes to sda")
        usb_shift.write_config(plain=False)
        async with usb_shift.station() as running:
            camera = rig.plug("fat32", 3, authorised=False)
            await running.until_advice("3", "take, footage still aboard", "the spool is not encrypted")
            health = await running.agent.desk.health()
            assert not health["ok"]
            told = [text for text in health["problems"] if "allow_plain_spool = true" in str(text)]  # type: ignore[union-attr]
            assert len(told) == 2  # once for the station, once for the bay
            assert await running.clips() == []
        assert clips_on(camera) == ["A.MP4", "B.MP4"]
        assert rig.helper.verbs("3") == []
        usb_shift.write_config(plain=True)
        async with usb_shift.station() as running:
            await running.until_advice("3", "take", CLEAR)
            assert "are not copied" not in str((await running.agent.desk.health())["problems"])

    async def test_a_camera_that_is_pulled_and_comes_back_is_served_to_the_end(
        self, rig: Rig, usb_shift: Shift
    ) -> None:
        async with usb_shift.station() as running:
            await usb_shift.depot.stop()
            camera = rig.plug("fat32", 3)
            await running.until_advice("3", "take, footage still aboard", "on the way to the evidence store")
            rig.pull(camera)
            await running.until_advice("3", None)
            await usb_shift.depot.start()
            again = rig.put_back(camera)
            await running.until_advice("3", "take", CLEAR)
            assert clips_on(again) == []
            assert len(await running.events("camera.docked")) == 2

    async def test_a_seized_camera_is_copied_and_no_window_is_opened(self, rig: Rig, usb_shift: Shift) -> None:
        async with usb_shift.station() as running:
            await running.ask("seize", camera="BWC1")
            camera = rig.plug("fat32", 3)
            await running.until_advice("3", "take, footage still aboard", "seized")
            assert {clip.custody for clip in await running.clips()} == {Custody.CONFIRMED}
            assert clips_on(camera) == ["A.MP4", "B.MP4"]
        assert "window" not in rig.helper.verbs("3")

    async def test_a_write_protected_card_is_copied_and_the_bay_says_why_it_is_not_cleared(
        self, rig: Rig, usb_shift: Shift
    ) -> None:
        rig.helper.script.read_only.add("sdd1")
        camera = rig.plug("fat32", 3)
        async with usb_shift.station() as running:
            await running.until_advice("3", "take, footage still aboard", "all footage is in the evidence store")
            await running.until_kept("3", {"read_only": 2})
            assert clips_on(camera) == ["A.MP4", "B.MP4"]

    async def test_a_reload_with_a_camera_docked_asks_nothing_of_the_helper_and_ends_no_session(
        self, rig: Rig, usb_shift: Shift
    ) -> None:
        usb_shift.write_config(wiping=False)
        async with usb_shift.station() as running:
            rig.plug("fat32", 3)
            await running.until_advice("3", "take, footage still aboard", "was not cleared")
            before, session = rig.helper.verbs(), running.slot("3").session
            usb_shift.write_config(keep_hours=48.0)
            await running.until(lambda: running.agent.kit.settings.keep_s == 48 * 3600, "reloaded")
            rig.plug(
                "keyboard", 1, serial="BWC9", authorised=False
            )  # once this is shown, the reload has been seen, too
            await running.until_advice("1", "take, footage still aboard", "a keyboard")
            assert running.slot("3").session is session
            assert rig.helper.verbs() == before

    async def test_of_two_models_with_one_usb_id_the_one_that_was_let_in_describes_the_camera(
        self, rig: Rig, usb_shift: Shift, tmp_path: Path
    ) -> None:
        profiles = tmp_path / "profiles"
        profiles.mkdir()
        mine = (ROOT / "tests/lab/profiles/lab-camera.toml").read_text("utf-8")
        other = mine.replace('"lab-camera"', '"a-camera"').replace('["08:06:50", "08:06:62"', '["08:06:62"')
        assert other.count("08:06:50") == 0
        for name, text in (("lab-camera", mine), ("a-camera", other)):
            (profiles / f"{name}.toml").write_text(text, "utf-8")
        lab = json.dumps(str(ROOT / "tests/lab/profiles"))
        usb_shift.write_config(more=usb_shift.options["more"].replace(lab, json.dumps(str(profiles))))
        rig.plug("fat32", 3)
        async with usb_shift.station() as running:
            await running.until_advice("3", "take", CLEAR)
            (docked,) = await running.events("camera.docked")
            assert docked["profile"] == "lab-camera"

    async def test_a_port_that_no_bay_names_is_served_and_told(self, rig: Rig, usb_shift: Shift) -> None:
        rig.plug("fat32", 5)
        async with usb_shift.station() as running:
            await running.until_advice("port-1-1.5", "take", CLEAR)
            told = dict(running.agent.station.noticed())
            assert "no bay" in told.get("port-1-1.5", ""), told

    async def test_a_camera_that_hangs_is_freed_by_its_port_and_served_to_the_end(
        self, rig: Rig, usb_shift: Shift, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patience_s = session.OPEN_STALL_S
        monkeypatch.setattr(session, "OPEN_STALL_S", 0.5)
        monkeypatch.setattr(usb_camera, "RELEASE_S", 0.1)
        returned: list[PluggedCamera] = []

        def replug() -> None:
            monkeypatch.setattr(session, "OPEN_STALL_S", patience_s)  # what comes back is sound, if slow
            rig.pull(returned.pop())
            rig.helper.go_on()
            returned.append(rig.put_back(camera))

        def powered(bay: str, to: str) -> None:
            assert (bay, to) == ("3", "cycle")
            rig.call(replug)

        rig.helper.script.powered = powered
        rig.helper.hang("mount")
        async with usb_shift.station() as running:
            camera = rig.plug("fat32", 3)
            returned.append(camera)
            await running.until_advice("3", "take", CLEAR)
            assert clips_on(returned[0]) == []
            (cut,) = await running.events("camera.power_cut")
            assert cut["bay"] == "3"
            assert running.slot("3").strikes == 2
            await running.chain_holds()

    async def test_a_helper_that_is_away_is_named_and_nothing_is_lost_when_it_comes_back(
        self, rig: Rig, usb_shift: Shift, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(station, "STRIKE_PAUSE_S", 0.5)
        rig.helper.stop()
        camera = rig.plug("fat32", 3)
        with capture_logs() as logs:
            async with usb_shift.station() as running:
                await running.until(lambda: _told(running, "systemctl status dock-helper.socket"), "where to look")
                rig.helper.start()
                await running.until_advice("3", "take", CLEAR)
                assert clips_on(camera) == []
        assert [line["event"] for line in logs].count("dock.not_guarded") == 1


def _told(running: Running, words: str) -> bool:
    slot = running.agent.station.slots.get(BayName("3"))
    return slot is not None and words in (slot.problem or "")
