"""What the kernel says about the devices beneath a directory, from folders laid out as it lays them out."""

import os
from pathlib import Path

import pytest

from agent.core.encryption import Layer
from agent.files.block_layers import layers_of, why_plain

LUKS = "CRYPT-LUKS2-0123456789abcdef-spool"


class Kernel:
    """`/sys` with disks, partitions and mappings."""

    def __init__(self, root: Path) -> None:
        self.devices, self.numbers = root / "devices", root / "block"
        self.numbers.mkdir(parents=True)

    def device(self, number: str, name: str, *slaves: Path, uuid: str | None = None) -> Path:
        made = self.devices / name
        (made / "slaves").mkdir(parents=True)
        for slave in slaves:
            (made / "slaves" / slave.name).symlink_to(slave)
        if uuid is not None:
            (made / "dm").mkdir()
            (made / "dm" / "uuid").write_text(f"{uuid}\n")
        (self.numbers / number).symlink_to(made)
        return made

    def partition(self, number: str, disk: Path, name: str) -> Path:
        made = disk / name
        made.mkdir()
        (made / "partition").write_text("1\n")
        (self.numbers / number).symlink_to(made)
        return made


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path / "sys")


def number_of(path: Path) -> str:
    device = path.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def test_a_mapping_on_a_partition_leads_down_to_its_disk(kernel: Kernel) -> None:
    part = kernel.partition("8:1", kernel.device("8:0", "sda"), "sda1")
    kernel.device("254:0", "dm-0", part, uuid=LUKS)
    found = layers_of(os.makedev(254, 0), kernel.numbers)
    assert found == Layer("dm-0", LUKS, (Layer("sda"),))


def test_a_file_system_without_a_device_of_its_own_has_no_layers(kernel: Kernel) -> None:
    assert layers_of(os.makedev(0, 40), kernel.numbers) is None


def test_a_chain_that_does_not_end_covers_nothing(kernel: Kernel) -> None:
    loop = kernel.device("254:0", "dm-0", uuid="LVM-x")
    (loop / "slaves" / "dm-0").symlink_to(loop)
    found = layers_of(os.makedev(254, 0), kernel.numbers)
    assert found is not None
    assert found.bare == {"dm-0"}


def test_a_directory_on_luks_is_encrypted_also_before_it_is_made(kernel: Kernel, tmp_path: Path) -> None:
    disk = kernel.device("8:0", "sda")
    kernel.device(number_of(tmp_path), "dm-0", disk, uuid=LUKS)
    assert why_plain(tmp_path / "state" / "spool", kernel.numbers) is None


def test_a_directory_on_a_plain_disk_names_the_disk(kernel: Kernel, tmp_path: Path) -> None:
    covered = kernel.device("254:1", "dm-1", kernel.device("8:0", "sda"), uuid=LUKS)
    kernel.device(number_of(tmp_path), "md0", covered, kernel.device("8:16", "sdb"), kernel.device("8:32", "sdc"))
    assert why_plain(tmp_path, kernel.numbers) == "nothing encrypts what goes to sdb, sdc"


def test_a_layer_that_is_being_changed_is_told_with_why_it_does_not_count(kernel: Kernel, tmp_path: Path) -> None:
    overlay = kernel.device(
        "254:1", "dm-1", kernel.device("8:0", "sda"), uuid="CRYPT-SUBDEV-0123456789abcdef-s-overlay"
    )
    kernel.device(number_of(tmp_path), "dm-0", overlay, uuid=LUKS)
    said = why_plain(tmp_path, kernel.numbers)
    assert said is not None
    assert said.startswith("what goes to sda is not surely encrypted: dm-0 is being encrypted")


def test_of_what_lies_on_no_device_nobody_can_tell(kernel: Kernel) -> None:
    said = why_plain(Path("/proc/self"), kernel.numbers)
    assert said is not None
    assert "of which nobody can tell that it is encrypted" in said


def test_a_place_that_cannot_be_looked_at_counts_as_plain(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    said = why_plain(tmp_path / "loop", kernel.numbers)
    assert said is not None
    assert "cannot be looked at" in said
