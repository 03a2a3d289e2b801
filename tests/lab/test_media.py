"""Media that are worn, hostile or half written."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.lab.camera.camera import ScriptedCamera
from tests.lab.camera.identity import Identity
from tests.lab.media import PARTITION_AT
from tests.lab.station import Station, footage

pytestmark = pytest.mark.lab

MIB = 1 << 20
SECTOR = 512


def first_block_of(image: Path, data: bytes) -> int:
    """Where a file's content begins on the card, in blocks of 512 bytes."""
    raw = image.read_bytes()
    at = raw.index(data[:4096])
    assert at % SECTOR == 0
    return at // SECTOR


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_bad_sector_costs_its_own_clip_and_is_named(station: Station) -> None:
    bad, good = footage(21, 2), footage(22, 2)
    camera = station.camera("BWC1", {"DCIM/BAD.MP4": bad, "DCIM/GOOD.MP4": good})
    assert camera.scripted is not None
    camera.scripted.medium_error(first_block_of(camera.image, bad) + MIB // SECTOR)
    station.dock(camera, "3")
    view = station.until_advice("3", "take, footage still aboard", "could not be read", within_s=120)
    assert view["clips"]["quarantined"] == 1
    station.until(lambda: station.gone("DCIM/GOOD.MP4"), "the good clip is confirmed and cleared")
    clips = {c["shown"]: c for c in station.clips("BWC1")}
    problem = clips["DCIM/BAD.MP4"]["problem"]
    assert f"bytes {MIB} to {MIB + 4095} of {2 * MIB}" in problem
    assert clips["DCIM/BAD.MP4"]["camera_copy"] == "present"
    station.undock(camera)
    assert station.names_on(camera) == {"DCIM/BAD.MP4"}


def test_a_dirty_fat_is_read_and_cleared(station: Station) -> None:
    camera = station.camera("BWC1")
    raw = bytearray(camera.image.read_bytes()[PARTITION_AT : PARTITION_AT + SECTOR])
    raw[0x41] |= 1  # the dirty bit of FAT32, as a camera leaves it whose battery died
    with camera.image.open("r+b") as file:
        file.seek(PARTITION_AT)
        file.write(raw)
    station.dock(camera, "3")
    station.until_advice("3", "take", "the camera is clear")


def test_a_write_protected_card_is_offloaded_and_stays_as_it_is(station: Station) -> None:
    camera = station.camera("BWC1", write_protected=True)
    before = digest_of(camera.image)
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "cannot be written to")
    assert station.bay("3")["not_wiped"] == {"read_only": 2}
    station.undock(camera)
    assert digest_of(camera.image) == before


def test_what_is_no_footage_on_ext4_is_refused_and_nothing_of_it_followed(station: Station, tmp_path: Path) -> None:
    camera = station.camera("BWC1", {"DCIM/A.MP4": footage(31, 0.5)}, "ext4", partitioned=False)
    script = """cd DCIM
symlink LINK.MP4 /etc/shadow
mknod NULL.MP4 c 1 3
mknod DISK.MP4 b 8 0
mknod FIFO.MP4 p
write /etc/hostname SUID.MP4
set_inode_field SUID.MP4 mode 0104755
"""
    (tmp_path / "script").write_text(script)
    subprocess.run(["debugfs", "-w", "-f", tmp_path / "script", camera.image], check=True, capture_output=True)  # noqa: S603, S607
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "5 things on the camera could not be copied")
    assert [c["shown"] for c in station.clips("BWC1")] == ["DCIM/A.MP4"]
    refused = {line["path"]: line["reason"] for line in station.log("camera.refused")}
    assert refused == {
        "DCIM/LINK.MP4": "symlink",
        "DCIM/NULL.MP4": "device",
        "DCIM/DISK.MP4": "device",
        "DCIM/SUID.MP4": "setuid",
        "DCIM/FIFO.MP4": "fifo",
    }


def test_an_ext4_card_whose_journal_must_be_replayed_is_read_and_not_changed_by_a_bit(station: Station) -> None:
    camera = station.camera("BWC1", {"DCIM/A.MP4": footage(32, 0.5)}, "ext4", partitioned=False)
    subprocess.run(  # noqa: S603
        ["debugfs", "-w", "-R", "feature needs_recovery", camera.image],  # noqa: S607
        check=True,
        capture_output=True,
    )
    before = digest_of(camera.image)
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "cannot be written to")
    assert {c["state"] for c in station.clips("BWC1")} == {"confirmed"}
    station.undock(camera)
    assert digest_of(camera.image) == before


def test_a_looped_cluster_chain_ends_at_the_declared_size(station: Station) -> None:
    """What the kernel shows of it is what is kept: without the raw disk nobody can tell it from a true recording."""
    # Small: clusters of 512 bytes that no longer lie in a row are a request each, which takes an emulated bus its time.
    looped, good = footage(41, 0.1), footage(42, 0.5)
    camera = station.camera("BWC1", {"DCIM/LOOP.MP4": looped, "DCIM/GOOD.MP4": good})
    loop_chain(camera.image, looped)
    station.dock(camera, "3")
    shown = station.until_confirmed("DCIM/LOOP.MP4")
    assert shown["size"] == len(looped)
    assert shown["sha256"] != hashlib.sha256(looped).hexdigest()
    cluster = cluster_bytes(camera.image)
    twice = looped[cluster : 3 * cluster]
    repeated = looped[:cluster] + twice * (len(looped) // len(twice) + 1)
    assert shown["sha256"] == hashlib.sha256(repeated[: len(looped)]).hexdigest()
    station.until_confirmed("DCIM/GOOD.MP4")


def cluster_bytes(image: Path) -> int:
    """Of the FAT volume in the card's first partition."""
    with image.open("rb") as file:
        file.seek(PARTITION_AT)
        return file.read(SECTOR)[13] * SECTOR


def loop_chain(image: Path, data: bytes) -> None:
    """Let the third cluster of this file lead back to its second, in both copies of the FAT."""
    with image.open("r+b") as file:
        file.seek(PARTITION_AT)
        boot = file.read(SECTOR)
        per_cluster, reserved, fats = boot[13], int.from_bytes(boot[14:16], "little"), boot[16]
        fat_sectors = int.from_bytes(boot[36:40], "little")
        data_at = PARTITION_AT + (reserved + fats * fat_sectors) * SECTOR
        first = (first_block_of(image, data) * SECTOR - data_at) // (per_cluster * SECTOR) + 2
        for fat in range(fats):
            file.seek(PARTITION_AT + (reserved + fat * fat_sectors) * SECTOR + (first + 2) * 4)
            file.write((first + 1).to_bytes(4, "little"))


def test_two_volumes_are_not_guessed_about(station: Station) -> None:
    camera = station.camera("BWC1", megabytes=100, scripted=False)
    with camera.image.open("r+b") as file:
        file.truncate(200 * MIB)
    second = 100 * MIB // SECTOR
    for words in (
        ["sfdisk", "-q", "--append", str(camera.image)],
        ["mkfs.vfat", "-F", "32", "--offset", str(second), str(camera.image), str(90 * 1024)],
    ):
        subprocess.run(  # noqa: S603
            words, input=f"start={second}, type=c\n", text=True, check=True, capture_output=True
        )
    camera.scripted = ScriptedCamera(camera.image, Identity(serial="BWC1"))
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "volumes")
    assert station.clips() == []


def test_a_card_of_an_unknown_file_system_is_told_and_not_mounted(station: Station) -> None:
    camera = station.camera("BWC1", {"DCIM/A.MP4": b"x"}, partitioned=False)
    with camera.image.open("r+b") as file:
        file.write(bytes(2 * MIB))
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "no file system that can be read here")
    assert "/run/dock-media/3" not in station.machine.sh("cat /proc/mounts")
