"""The driver for USB disks: what every camera does, on a medium that lies elsewhere after each mount."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.clip import BayName, Entry
from agent.core.errors import CameraGone
from agent.devices.drivers import mass_storage
from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.mass_storage import Card, MassStorageDriver
from agent.devices.reader.camera import ReaderCamera, opened
from agent.devices.reader.child import start_child
from agent.devices.reader.drain import Drain
from agent.ports import Docked
from tests.contracts.camera_contract import CameraCard, CameraContract, alter_unnoticed
from tests.fakes.helper import card_place


class LinkedVolume:
    """Implements `reader.volume.Volume` without privileges: links lead to a card on another file system."""

    def __init__(self, media: Path, card: Path) -> None:
        self._media = media
        self.card = card
        self._number = 0

    @property
    def place(self) -> Path:
        return self._media / str(self._number)

    def attach(self) -> None:
        self.place.symlink_to(self.card)

    def detach(self) -> None:
        self.place.unlink(missing_ok=True)

    async def afresh(self) -> str:
        self.detach()
        self._number += 1
        self.attach()
        return str(self.place)

    async def writable(self) -> str:
        return await self.afresh()

    async def close(self) -> None:
        self.detach()


class MountedVolume(LinkedVolume):
    """The same with real mounts; for root only."""

    def attach(self) -> None:
        if not self.card.exists():
            raise CameraGone("the camera was taken out")
        self.place.mkdir()
        subprocess.run(["mount", "--bind", self.card, self.place], check=True)  # noqa: S603, S607

    def detach(self) -> None:
        if self.place.is_mount():
            subprocess.run(["umount", "--lazy", self.place], check=True)  # noqa: S603, S607


class VolumeContract(CameraContract):
    """What any camera does, and that it stays itself while its medium moves. Give a `volume`."""

    @pytest.fixture
    def camera_card(self, volume: LinkedVolume) -> CameraCard:
        async def opener(docked: Docked, *, stall_s: float) -> ReaderCamera:
            root = await volume.afresh()
            camera = ReaderCamera(await start_child(), Drain(docked.bay), volume, stall_s=stall_s)
            return await opened(camera, "mass_storage", root)

        def pull() -> None:
            volume.detach()
            volume.card.rename(volume.card.with_name("pulled"))

        return CameraCard(Docked(BayName("1"), "usb", "1-1.1", "token"), volume.card, opener, pull)

    async def test_a_mark_outlasts_a_fresh_mount_and_wipes_there(
        self, camera: ReaderCamera, camera_card: CameraCard, volume: LinkedVolume
    ) -> None:
        path = camera_card.put(b"a.mp4", b"12345")
        facts = path.stat()
        listed = Entry(b"a.mp4", facts.st_size, facts.st_mtime_ns)
        mark = await camera.read(listed, lambda _block, /: None)
        places = [volume.place]
        await camera.renew()
        places.append(volume.place)
        assert await camera.read(listed, lambda _block, /: None, fresh=True) == mark
        assert camera.wiper is not None
        await camera.wiper.open_window()
        places.append(volume.place)
        await camera.wiper.wipe(listed, mark)
        await camera.wiper.close_window()
        assert not path.exists()
        assert len(set(places)) == 3

    async def test_facts_name_the_file_system_and_its_size(self, camera: ReaderCamera) -> None:
        assert camera.facts.file_system == "tmpfs"
        assert camera.facts.capacity_bytes
        assert camera.facts.serial is None


class TestMassStorage(VolumeContract):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Iterator[LinkedVolume]:
        media = tmp_path / "media"
        media.mkdir()
        with card_place() as place:
            (place / "card").mkdir()
            yield LinkedVolume(media, place / "card")


@pytest.mark.lab
class TestMountedMassStorage(VolumeContract):
    """With mounts of a file system of its own, which only root can make."""

    @pytest.fixture
    def volume(self, tmp_path: Path) -> Iterator[LinkedVolume]:
        medium, media = tmp_path / "medium", tmp_path / "media"
        for folder in (medium, media):
            folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g", "card", medium], check=True)  # noqa: S603, S607
        try:
            (medium / "card").mkdir()
            volume = MountedVolume(media, medium / "card")
            yield volume
            volume.detach()
        finally:
            subprocess.run(["umount", "--lazy", medium], check=True)  # noqa: S603, S607


# ---- the driver by itself


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[LinkedVolume]:
    media = tmp_path / "media"
    media.mkdir()
    with card_place() as place:
        (place / "card").mkdir()
        yield LinkedVolume(media, place / "card")


def test_a_folder_on_which_nothing_is_mounted_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(DriverError, match="nothing is mounted there") as caught:
        MassStorageDriver(bytes(tmp_path / "1"))
    assert caught.value.code == "gone"
    with pytest.raises(DriverError) as caught:
        MassStorageDriver(bytes(tmp_path / "none"))
    assert caught.value.code == "gone"


async def test_after_the_mount_has_gone_the_empty_folder_is_not_entered(volume: LinkedVolume) -> None:
    driver = MassStorageDriver(os.fsencode(await volume.afresh()))
    driver.leave()
    volume.detach()
    volume.place.mkdir()
    with pytest.raises(DriverError) as caught:
        driver.enter(bytes(volume.place), writable=False)
    assert caught.value.code == "gone"


async def test_a_card_is_followed_to_where_it_is_now(volume: LinkedVolume) -> None:
    driver = MassStorageDriver(os.fsencode(await volume.afresh()))
    (volume.card / "a.mp4").write_bytes(b"clip")
    assert driver.exists(b"a.mp4")
    driver.leave()
    with pytest.raises(DriverError, match="the medium is not entered"):
        next(driver.walk())
    old = volume.place
    driver.enter(os.fsencode(await volume.writable()), writable=True)
    assert volume.place != old
    assert driver.exists(b"a.mp4")
    facts = (volume.card / "a.mp4").stat()
    driver.wipe(b"a.mp4", facts.st_size, facts.st_mtime_ns, driver.medium.mark_of(facts))
    driver.leave()
    driver.enter(os.fsencode(await volume.afresh()), writable=False)
    with pytest.raises(DriverError, match="no wipe window"):
        driver.wipe(b"a.mp4", facts.st_size, facts.st_mtime_ns, "")
    driver.close()


async def test_the_card_of_another_camera_is_not_entered(volume: LinkedVolume, tmp_path: Path) -> None:
    driver = MassStorageDriver(os.fsencode(await volume.afresh()))
    driver.leave()
    other = tmp_path / "elsewhere"
    other.mkdir()
    driver._address = b"/somewhere/else"
    (volume.card.parent / "link").symlink_to(other)  # a root on yet another file system
    with pytest.raises(DriverError, match="another medium took its place"):
        driver.enter(bytes(volume.card.parent / "link"), writable=False)


@pytest.mark.parametrize("kind", ["vfat", "exfat", "msdos"])
async def test_where_inode_numbers_do_not_last_a_mark_goes_by_size_and_time(
    volume: LinkedVolume, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Neither file system can be mounted without root; what the kernel calls it is all that the driver goes by.
    monkeypatch.setattr(mass_storage, "file_system_of", lambda _medium: kind)
    driver = MassStorageDriver(os.fsencode(await volume.afresh()))
    path = volume.card / "a.mp4"
    path.write_bytes(b"12345")
    facts = path.stat()
    mark = driver.medium.mark_of(facts)
    assert mark == f"{facts.st_dev}:5:{facts.st_mtime_ns}"
    copy = volume.card / "copy"
    copy.write_bytes(b"54321")
    os.utime(copy, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    copy.rename(path)  # another number, as after a fresh mount
    assert driver.medium.mark_of(path.stat()) == mark
    path.write_bytes(b"123456")
    assert driver.medium.mark_of(path.stat()) != mark
    driver.leave()
    driver.enter(os.fsencode(await volume.afresh()), writable=False)
    assert driver.medium.mark_of(facts) == mark
    driver.close()


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", None])
async def test_where_they_last_a_mark_tells_each_touch(
    volume: LinkedVolume, monkeypatch: pytest.MonkeyPatch, kind: str | None
) -> None:
    monkeypatch.setattr(mass_storage, "file_system_of", lambda _medium: kind)
    driver = MassStorageDriver(os.fsencode(await volume.afresh()))
    path = volume.card / "a.mp4"
    path.write_bytes(b"12345")
    mark = driver.medium.mark_of(path.stat())
    alter_unnoticed(path)
    assert driver.medium.mark_of(path.stat()) != mark
    driver.close()


def test_a_card_is_taken_for_one_whose_numbers_last_until_it_is_known() -> None:
    assert Card.lasting_inodes
