"""Switching a port."""

from pathlib import Path

import pytest

from agent.devices.topology import Topology
from agent.helper import power, program
from agent.helper.dock import Dock
from agent.helper.refusal import Refusal
from agent.helper.sysfs import Port, Usb
from tests.helper.tree import Tree, port

HALVES = ("1-1:1.0/1-1-port1/disable", "2-1:1.0/2-1-port1/disable")


@pytest.fixture
def ports(tree: Tree) -> tuple[Port, ...]:
    return Dock(Topology({"1": [port(1)]}), Usb(tree.root, tree.paths.get)).ports("1")


@pytest.fixture
def uhubctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that notes what it is asked; what it says and how it ends is in files beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program_file = folder / "uhubctl"
    program_file.write_text(
        f'#!/bin/sh\necho "$*" >>{folder}/asked\nread -r code text <{folder}/ends\necho "$text"\nexit "$code"\n'
    )
    program_file.chmod(0o755)
    (folder / "ends").write_text("0 done\n")
    monkeypatch.setattr(program, "_PATH", str(folder))
    return folder


def state(tree: Tree) -> list[str]:
    return [tree.read(half) for half in HALVES]


def spoil(tree: Tree, half: str) -> None:
    """A switch that takes no order."""
    tree.place(half).unlink()
    tree.place(half).mkdir()


def test_both_halves_are_switched(tree: Tree, ports: tuple[Port, ...]) -> None:
    assert power.switch(ports, "off") == "sysfs"
    assert state(tree) == ["1", "1"]
    assert power.switch(ports, "on") == "sysfs"
    assert state(tree) == ["0", "0"]


def test_a_cycle_leaves_the_port_off_for_a_while_and_then_on(tree: Tree, ports: tuple[Port, ...]) -> None:
    seen: list[object] = []
    assert power.switch(ports, "cycle", pause=lambda seconds: seen.extend([seconds, state(tree)])) == "sysfs"
    assert seen == [power.OFF_S, ["1", "1"]]
    assert state(tree) == ["0", "0"]


@pytest.mark.parametrize("broken", [0, 1])
def test_a_half_that_cannot_be_switched_off_leaves_no_half_off(
    tree: Tree, ports: tuple[Port, ...], broken: int
) -> None:
    spoil(tree, HALVES[broken])
    with pytest.raises(Refusal) as refused:
        power.switch(ports, "cycle", pause=lambda _: None)
    assert refused.value.code == "failed"
    assert tree.read(HALVES[1 - broken]) == "0"


def test_a_half_that_does_not_come_on_again_does_not_keep_the_other_off(tree: Tree, ports: tuple[Port, ...]) -> None:
    with pytest.raises(Refusal, match="1-1-port1 cannot be switched on"):
        power.switch(ports, "cycle", pause=lambda _: spoil(tree, HALVES[0]))
    assert tree.read(HALVES[1]) == "0"


def test_a_cycle_that_is_interrupted_leaves_the_port_on(tree: Tree, ports: tuple[Port, ...]) -> None:
    def pause(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        power.switch(ports, "cycle", pause=pause)
    assert state(tree) == ["0", "0"]


def test_a_hub_that_does_not_switch_one_half_on_is_asked_for_the_other_all_the_same(
    tree: Tree, ports: tuple[Port, ...], uhubctl: Path
) -> None:
    for half in HALVES:
        tree.place(half).unlink()

    def pause(_: float) -> None:
        (uhubctl / "asked").unlink()
        (uhubctl / "ends").write_text("2 the hub is on fire\n")

    with pytest.raises(Refusal, match="on fire"):
        power.switch(ports, "cycle", pause=pause)
    assert set((uhubctl / "asked").read_text().splitlines()) == {"-e -l 1-1 -p 1 -a on", "-e -l 2-1 -p 1 -a on"}


def test_no_other_port_is_touched(tree: Tree, ports: tuple[Port, ...]) -> None:
    power.switch(ports, "off")
    others = [each for each in tree.root.rglob("disable") if each.parent.name not in {"1-1-port1", "2-1-port1"}]
    assert len(others) == 10
    assert {each.read_text().strip() for each in others} == {"0"}


def test_where_the_kernel_has_no_switch_the_hub_is_asked(tree: Tree, ports: tuple[Port, ...], uhubctl: Path) -> None:
    for half in HALVES:
        tree.place(half).unlink()
    assert power.switch(ports, "off") == "uhubctl"
    assert (uhubctl / "asked").read_text().splitlines() == ["-e -l 1-1 -p 1 -a off", "-e -l 2-1 -p 1 -a off"]


def test_a_hub_that_cannot_switch_is_told_as_such(tree: Tree, ports: tuple[Port, ...], uhubctl: Path) -> None:
    tree.place(HALVES[1]).unlink()
    (uhubctl / "ends").write_text("1 No compatible devices detected!\n")
    with pytest.raises(Refusal) as refused:
        power.switch(ports, "off")
    assert refused.value.code == "no_switch"


def test_without_any_switch_it_is_told_as_such(tree: Tree, ports: tuple[Port, ...], uhubctl: Path) -> None:
    tree.place(HALVES[0]).unlink()
    (uhubctl / "uhubctl").unlink()
    with pytest.raises(Refusal, match="uhubctl is not installed") as refused:
        power.switch(ports, "off")
    assert refused.value.code == "no_switch"


def test_a_hub_that_fails_is_told_in_its_own_words(tree: Tree, ports: tuple[Port, ...], uhubctl: Path) -> None:
    tree.place(HALVES[0]).unlink()
    (uhubctl / "ends").write_text("2 the hub is on fire\n")
    with pytest.raises(Refusal, match="on fire") as refused:
        power.switch(ports, "off")
    assert refused.value.code == "failed"
