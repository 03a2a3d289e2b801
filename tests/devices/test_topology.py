"""Ports and bays: every port of a dock is a bay, a hub on the way, or nothing of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.topology import PortPath, Topology, is_device_name

ROOT = "pci-0000:00:14.0-usb-0:"
OTHER = "pci-0000:05:00.0-usb-0:"
DEEP = "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1.1.1.1.1"
DOCK = Topology({"1": [f"{ROOT}1.1", f"{ROOT}5.1"], "2": [f"{ROOT}1.4.2"], "3": [f"{ROOT}7"]})


@pytest.mark.parametrize(
    ("text", "hub"),
    [
        (f"{ROOT}1", None),
        (f"{ROOT}1.3", f"{ROOT}1"),
        ("pci-0000:00:14.0-usbv3-0:1.3.10", "pci-0000:00:14.0-usbv3-0:1.3"),
        (f"{DEEP}.1", DEEP),
    ],
)
def test_a_path_is_read_and_written_alike(text: str, hub: str | None) -> None:
    port = PortPath.parse(text)
    assert str(port) == text
    assert (port.hub and str(port.hub)) == hub


@pytest.mark.parametrize(
    "text",
    [
        "", "1-1.3", "pci-0000:00:14.0", f"{ROOT}", f"{ROOT}1.", f"{ROOT}1.3:1.0", f"{ROOT}1..3", f"{ROOT}1\n",
        f"{ROOT}1.1.1.1.1.1.1.1", f"/{ROOT}1", f'"{ROOT}1', f"{'x' * 201}-usb-0:1",
    ],
)  # fmt: skip
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="looks like pci-"):
        PortPath.parse(text)


@pytest.mark.parametrize(
    ("path", "device", "bay"),
    [
        (f"{ROOT}1.1", "1-1.1", "1"),
        (f"{ROOT}5.1", "2-5.1", "1"),
        (f"{ROOT}1.4.2", "1-1.4.2", "2"),
        (f"{ROOT}7", "1-7", "3"),
        (f"{ROOT}1.2", "1-1.2", "port-1-1.2"),  # no bay names it, but it is the dock's
        (f"{ROOT}1.4.1", "1-1.4.1", "port-1-1.4.1"),
        (f"{ROOT}1.4", "1-1.4", None),  # a hub on the way
        (f"{ROOT}1", "1-1", None),
        (f"{ROOT}2", "1-2", None),  # beside a bay that is at the controller itself
        (f"{ROOT}1.1.3", "1-1.1.3", None),  # below a hub that somebody put into a bay
        (f"{OTHER}1.1", "3-1.1", None),
        (f"{ROOT}1.2", "../../etc", None),
        ("nonsense", "1-1.1", None),
    ],
)
def test_a_device_is_in_one_bay_or_in_none(path: str, device: str, bay: str | None) -> None:
    assert DOCK.bay_at(path, device) == bay


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        (f"{ROOT}1", True), (f"{ROOT}1.4", True), (f"{ROOT}5", True), (f"{ROOT}1.1", False), (f"{ROOT}7", False),
        (f"{OTHER}1", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_a_hub_on_the_way_is_told_from_what_is_in_a_bay(path: str, *, leads: bool) -> None:
    assert DOCK.leads_to_bays(path) is leads


def test_controllers_and_paths_are_those_of_the_bays() -> None:
    assert DOCK.controllers == {"pci-0000:00:14.0-usb-0"}
    assert {str(path) for path in DOCK.paths} == {f"{ROOT}{end}" for end in ("1.1", "5.1", "1.4.2", "7")}
    assert Topology({}).controllers == frozenset()


def test_two_bays_cannot_share_a_port() -> None:
    with pytest.raises(ValueError, match="bays 1 and 2 are both at"):
        Topology({"1": [f"{ROOT}1.1"], "2": [f"{ROOT}1.1"]})


@pytest.mark.parametrize(
    ("text", "is_name"),
    [("1-1", True), ("2-1.4.10", True), ("usb1", False), ("1-0:1.0", False), ("1-1.3:1.0", False), ("1-1\n", False)],
)
def test_a_devices_name_is_told_from_hubs_of_the_controller_and_interfaces(text: str, *, is_name: bool) -> None:
    assert is_device_name(text) is is_name


ports = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(lambda each: ROOT + ".".join(map(str, each)))


@given(st.dictionaries(st.sampled_from("abcd"), ports, min_size=1), ports)
def test_no_port_is_both_a_bay_and_the_way_to_one_unless_configured_so(bays: dict[str, str], path: str) -> None:
    try:
        dock = Topology({name: [where] for name, where in bays.items()})
    except ValueError:
        return
    bay = dock.bay_at(path, "1-1")
    assert bay is None or bay in bays or not dock.leads_to_bays(path)
    assert (bay in bays) is (path in bays.values())
