"""Which device, disk and port belongs to which bay."""

import pytest

from agent.devices.topology import Topology
from agent.helper.dock import Dock
from agent.helper.refusal import Refusal
from agent.helper.sysfs import Usb
from tests.helper.tree import CONTROLLER, HUB, Tree, port

NUMBER = "5"
"""What the tree's devices have as their devnum."""


def dock_of(tree: Tree, bays: dict[str, list[str]] | None = None) -> Dock:
    return Dock(Topology(bays or {"1": [port(1)], "2": [port(2)]}), Usb(tree.root, tree.paths.get))


def code_of(refused: pytest.ExceptionInfo[Refusal]) -> str:
    return refused.value.code


def test_every_root_hub_of_the_bays_controller_admits_nothing_unasked(tree: Tree) -> None:
    assert dock_of(tree).guard() == {"guarded": ["usb1", "usb2"], "open": []}
    assert tree.read("usb1/authorized_default") == tree.read("usb2/authorized_default") == "0"


def test_a_controller_without_bays_is_left_alone(tree: Tree) -> None:
    tree.paths["usb2"] = "pci-0000:00:1a.0"
    assert dock_of(tree).guard() == {"guarded": ["usb1"], "open": []}
    assert tree.read("usb2/authorized_default") == "1"


def test_a_root_hub_that_cannot_be_guarded_is_named(tree: Tree) -> None:
    tree.place("usb2/authorized_default").unlink()
    assert dock_of(tree).guard() == {"guarded": ["usb1"], "open": ["usb2"]}
    assert not tree.place("usb2/authorized_default").exists()


def test_a_camera_in_its_bay_is_let_in_and_shut_out(tree: Tree) -> None:
    tree.plug("1-1.1")
    dock_of(tree).authorise("1", "1-1.1", NUMBER, on=True)
    assert tree.read("1-1.1/authorized") == "1"
    dock_of(tree).authorise("1", "1-1.1", NUMBER, on=False)
    assert tree.read("1-1.1/authorized") == "0"


def test_a_camera_that_udev_has_not_seen_yet_is_known_by_its_port(tree: Tree) -> None:
    tree.plug("1-1.1")
    del tree.paths["1-1.1"]
    dock_of(tree).authorise("1", "1-1.1", NUMBER, on=True)
    assert tree.read("1-1.1/authorized") == "1"


def test_a_port_that_no_bay_names_is_served_under_its_own_name(tree: Tree) -> None:
    tree.plug("1-1.4")
    dock_of(tree).authorise("port-1-1.4", "1-1.4", NUMBER, on=True)
    assert tree.read("1-1.4/authorized") == "1"


@pytest.mark.parametrize(
    ("bay", "device", "code"),
    [
        ("2", "1-1.1", "not_a_dock_port"),  # in another bay
        ("9", "1-1.1", "not_a_dock_port"),
        ("port-1-1.1", "1-1.1", "not_a_dock_port"),  # the port has a bay
        ("port-1-1.4", "1-1.1", "not_a_dock_port"),
        ("1", "1-2", "not_a_dock_port"),  # the station's own keyboard
        ("port-1-2", "1-2", "not_a_dock_port"),
        ("1", "1-1", "not_a_dock_port"),  # the dock's hub
        ("port-1-1", "1-1", "not_a_dock_port"),
        ("1", "1-1.3", "no_such_device"),
    ],
)
def test_a_device_elsewhere_is_not_touched(tree: Tree, bay: str, device: str, code: str) -> None:
    tree.plug("1-1.1")
    tree.plug("1-2")
    with pytest.raises(Refusal) as refused:
        dock_of(tree).authorise(bay, device, NUMBER, on=True)
    assert code_of(refused) == code
    assert {tree.read(f"{name}/authorized") for name in ("1-1.1", "1-2", "1-1")} == {"0"}


@pytest.mark.parametrize("on", [True, False])
def test_a_device_that_came_into_the_port_after_the_one_that_is_meant_is_not_touched(tree: Tree, on: bool) -> None:
    tree.plug("1-1.1")
    (tree.place("1-1.1") / "devnum").write_text("6\n")
    (tree.place("1-1.1") / "authorized").write_text(f"{int(not on)}\n")
    with pytest.raises(Refusal, match="another device is in the port of bay 1 now") as refused:
        dock_of(tree).authorise("1", "1-1.1", NUMBER, on=on)
    assert code_of(refused) == "gone"
    assert tree.read("1-1.1/authorized") == str(int(not on))


def test_a_hub_on_the_way_to_a_bay_is_let_in(tree: Tree) -> None:
    dock_of(tree).authorise_hub("1-1")
    assert tree.read("1-1/authorized") == "1"


KEYBOARD = bytes.fromhex("090401000103010100")  # an interface, number 1


@pytest.mark.parametrize(
    "shown",
    [
        HUB.replace(bytes.fromhex("09000140"), bytes.fromhex("03000140")),  # what the device calls itself
        HUB[:20] + bytes([len(HUB) - 18 + len(KEYBOARD), 0, 2]) + HUB[23:] + KEYBOARD,
        HUB + HUB[18:],  # a second configuration
        HUB[:-1],
        b"",
    ],
)
def test_what_is_no_hub_or_more_than_one_is_not_let_in(tree: Tree, shown: bytes) -> None:
    tree.place("1-1/descriptors").write_bytes(shown)
    with pytest.raises(Refusal, match="no hub or more than a hub"):
        dock_of(tree).authorise_hub("1-1")
    assert tree.read("1-1/authorized") == "0"


def test_a_hub_that_has_left_is_not_asked(tree: Tree) -> None:
    tree.place("1-1/descriptors").unlink()
    with pytest.raises(Refusal) as refused:
        dock_of(tree).authorise_hub("1-1")
    assert code_of(refused) == "no_such_device"
    assert tree.read("1-1/authorized") == "0"


def test_a_hub_that_leads_to_no_bay_is_not_let_in(tree: Tree) -> None:
    tree.plug("1-2", device_class="09")
    tree.plug("1-1.1", device_class="09")  # in a bay, where a camera belongs
    for device in ("1-2", "1-1.1"):
        with pytest.raises(Refusal) as refused:
            dock_of(tree).authorise_hub(device)
        assert code_of(refused) == "not_a_dock_port"


def test_only_a_hub_on_the_way_to_bays_is_asked_what_it_can_do(tree: Tree) -> None:
    tree.plug("1-2", device_class="09")
    tree.plug("1-1.1", device_class="09")
    for device, code in (("1-2", "not_a_dock_port"), ("1-1.1", "not_a_dock_port"), ("1-9", "no_such_device")):
        with pytest.raises(Refusal) as refused:
            dock_of(tree).characteristics(device)
        assert code_of(refused) == code
    tree.place("1-1/bDeviceClass").write_text("00\n")
    with pytest.raises(Refusal, match="1-1 is no hub"):
        dock_of(tree).characteristics("1-1")


def test_a_hub_is_asked_at_its_own_device_node(tree: Tree) -> None:
    (tree.place("1-1") / "bDeviceProtocol").write_text("01\n")
    (tree.place("1-1") / "devnum").write_text("900\n")  # which this machine has not
    with pytest.raises(Refusal, match=r"the hub at /dev/bus/usb/001/900 does not say") as refused:
        dock_of(tree).characteristics("1-1")
    assert code_of(refused) == "failed"


def test_a_disk_belongs_to_the_bay_of_its_device(tree: Tree) -> None:
    tree.plug("1-1.1")
    tree.plug_disk("1-1.1", "sda", sequence=12)
    block = dock_of(tree).block("1", "sda1")
    assert (block.name, block.disk, block.number, block.sequence, block.device) == ("sda1", "sda", "8:1", 12, "1-1.1")
    assert dock_of(tree).block("1", "sda").disk == "sda"
    with pytest.raises(Refusal) as refused:
        dock_of(tree).block("2", "sda1")
    assert code_of(refused) == "not_a_dock_port"


def test_the_stations_own_disk_belongs_to_no_bay(tree: Tree) -> None:
    tree.plug("1-2")
    tree.plug_disk("1-2", "sdb", sequence=1)
    inside = tree.root / "devices/pci0000:00/0000:00:1f.2/ata1/block/sdc"
    inside.mkdir(parents=True)
    (inside / "dev").write_text("8:32\n")
    (inside / "diskseq").write_text("2\n")
    (tree.root / "class/block/sdc").symlink_to(inside)
    for name, code in (("sdb1", "not_a_dock_port"), ("sdc", "not_a_dock_port"), ("sdd", "no_such_device")):
        with pytest.raises(Refusal) as refused:
            dock_of(tree).block("1", name)
        assert code_of(refused) == code


def test_both_halves_of_a_port_belong_to_its_bay(tree: Tree) -> None:
    found = {each.place.name for each in dock_of(tree).ports("1")}
    assert found == {"1-1-port1", "2-1-port1"}


def test_a_port_is_there_without_a_device(tree: Tree) -> None:
    ports = dock_of(tree).ports("port-1-1.4")
    assert [(each.place.name, each.location, each.number) for each in ports] == [
        ("1-1-port4", "1-1", 4),
        ("2-1-port4", "2-1", 4),
    ]


def test_a_bay_on_the_controller_itself_has_that_port(tree: Tree) -> None:
    dock = dock_of(tree, {"1": [f"{CONTROLLER}-usb-0:2"]})
    assert {(each.place.name, each.location) for each in dock.ports("1")} == {("usb1-port2", "1"), ("usb2-port2", "2")}


@pytest.mark.parametrize("bay", ["9", "port-1-2", "port-1-1", "port-1-1.1", "port-9-9"])
def test_no_other_port_is_a_bays(tree: Tree, bay: str) -> None:
    with pytest.raises(Refusal) as refused:
        dock_of(tree).ports(bay)
    assert code_of(refused) == "not_a_dock_port"


def test_a_port_over_which_other_bays_are_reached_is_never_switched(tree: Tree) -> None:
    dock = dock_of(tree, {"hub": [f"{CONTROLLER}-usb-0:1"], "1": [port(1)]})
    with pytest.raises(Refusal, match="leads to other bays"):
        dock.ports("hub")


def test_half_a_port_that_is_another_bays_is_left_alone(tree: Tree) -> None:
    other = "pci-0000:00:1a.0"
    for name in ("usb2", "2-1"):
        tree.paths[name] = tree.paths[name].replace(CONTROLLER, other)
    dock = dock_of(tree, {"1": [port(1)], "2": [f"{other}-usb-0:1.1"]})
    assert [each.place.name for each in dock.ports("1")] == ["1-1-port1"]


def test_a_bay_is_known_by_the_configuration_or_by_its_port(tree: Tree) -> None:
    dock = dock_of(tree)
    for bay in ("1", "2", "port-1-1.4", "port-2-1.4"):
        dock.require(bay)
    for bay in ("3", "port-1-1.1", "port-1-2", "port-", "port-x"):
        with pytest.raises(Refusal):
            dock.require(bay)


def test_a_machine_without_usb_has_no_ports(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> None:
    usb = Usb(tmp_path_factory.mktemp("empty"), tree.paths.get)
    assert list(usb.ports()) == []
    assert usb.root_hubs() == {}
