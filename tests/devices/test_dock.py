"""The hardware side of all bays, as far as it can be had without a dock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.core.clip import BayName, Entry
from agent.core.errors import CameraError, SpoolPlain
from agent.devices import usb_camera
from agent.devices.dock import Dock
from agent.ports import Docked
from tests.fakes.helper import FakeHelper

PATH, OTHER = "pci-0000:00:14.0-usb-0:1.3", "pci-0000:00:14.0-usb-0:1.4"
LIMIT_S = 20.0


@dataclass
class Place:
    fake: FakeHelper
    dock: Dock


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    with FakeHelper(tmp_path) as fake:
        dock = Dock({}, guard=True, helper=fake.path, sockets=fake.readers, profiles=lambda: ())
        yield Place(fake, dock)
        dock.close()
        dock.close()


async def test_a_folder_is_opened_without_the_helper(place: Place, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    (card / "a.mp4").write_bytes(b"clip")
    camera = await place.dock.open(Docked(BayName("1"), "folder", str(card), "token"), stall_s=LIMIT_S)
    rows = [row async for batch in camera.list() for row in batch]
    assert [row.path for row in rows if isinstance(row, Entry)] == [b"a.mp4"]
    await camera.close()
    assert place.fake.verbs() == []


async def test_what_is_at_a_usb_port_goes_through_the_watch(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb_camera, "PROBE_S", 0.05)
    with pytest.raises(CameraError, match="the camera in bay 1 was taken out"):
        await place.dock.open(Docked(BayName("1"), "usb", "1-1.3", "token"), stall_s=LIMIT_S)


async def test_where_the_spool_is_not_encrypted_a_usb_camera_is_refused_and_the_helper_not_asked(
    tmp_path: Path,
) -> None:
    with FakeHelper(tmp_path) as fake:
        plain = "nothing encrypts what goes to sda"
        dock = Dock({}, guard=True, helper=fake.path, sockets=fake.readers, profiles=lambda: (), plain=plain)
        with pytest.raises(SpoolPlain, match=plain):
            await dock.open(Docked(BayName("1"), "usb", "1-1.3", "token"), stall_s=LIMIT_S)
        (tmp_path / "card").mkdir()
        folder = Docked(BayName("2"), "folder", str(tmp_path / "card"), "token")
        await (await dock.open(folder, stall_s=LIMIT_S)).close()
        assert dock.problems == []  # no bay is at a USB port
        dock.set_bays({BayName("1"): (PATH,)}, guard=True)
        (told,) = dock.problems
        assert plain in told
        assert "allow_plain_spool = true" in told
        assert fake.verbs() == []
        dock.close()


async def test_power_goes_through_the_helper(place: Place) -> None:
    assert await place.dock.power.cycle("1") is True
    assert place.fake.verbs("1") == ["power"]


async def test_without_usb_bays_nothing_is_watched_and_nobody_is_asked(place: Place) -> None:
    async with asyncio.timeout(LIMIT_S), aclosing(place.dock.watch.snapshots()) as snapshots:
        assert await anext(snapshots) == {}
    assert place.fake.verbs() == []


async def test_a_reload_without_a_change_of_the_bays_leaves_them_as_they_are(place: Place) -> None:
    place.dock.set_bays({BayName("1"): (PATH,), BayName("2"): (OTHER,)}, guard=False)
    before = place.dock.watch._topology
    place.dock.set_bays({BayName("2"): (OTHER,), BayName("1"): (PATH,)}, guard=False)
    assert place.dock.watch._topology == before
    assert hash(place.dock.watch._topology) == hash(before)
    for changed in ({BayName("1"): (PATH,)}, {BayName("1"): (OTHER,), BayName("2"): (PATH,)}, {}):
        place.dock.set_bays(changed, guard=False)
        assert place.dock.watch._topology != before
    assert before != changed


async def test_a_path_that_is_none_is_refused_and_the_old_bays_stay(place: Place) -> None:
    place.dock.set_bays({BayName("1"): (PATH,)}, guard=False)
    before = place.dock.watch._topology
    for wrong in ({BayName("1"): ("sda1",)}, {BayName("1"): (PATH,), BayName("2"): (PATH,)}):
        with pytest.raises(ValueError, match=r"no USB port|bays 1 and 2 are both at"):
            place.dock.set_bays(wrong, guard=True)
    assert place.dock.watch._topology is before
    with pytest.raises(ValueError, match="no USB port"):
        Dock(
            {BayName("1"): ("1-1.3",)},
            guard=True,
            helper=place.fake.path,
            sockets=place.fake.readers,
            profiles=lambda: (),
        )
