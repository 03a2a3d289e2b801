"""The name of a disk, for people."""

import os
from pathlib import Path

from agent.files.disk import disk_name


def test_a_disk_is_named_by_where_it_is_and_its_number(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    assert disk_name(tmp_path) == f"The disk of {tmp_path} (device {os.major(device)}:{os.minor(device)})"


def test_a_place_that_cannot_be_asked_still_has_a_name(tmp_path: Path) -> None:
    assert disk_name(tmp_path / "gone") == f"The disk of {tmp_path / 'gone'}"
