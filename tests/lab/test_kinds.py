"""Each kind of camera and file system: docked, read, proved, cleared; and the other way round, from the card itself."""

from typing import Any

import pytest

from tests.lab.recipe import UAS_BAY
from tests.lab.station import Station, footage

pytestmark = pytest.mark.lab

CLIPS = {"DCIM/100BWC/BWC_0001.MP4": footage(1, 3), "DCIM/100BWC/\u00e9t\u00e9 (2).MP4": footage(2, 0.5)}
OTHERS = {"DCIM/100BWC/LOG.TXT": b"not footage"}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "FAT32 with a partition table": ("1", {"fs": "vfat"}),
    "FAT32 without a partition table": ("2", {"fs": "vfat", "partitioned": False}),
    "exFAT": ("3", {"fs": "exfat"}),
    "exFAT without a partition table": ("4", {"fs": "exfat", "partitioned": False}),
    "ext4 of foreign users": ("5", {"fs": "ext4"}),
    "locked until a vendor's request": ("6", {"fs": "vfat", "locked": True}),
    "a plain disk": ("7", {"fs": "vfat", "scripted": False}),
    "UAS": (UAS_BAY, {"fs": "vfat", "scripted": False}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_of_this_kind_is_read_proved_and_cleared(station: Station, kind: str) -> None:
    bay, options = KINDS[kind]
    camera = station.camera("BWC1", CLIPS | OTHERS, **options)
    camera.kind = "usb-uas" if kind == "UAS" else "usb-storage"
    station.dock(camera, bay)
    station.until_advice(bay, "take", "the camera is clear", within_s=150)
    assert {c["sha256"] for c in station.clips(camera.serial)} == camera.digests
    assert {c["camera_copy"] for c in station.clips(camera.serial)} == {"gone"}
    assert camera.digests <= station.depot.held()
    station.undock(camera)
    station.until_advice(bay, None)
    # The outside check: a fresh mount of the card shows what was no clip, and nothing else.
    assert station.names_on(camera) == set(OTHERS)


@pytest.mark.soak
def test_an_mtp_camera_is_read_and_proved_and_never_cleared(station: Station) -> None:
    folder = station.folder / "mtp"
    (folder / "DCIM").mkdir(parents=True)
    (folder / "DCIM/A.MP4").write_bytes(footage(5, 3))
    (folder / "DCIM/B.MP4").write_bytes(footage(6, 0.2))
    station.machine.plug_mtp("mtp", folder, station.ports["9"], "BWC-MTP")
    station.until_advice("9", "take, footage still aboard", "cannot be cleared by the station", within_s=120)
    assert {c["state"] for c in station.clips("BWC-MTP")} == {"confirmed"}
    assert len(station.depot.held()) == 2
    assert len(list(folder.rglob("*.MP4"))) == 2
