"""`dock-agent doctor hub` on a sysfs of files, with a helper that needs no privileges."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import hub_trial
from agent.cli.hub_ports import BayPort
from agent.cli.hub_trial import why_not
from agent.helper import sysfs
from tests.cli.command import Ended, Here
from tests.cli.conftest import Place, Service
from tests.fakes.desk import bay_view
from tests.fakes.helper import FakeHelper
from tests.helper.tree import Tree, port

HUBS = ("1-1", "2-1")
OFF_S = 1.0
"""How long the port of the tests stays off: long enough to be seen."""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path / "sys")
    for hub, speed in zip(HUBS, ("480", "5000"), strict=True):
        for name, text in {"idVendor": "0409", "idProduct": "55aa", "speed": speed, "maxchild": "4"}.items():
            (tree.place(hub) / name).write_text(f"{text}\n")
    real = sysfs.Usb
    monkeypatch.setattr(sysfs, "Usb", lambda _sys: real(tree.root, tree.paths.get))
    return tree


@pytest.fixture
def helper(place: Place) -> Iterator[FakeHelper]:
    folder = place.socket.parent / "helper"
    folder.mkdir()
    with FakeHelper(folder, ("1", "2")) as fake:
        fake.script.characteristics = dict.fromkeys(HUBS, 0b01001)
        with place.config.open("a") as file:
            for number in (1, 2):
                file.write(f'[[bays]]\nname = "{number}"\npaths = ["{port(number)}"]\n')
            file.write(f'[usb]\nhelper = "{fake.path}"\n')
        yield fake


class Switch:
    """What the hub does when it is told to cut a port's power: the kernel's word, and what is plugged in."""

    def __init__(self, tree: Tree, *, obeys: bool = True, device: str | None = None, returns: bool = True) -> None:
        self.tree, self.obeys, self.device, self.returns = tree, obeys, device, returns

    def __call__(self, bay: str, to: str) -> None:
        assert to == "cycle"
        self._say(bay, "1" if self.obeys else "0")
        if self.device is not None:
            (self.tree.root / "bus/usb/devices" / self.device).unlink()
            shutil.rmtree(self.tree.place(self.device))
        threading.Event().wait(OFF_S)
        self._say(bay, "0")
        if self.device is not None and self.returns:
            (self.tree.plug(self.device) / "devnum").write_text("6\n")

    def _say(self, bay: str, text: str) -> None:
        for hub in HUBS:
            said = self.tree.place(f"{hub}:1.0/{hub}-port{bay}/disable")
            new = said.with_name("disable.new")  # whoever looks meanwhile sees one of the two, as in the kernel's own
            new.write_text(f"{text}\n")
            new.replace(said)


def doctor(here: Here, place: Place, *words: str) -> Ended:
    return here("doctor", "hub", *words, "--config", str(place.config))


def test_each_bay_has_both_halves_of_its_port_and_each_hub_its_abilities(
    here: Here, place: Place, tree: Tree, helper: FakeHelper
) -> None:
    (tree.plug("1-1.2") / "speed").write_text("480\n")
    ended = doctor(here, place, "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["tried"]) == (0, None)
    assert [(hub["hub"], hub["usb"], hub["speed_mbit_s"], hub["ports"], hub["switching"]) for hub in told["hubs"]] == [
        ("1-1", "0409:55aa", "480", 4, "each"),
        ("2-1", "0409:55aa", "5000", 4, "each"),
    ]
    first, second = told["bays"]
    assert [(half["hub"], half["port"], half["power"], half["device"]) for half in first["ports"]] == [
        ("1-1", 1, True, None),
        ("2-1", 1, True, None),
    ]
    assert [(half["device"], half["speed_mbit_s"]) for half in second["ports"]] == [("1-1.2", "480"), (None, None)]
    assert set(helper.verbs()) == {"hub"}


@pytest.mark.parametrize(
    ("bits", "switching"), [(0b00000, "together"), (0b00001, "each"), (0b00010, "none"), (0b10111, "none")]
)
@pytest.mark.usefixtures("tree")
def test_what_a_hub_says_is_told_in_a_word(
    here: Here, place: Place, helper: FakeHelper, bits: int, switching: str
) -> None:
    helper.script.characteristics = dict.fromkeys(HUBS, bits)
    assert {hub["switching"] for hub in json.loads(doctor(here, place, "--json").out)["hubs"]} == {switching}


@pytest.mark.usefixtures("tree", "helper")
def test_people_get_sentences_and_a_table(here: Here, place: Place) -> None:
    ended = doctor(here, place)
    lines = ended.out.splitlines()
    assert lines[0] == "Hub 1-1 (0409:55aa), 480 Mbit/s, 4 ports; says that it switches each port by itself"
    assert [line.split() for line in lines if line.startswith("2 ")] == [
        ["2", "1-1", "port", "2", "on", "empty", "-"],
        ["2", "2-1", "port", "2", "on", "empty", "-"],
    ]


@pytest.mark.usefixtures("tree")
def test_hubs_are_shown_also_where_nobody_can_ask_them(here: Here, place: Place, helper: FakeHelper) -> None:
    helper.stop()
    ended = doctor(here, place, "--json")
    (why,) = {(hub["switching"], "cannot be asked" in hub["why"]) for hub in json.loads(ended.out)["hubs"]}
    assert (ended.code, why) == (0, (None, True))


@pytest.mark.usefixtures("helper")
def test_a_bay_whose_hub_is_not_there_is_told(here: Here, place: Place, tree: Tree) -> None:
    for hub in HUBS:
        (tree.root / "bus/usb/devices" / f"{hub}:1.0").unlink()
    ended = doctor(here, place)
    assert ended.code == 1
    assert ended.out.count("not there: is its hub plugged in?") == 2


def test_the_power_of_an_empty_bay_is_cut_and_given_back(
    here: Here, place: Place, tree: Tree, helper: FakeHelper
) -> None:
    helper.script.powered = Switch(tree)
    ended = doctor(here, place, "--try", "1", "--json")
    tried = json.loads(ended.out)["tried"]
    assert (ended.code, tried) == (
        0,
        {"bay": "1", "by": "sysfs", "off": True, "on": True, "left": None, "returned": None, "works": True},
    )
    assert [(each.bay, each.to) for each in helper.asked if each.verb == "power"] == [("1", "cycle")]


def test_a_hub_that_only_says_that_it_switches_is_found_out(
    here: Here, place: Place, tree: Tree, helper: FakeHelper
) -> None:
    helper.script.powered = Switch(tree, obeys=False)
    ended = doctor(here, place, "--try", "1")
    assert ended.code == 1
    assert "NO   the hub said that the power was off" in ended.out


def test_a_bay_without_a_switch_stays_as_it_is(here: Here, place: Place, tree: Tree, helper: FakeHelper) -> None:
    assert tree.root.exists()
    helper.refuse("power", "no_switch", "the hub 1-1 cannot switch single ports")
    ended = doctor(here, place, "--try", "1")
    assert (ended.code, "cannot switch single ports" in ended.err) == (1, True)


def test_what_is_plugged_in_is_left_alone_when_no_service_knows_it(
    here: Here, place: Place, tree: Tree, helper: FakeHelper
) -> None:
    tree.plug("1-1.1")
    ended = doctor(here, place, "--try", "1", "--camera", "X60A0001")
    assert (ended.code, "stays on" in ended.err) == (1, True)
    assert "power" not in helper.verbs()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_trial, "BACK_S", 0.5)


@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.usefixtures("soon")
def test_a_camera_that_was_named_leaves_and_comes_back(
    here: Here,
    place: Place,
    tree: Tree,
    helper: FakeHelper,
    service: Service,
    returns: bool,
) -> None:
    tree.plug("1-1.2")
    service.desk.bay_views = [bay_view("2", "take")]
    helper.script.powered = Switch(tree, device="1-1.2", returns=returns)
    ended = doctor(here, place, "--try", "2", "--camera", "X60A0002", "--json")
    tried = json.loads(ended.out)["tried"]
    assert (tried["left"], tried["returned"], tried["works"]) == (True, returns, returns)
    assert ended.code == (0 if returns else 1)


@pytest.mark.usefixtures("service")
def test_a_camera_that_is_being_read_keeps_its_power(here: Here, place: Place, tree: Tree, helper: FakeHelper) -> None:
    tree.plug("1-1.2")
    ended = doctor(here, place, "--try", "2", "--camera", "X60A0002")
    assert (ended.code, "Its camera is busy: copying, 4 clips left." in ended.err) == (1, True)
    assert "power" not in helper.verbs()


EMPTY = (BayPort("1-1", 2, port(2), True, None, None, None),)
TAKEN = (BayPort("1-1", 2, port(2), True, "1-1.2", "5", "480"),)
CALM = bay_view("2", "take, footage still aboard")


@pytest.mark.parametrize(
    ("ports", "view", "camera"),
    [
        (TAKEN, None, "X60A0002"),
        (TAKEN, {"bay": "2", "occupied": False}, "X60A0002"),
        (TAKEN, CALM, None),
        (TAKEN, CALM, "X60A0001"),
        (TAKEN, {**CALM, "camera": None}, None),
        (TAKEN, {**CALM, "seized": "a reason"}, "X60A0002"),
        (TAKEN, {**CALM, "advice": "wait"}, "X60A0002"),
        (TAKEN, {**CALM, "advice": "do not remove"}, "X60A0002"),
        (EMPTY, CALM, None),  # a camera that the kernel has just lost
    ],
)
def test_no_camera_loses_its_power_unless_it_was_named_and_nothing_goes_on(
    ports: tuple[BayPort, ...], view: dict[str, object] | None, camera: str | None
) -> None:
    assert why_not(ports, view, camera)


@pytest.mark.parametrize(
    ("ports", "view", "camera"),
    [(EMPTY, None, None), (EMPTY, {"bay": "2", "occupied": False}, None), (TAKEN, CALM, "X60A0002")],
)
def test_an_empty_bay_and_a_camera_that_was_named_may_be_tried(
    ports: tuple[BayPort, ...], view: dict[str, object] | None, camera: str | None
) -> None:
    assert why_not(ports, view, camera) is None


@pytest.mark.parametrize("words", [("--try", "9"), ("--camera", "X60A0001")])
@pytest.mark.usefixtures("tree", "helper")
def test_a_bay_that_is_none_and_a_camera_without_a_bay_are_mistakes(
    here: Here, place: Place, words: tuple[str, ...]
) -> None:
    assert doctor(here, place, *words).code == 2


def test_a_station_without_usb_bays_is_told_to_learn_them(here: Here, place: Place) -> None:
    ended = doctor(here, place)
    assert (ended.code, "bays learn" in ended.err) == (1, True)
