"""What is decided before anything is mounted; mounting itself is seen in the lab, with real disks."""

from pathlib import Path

import pytest

from agent.devices.topology import Topology
from agent.helper.dock import Dock
from agent.helper.memory import Known, Memory, Volume
from agent.helper.refusal import Refusal
from agent.helper.sysfs import Usb
from agent.helper.volume import Volumes, options_of
from tests.helper.tree import Tree, port


@pytest.fixture
def dock(tree: Tree) -> Dock:
    tree.plug("1-1.1")
    tree.plug_disk("1-1.1", "sda", sequence=12)
    return Dock(Topology({"1": [port(1)], "2": [port(2)]}), Usb(tree.root, tree.paths.get))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "state")


@pytest.fixture
def volumes(dock: Dock, memory: Memory, tmp_path: Path) -> Volumes:
    return Volumes(dock, tmp_path / "media", memory)


@pytest.mark.parametrize("verb", ["window", "renew"])
def test_an_empty_bay_has_no_volume(volumes: Volumes, verb: str) -> None:
    with pytest.raises(Refusal) as refused:
        getattr(volumes, verb)("1")
    assert refused.value.code == "not_mounted"


@pytest.mark.parametrize("verb", ["window", "renew"])
def test_another_disk_of_the_same_name_is_not_taken_for_the_volume(
    volumes: Volumes, dock: Dock, memory: Memory, tree: Tree, verb: str
) -> None:
    memory.keep("1", Known(1, Volume(dock.block("1", "sda1"), "vfat")))
    tree.place("1-1.1/1-1.1:1.0/host0/target0:0:0/0:0:0:0/block/sda/diskseq").write_text("13\n")
    with pytest.raises(Refusal) as refused:
        getattr(volumes, verb)("1")
    assert refused.value.code == "gone"


def test_a_volume_whose_camera_was_pulled_is_gone(volumes: Volumes, dock: Dock, memory: Memory, tree: Tree) -> None:
    memory.keep("1", Known(1, Volume(dock.block("1", "sda1"), "vfat")))
    (tree.root / "class/block/sda1").unlink()
    with pytest.raises(Refusal) as refused:
        volumes.window("1")
    assert refused.value.code == "gone"


def test_unmounting_an_empty_bay_is_no_mistake(volumes: Volumes, memory: Memory, tmp_path: Path) -> None:
    volumes.unmount("1")
    volumes.unmount_all()
    (tmp_path / "media/1/3").mkdir(parents=True)
    memory.keep("1", Known(3))
    volumes.unmount("1")
    assert not (tmp_path / "media/1/3").exists()
    assert memory.of("1") == Known(3)  # the number is not given again


def test_a_disk_of_another_bay_is_not_mounted(volumes: Volumes, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        volumes.mount("2", "sda1", "vfat")
    assert refused.value.code == "not_a_dock_port"
    assert not (tmp_path / "media").exists()


def test_what_is_remembered_is_the_same_in_the_next_process(dock: Dock, memory: Memory, tmp_path: Path) -> None:
    known = Known(4, Volume(dock.block("1", "sda1"), "exfat"))
    memory.keep("1", known)
    assert Memory(tmp_path / "state").of("1") == known
    assert memory.bays() == ["1"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"last": 1, "volume": {"fs": "vfat"}}', '{"last": "x", "volume": null}']
)
def test_a_damaged_memory_is_an_empty_one(memory: Memory, tmp_path: Path, text: str) -> None:
    memory.keep("1", Known(1))
    (tmp_path / "state/1.json").write_text(text)
    assert memory.of("1") == Known()


def test_an_ext4_volume_is_read_without_its_journal() -> None:
    assert "noload" in options_of("ext4").split(",")
