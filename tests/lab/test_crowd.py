"""A whole shift docks at once."""

from typing import TYPE_CHECKING

import pytest

from tests.lab.station import Station, footage

if TYPE_CHECKING:
    from tests.lab.media import FileSystem

pytestmark = pytest.mark.lab


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_sixteen_cameras_at_two_hubs_are_copied_proved_and_cleared(station: Station) -> None:
    kinds: tuple[FileSystem, ...] = ("vfat", "exfat", "ext4")
    cameras = {}
    for number in range(1, 17):
        clips = {f"DCIM/{number:02}_{n}.MP4": footage(number * 10 + n, 1) for n in range(2)}
        cameras[str(number)] = station.camera(f"BWC{number:02}", clips, kinds[number % 3])
    for bay, camera in cameras.items():
        station.dock(camera, bay)
    for bay in cameras:
        station.until_advice(bay, "take", "the camera is clear", within_s=300)
    held = station.depot.held()
    for camera in cameras.values():
        assert camera.digests <= held
        assert {c["camera_copy"] for c in station.clips(camera.serial)} == {"gone"}
        assert len(station.clips(camera.serial)) == 2
    assert len(held) == 32
