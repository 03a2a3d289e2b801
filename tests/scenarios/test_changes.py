"""What changes while the station runs: its configuration, its profiles, and folders into which cameras push."""

import shutil
from pathlib import Path

from structlog.testing import capture_logs

from agent.config.load import bundled_profiles
from agent.core.clip import Copy, Custody
from tests.scenarios.shift import Running, Shift


async def _says(running: Running, text: str) -> bool:
    return any(text in str(n) for n in (await running.agent.desk.station())["notices"])  # type: ignore[union-attr]


async def test_wiping_turned_on_while_a_camera_is_docked_clears_it(shift: Shift) -> None:
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        shift.write_config(wiping=True)
        await running.until_advice("1", "take")
        assert await running.events("agent.reconfigured")


async def test_a_wrong_configuration_is_refused_and_the_old_one_stays(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        good = shift.config.read_text()
        with capture_logs() as logged:
            shift.config.write_text(good.replace("enabled = true", "enabled = false\ncolour = 1"))
            await running.until(lambda: _says(running, "wipe.colour"), "the mistake is named")
        (told,) = (line for line in logged if line["event"] == "config.refused")
        assert told["problem"].endswith("wipe.colour: unknown key")
        assert "exc_info" not in told  # a person's mistake gets words, no traceback
        assert running.agent.kit.settings.wiping
        shift.config.write_text(good)
        await running.until(lambda: _forgotten(running), "the notice is gone")
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")


async def _forgotten(running: Running) -> bool:
    return not await _says(running, "wipe.colour")


async def test_a_profile_dropped_in_is_used_at_once(shift: Shift) -> None:
    profiles = shift.root / "profiles"
    profiles.mkdir()
    shutil.copy(bundled_profiles() / "blackvue-record.toml", profiles)
    shift.write_config(more='[profiles]\ndirectory = "profiles"')
    camera = shift.camera("CAM1", "plain-dcim")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "No camera profile fits")
        camera.undock()
        await running.until_advice("1", None)
        shutil.copy(bundled_profiles() / "plain-dcim.toml", profiles)
        await running.until(lambda: len(running.agent.kit.settings.profiles) == 2, "the profile is known")
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")


async def test_files_pushed_into_an_import_folder_are_taken_and_cleared(shift: Shift) -> None:
    folder = shift.root / "pushed"
    folder.mkdir()
    shift.write_config(more=f'[[imports]]\nname = "wifi"\nfolder = "{folder}"\nsettle_s = 0.5', enrolled=["*"])
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        shutil.copytree(Path(str(camera.card)) / "DCIM", folder / "DCIM")
        wanted = shift.truth(camera)
        await running.until(lambda: wanted <= set(shift.depot.held()), "all in the depot")
        await running.until(lambda: _gone(running), "the folder is cleared")
        assert {c.custody for c in await running.clips()} == {Custody.CONFIRMED}
        late = shift.camera("CAM2", "plain-dcim", clips=1)
        for file in late.truth.files:
            source = Path(str(late.card)) / file.path.decode()
            if file.role == "clip":
                shutil.copy2(source, folder / "DCIM" / source.name)
        digests = {f.sha256 for f in late.truth.files if f.role == "clip"}
        await running.until(lambda: digests <= set(shift.depot.held()), "the late file as well")


async def _gone(running: Running) -> bool:
    found = await running.clips()
    return bool(found) and all(c.copy is Copy.GONE for c in found)


async def test_a_trial_that_ends_by_reload_confirms_and_clears_nothing_more(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        shift.config.write_text(shift.config.read_text().replace("trial = true", "trial = false"))
        await running.until(lambda: not running.agent.kit.settings.trial, "the trial is over")
        assert await _says(running, "Store central is on this machine")
        camera.dock(shift.bay(1))
        wanted = shift.truth(camera)
        await running.until(lambda: wanted <= set(shift.depot.held()), "the depot holds all")
        await running.until_advice("1", "take, footage still aboard", "on the way")
        assert {c.custody for c in await running.clips()} == {Custody.SPOOLED}
        shift.config.write_text(shift.config.read_text().replace("trial = false", "trial = true"))
        await running.until_advice("1", "take")


async def test_a_bay_added_while_running_is_served(shift: Shift) -> None:
    shift.config.write_text(shift.config.read_text().replace('[[bays]]\nname = "4"\nsimulated = "rack/4"\n', ""))
    good = shift.config.read_text()
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(4))
        shift.config.write_text(good.replace("[[stores]]", '[[bays]]\nname = "new"\nsimulated = "rack/4"\n[[stores]]'))
        await running.until_advice("new", "take")
        assert "new" in [b["bay"] for b in await running.agent.desk.bays()]


async def test_what_needs_a_restart_is_refused_as_a_whole(shift: Shift) -> None:
    async with shift.station() as running:
        text = (
            shift.config.read_text().replace("workers = 2", "workers = 7").replace("enabled = true", "enabled = false")
        )
        shift.config.write_text(text)
        await running.until(lambda: _says(running, "need a restart"), "the refusal is told")
        assert running.agent.kit.settings.wiping


async def test_a_serial_taken_out_of_the_configuration_is_cleared_no_more(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        camera.undock()
        shift.write_config(enrolled=["ZZZ*"])
        await running.until(lambda: running.agent.kit.settings.enrolled == ("ZZZ*",), "reloaded")
        again = shift.camera("CAM1B")
        again.script(serial="CAM1")
        again.dock(shift.bay(2))
        await running.until_kept("2", {"camera_unclaimed": len(shift.truth(again))})
