"""Learning bays from made-up events, in every order in which people do things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.learning import Learned, Learning, PortEvent, Taken, Unplaced, peer_path
from agent.devices.topology import Topology

ROOT = "pci-0000:00:14.0-usb-0:"


def add(device: str, *, hub: bool = False, peer: str | None = None, path: str | None = "") -> PortEvent:
    port = ROOT + device.partition("-")[2] if path == "" else path
    return PortEvent("add", device, port, is_hub=hub, peer=peer)


def remove(device: str) -> PortEvent:
    return PortEvent("remove", device)


def test_one_camera_is_carried_from_bay_to_bay() -> None:
    lesson = Learning(["1", "2"])
    asked = [lesson.wanted]
    assert lesson.feed(add("1-1.3")) == Learned("1", (f"{ROOT}1.3",))
    assert lesson.feed(remove("1-1.3")) is None
    asked.append(lesson.wanted)
    assert lesson.feed(add("1-1.4")) == Learned("2", (f"{ROOT}1.4",))
    assert [*asked, lesson.wanted] == ["1", "2", None]
    assert lesson.feed(add("1-1.5")) is None
    assert [each.bay for each in lesson.learned] == ["1", "2"]


def test_both_halves_of_a_port_are_one_bay() -> None:
    lesson = Learning(["1", "2", "3"])
    assert lesson.feed(add("2-5.3", peer=f"{ROOT}1.3")) == Learned("1", (f"{ROOT}1.3", f"{ROOT}5.3"))
    assert lesson.feed(add("1-1.3", peer=f"{ROOT}5.3")) == Taken("1")  # the same port at its lower speed
    assert lesson.feed(add("1-1.4", peer=f"{ROOT}1.4")) == Learned("2", (f"{ROOT}1.4",))
    assert lesson.feed(add("1-1.5", peer="no path")) == Learned("3", (f"{ROOT}1.5",))


def test_a_port_that_is_a_bay_already_is_told_and_asked_for_again() -> None:
    lesson = Learning(["2"], known={"1": [f"{ROOT}1.1"]})
    assert lesson.feed(add("1-1.1")) == Taken("1")
    assert lesson.wanted == "2"


def test_what_was_there_at_the_beginning_counts_only_when_it_comes_again() -> None:
    lesson = Learning(["1"], plugged=["1-1.3"])
    assert lesson.feed(add("1-1.3")) is None  # told once more, as after `udevadm trigger`
    lesson.feed(remove("1-1.3"))
    assert lesson.feed(add("1-1.3")) == Learned("1", (f"{ROOT}1.3",))


def test_hubs_and_changes_say_nothing() -> None:
    lesson = Learning(["1"])
    assert lesson.feed(add("1-1", hub=True)) is None
    assert lesson.feed(PortEvent("change", "1-1.3", f"{ROOT}1.3")) is None
    assert lesson.feed(PortEvent("bind", "1-1.3", f"{ROOT}1.3")) is None
    assert lesson.wanted == "1"


@pytest.mark.parametrize("path", [None, "platform-vhci", "pci-0000:00:14.0"])
def test_a_device_without_a_path_is_told(path: str | None) -> None:
    lesson = Learning(["1"])
    assert lesson.feed(add("1-1.3", path=path, peer=f"{ROOT}5.3")) == Unplaced("1-1.3")
    assert lesson.wanted == "1"


def test_a_known_path_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no USB port"):
        Learning(["1"], known={"2": ["1-1.3"]})


@pytest.mark.parametrize(
    ("path", "peer", "expected"),
    [
        (f"{ROOT}1.3", "2-5-port3", f"{ROOT}5.3"),
        (f"{ROOT}1.2.3", "2-5.2-port3", f"{ROOT}5.2.3"),
        (f"{ROOT}1", "usb2-port5", f"{ROOT}5"),
        (f"{ROOT}1", "eth0", None),
        (f"{ROOT}1", "2-5-port", None),
        ("nonsense", "2-5-port3", None),
    ],
)
def test_the_other_half_has_a_path_of_its_own(path: str, peer: str, expected: str | None) -> None:
    assert peer_path(path, peer) == expected


chains = st.lists(st.integers(1, 3), min_size=2, max_size=2).map(lambda ports: ".".join(map(str, ports)))
events = st.builds(
    lambda action, chain, hub, peer: PortEvent(
        action, f"1-{chain}", ROOT + chain, is_hub=hub, peer=peer and ROOT + peer
    ),
    st.sampled_from(["add", "remove", "change"]),
    chains,
    st.booleans(),
    st.none() | chains,
)


@given(st.lists(events, max_size=40))
def test_whatever_happens_no_port_becomes_two_bays(happened: list[PortEvent]) -> None:
    names = ["a", "b", "c", "d"]
    lesson = Learning(names)
    for event in happened:
        lesson.feed(event)
    assert [each.bay for each in lesson.learned] == names[: len(lesson.learned)]
    Topology({each.bay: each.paths for each in lesson.learned})  # refuses ports that two bays share
