"""Swap, from lists and folders laid out as the kernel lays them out."""

from pathlib import Path

import pytest

from agent.files.swap import SWAPS, plain_swaps
from tests.files.test_block_layers import LUKS, Kernel, number_of

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


class Swaps:
    """A kernel that swaps to what it is told."""

    def __init__(self, root: Path) -> None:
        self.kernel = Kernel(root / "sys")
        self.blocks = root / "class"
        self.blocks.mkdir()
        self.file = root / "swaps"
        self.file.write_text(HEAD)

    def on(self, name: str, kind: str = "partition") -> None:
        with self.file.open("a") as file:
            file.write(f"{name}                               {kind}\t8388604\t\t0\t\t-2\n")

    def named(self, name: str, device: Path) -> None:
        (self.blocks / name).symlink_to(device)

    def plain(self) -> list[str]:
        return plain_swaps(self.file, self.blocks, self.kernel.numbers)


@pytest.fixture
def swaps(tmp_path: Path) -> Swaps:
    return Swaps(tmp_path)


def test_a_station_without_swap_has_none_that_is_plain(swaps: Swaps, tmp_path: Path) -> None:
    assert swaps.plain() == []
    assert plain_swaps(tmp_path / "none") == []


def test_a_plain_partition_is_told_and_one_behind_a_layer_is_not(swaps: Swaps) -> None:
    disk = swaps.kernel.device("8:0", "sda")
    swaps.named("sda2", swaps.kernel.partition("8:2", disk, "sda2"))
    swaps.named("dm-1", swaps.kernel.device("254:1", "dm-1", disk, uuid="CRYPT-PLAIN-swap"))
    swaps.on("/dev/sda2")
    swaps.on("/dev/dm-1")
    assert swaps.plain() == ["/dev/sda2: nothing encrypts what goes to sda"]


def test_a_file_is_as_plain_as_the_file_system_that_it_lies_on(swaps: Swaps, tmp_path: Path) -> None:
    (tmp_path / "swap file").touch()
    swaps.on(f"{tmp_path}/swap\\040file", "file")
    assert swaps.plain() == [f"{tmp_path}/swap file: of which nobody can tell that it is encrypted"]
    made = swaps.kernel.device(number_of(tmp_path), "dm-0", swaps.kernel.device("8:0", "sda"), uuid=LUKS)
    assert swaps.plain() == []
    (made / "dm" / "uuid").write_text("LVM-x")
    assert swaps.plain() == [f"{tmp_path}/swap file: nothing encrypts what goes to sda"]


def test_memory_that_is_swapped_to_memory_stays_there_unless_it_is_written_out(swaps: Swaps) -> None:
    zram = swaps.kernel.device("252:0", "zram0")
    swaps.named("zram0", zram)
    swaps.named("sdb", swaps.kernel.device("8:16", "sdb"))
    swaps.on("/dev/zram0")
    assert swaps.plain() == []
    (zram / "backing_dev").write_text("none\n")
    assert swaps.plain() == []
    (zram / "backing_dev").write_text("/dev/sdb\n")
    assert swaps.plain() == ["/dev/zram0: nothing encrypts what goes to sdb"]


def test_what_cannot_be_looked_at_counts_as_plain(swaps: Swaps, tmp_path: Path) -> None:
    swaps.on("/dev/gone")
    swaps.on(str(tmp_path / "gone"), "file")
    gone, file = swaps.plain()
    assert gone == "/dev/gone: of which nobody can tell that it is encrypted"
    assert "it cannot be looked at" in file


def test_this_kernels_own_list_can_be_read() -> None:
    lines = SWAPS.read_text().splitlines()[1:]
    assert len(plain_swaps()) <= len(lines)
