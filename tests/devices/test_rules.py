"""Rules for other guards: what USBGuard's own parser makes of them, and what udev would do by them."""

import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from agent.core.enrolment import Enrolment, exact
from agent.core.profile import Access, Identity, IdentitySource, Match, Profile, Unlock, UsbId, UsbRules
from agent.devices.rules import udev_rules, usbguard_rules

EXAMPLE = Path(__file__).parents[2] / "config" / "usbguard" / "60-dock-agent.conf"
ROOT = "pci-0000:00:14.0-usb-0:"
OPEN, LOCKED = UsbId(0x1209, 0xBC01), UsbId(0x1209, 0xBC00)
BAYS = {"1": [f"{ROOT}1.1"], "2": [f"{ROOT}1.4.2", f"{ROOT}5.4.2"]}
BUSES = {"pci-0000:00:14.0-usb-0": [1, 2]}
PORTS = 'via-port one-of { "1-1.1" "1-1.4.2" "1-5.4.2" "2-1.1" "2-1.4.2" "2-5.4.2" }'

HUBS = 'via-port one-of { "1-1" "1-1.4" "1-5" "1-5.4" "2-1" "2-1.4" "2-5" "2-5.4" }'
DISK = "match-all { 08:06:50 ff:bc:01 }"


def camera(
    source: IdentitySource = IdentitySource.USB, unlock: Unlock | None = None, access: Access = Access.MASS_STORAGE
) -> Profile:
    rules = UsbRules(frozenset({"08:06:50", "ff:bc:01"}), unlock)
    return Profile("c", "m", "d", access, Match(usb=(OPEN,)), clips=(), identity=Identity(source), usb=rules)


def parsed(text: str, folder: Path) -> list[str]:
    """The rules as USBGuard writes them itself. Fails when it does not understand one."""
    file = folder / "rules.conf"
    file.write_text(text)
    ended = subprocess.run(  # noqa: S603 - our own file
        ["/usr/bin/usbguard-rule-parser", "-f", str(file)], capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 0, ended.stderr
    return [line.removeprefix("OUTPUT: ") for line in ended.stdout.splitlines() if line.startswith("OUTPUT: allow")]


def ids_and_serials(text: str) -> dict[str, str]:
    """What comes in, by id: the serials as they are written."""
    found = re.findall(r"^allow id (\S+)(?: serial one-of \{ (.*?) \})? with-interface", text, re.MULTILINE)
    return dict(found)


def test_enrolled_cameras_come_into_the_dock_and_nothing_else() -> None:
    text = usbguard_rules([camera()], BAYS, [exact("BWC2", OPEN), exact("BWC1")], BUSES)
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        f'allow id 1209:bc01 serial one-of {{ "BWC1" "BWC2" }} with-interface {DISK} {PORTS}',
        f"allow with-interface match-all {{ 09:00:00 09:00:01 09:00:02 }} {HUBS}",
        f"reject {PORTS}",
    ]


@pytest.mark.parametrize(
    ("profile", "enrolled", "ids"),
    [
        (camera(), ["BWC*"], {"1209:bc01": ""}),  # USBGuard knows no patterns
        (camera(), ["BWC1", "BWC*"], {"1209:bc01": ""}),
        (camera(), [], {}),
        (camera(), ["046d:c31c/BWC1"], {}),
        (camera(IdentitySource.LABEL), ["BWC1"], {"1209:bc01": ""}),  # its serial is not what USB shows
        (camera(access=Access.FOLDER), ["BWC1"], {}),
        (
            camera(unlock=Unlock(LOCKED, 0x40, 1, 0, 0, b"")),
            ["1209:bc01/BWC1"],
            {"1209:bc00": '"BWC1"', "1209:bc01": '"BWC1"'},
        ),
        (
            camera(unlock=Unlock(LOCKED, 0x40, 1, 0, 0, b"")),
            ["1209:bc00/BWC1"],
            {"1209:bc00": '"BWC1"'},
        ),
    ],
)
def test_serials_are_named_only_where_they_can_be(profile: Profile, enrolled: list[str], ids: dict[str, str]) -> None:
    text = usbguard_rules([profile], BAYS, map(Enrolment.parse, enrolled), BUSES)
    assert ids_and_serials(text) == ids


def test_cameras_that_nobody_enrolled_can_be_let_in() -> None:
    assert ids_and_serials(usbguard_rules([camera()], BAYS, [], BUSES, any_serial=True)) == {"1209:bc01": ""}


def test_a_station_without_usb_bays_has_no_rules() -> None:
    assert all(line.startswith("#") for line in usbguard_rules([camera()], {}, [], BUSES).splitlines())


def test_bays_of_another_machine_are_refused() -> None:
    with pytest.raises(LookupError, match=r"no USB controller pci-0000:00:14.0-usb-0 on this machine"):
        usbguard_rules([camera()], BAYS, [], {"pci-0000:00:03.0-usb-0": [1]})


@pytest.mark.parametrize(
    ("serial", "written"),
    [
        ("BWC1", '"BWC1"'),
        ('a" via-port "9-9', r'"a\" via-port \"9-9"'),
        ("a\\", '"a\\\\"'),
        ('\\"', r'"\\\""'),
        ("{ } $ # %s", '"{ } $ # %s"'),
        ("Zähler ab", r'"Z\xc3\xa4hler ab"'),
        ("2*", '"2*"'),
    ],
)
def test_usbguard_reads_back_every_serial_as_it_was(tmp_path: Path, serial: str, written: str) -> None:
    first, _hubs = parsed(usbguard_rules([camera()], BAYS, [exact(serial)], BUSES), tmp_path)
    assert f"serial one-of {{ {written} }}" in first or f"serial {written} " in first
    assert PORTS in first


def test_the_example_of_the_package_is_what_a_station_would_write_and_usbguard_understands_it(tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8")
    assert text == usbguard_rules([camera()], BAYS, [exact("BWC2", OPEN), exact("BWC1")], BUSES)
    assert len(parsed(text, tmp_path)) == 2


def test_usbguard_understands_every_form_of_rule(tmp_path: Path) -> None:
    profiles = [camera(unlock=Unlock(LOCKED, 0x40, 1, 0, 0, b""))]
    for entries in ([exact("A"), exact("B")], [Enrolment("*")]):
        assert len(parsed(usbguard_rules(profiles, BAYS, entries, BUSES), tmp_path)) == 3


# ---- udev ------------------------------------------------------------------------------------------------

DOCK = {"1": [f"{ROOT}1.1"], "2": [f"{ROOT}1.4.2"], "3": [f"{ROOT}7"]}
LINE = re.compile(r'(?P<key>[A-Z]+(?:\{\w+\})?)(?P<operator>==|!=|=)"(?P<value>[^"]*)"(?:, |$)')


def done_by_udev(text: str, device: dict[str, str]) -> dict[str, str]:
    """Follow the rules as udev does: what they set on this device."""
    done: dict[str, str] = {}
    goal = ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        parts = [(m["key"], m["operator"], m["value"]) for m in LINE.finditer(line)]
        assert "".join(f'{key}{operator}"{value}", ' for key, operator, value in parts) == f"{line}, "
        if goal:
            goal = "" if parts == [("LABEL", "=", goal)] else goal
            continue
        tests = [(key, operator, value) for key, operator, value in parts if operator != "="]
        if all(fnmatchcase(device.get(key, ""), value) is (operator == "==") for key, operator, value in tests):
            for key, operator, value in parts:
                if operator == "=" and key == "GOTO":
                    goal = value
                elif operator == "=" and not key.startswith(("LABEL", "IMPORT")):
                    done[key] = value
    assert not goal
    return done


def device(path: str, *, hub: bool = False, action: str = "add") -> dict[str, str]:
    return {
        "ACTION": action,
        "SUBSYSTEM": "usb",
        "ENV{DEVTYPE}": "usb_device",
        "ENV{ID_PATH}": path,
        "ATTR{bDeviceClass}": "09" if hub else "00",
    }


@pytest.mark.parametrize(
    ("seen", "let_in"),
    [
        (device(f"{ROOT}1", hub=True), True),  # the way to the bays
        (device(f"{ROOT}1.4", hub=True), True),
        (device(f"{ROOT}1"), False),  # not a hub where one belongs
        (device(f"{ROOT}1.4"), False),
        (device(f"{ROOT}1.1"), False),  # a bay is the agent's business
        (device(f"{ROOT}1.1", hub=True), False),
        (device(f"{ROOT}1.1.3"), False),  # below a hub in a bay
        (device(f"{ROOT}1.4.2"), False),
        (device(f"{ROOT}1.2"), False),  # a port of the dock that no bay names
        (device(f"{ROOT}7"), False),
        (device(f"{ROOT}7.1"), False),
        (device(f"{ROOT}2"), True),  # the station's keyboard
        (device(f"{ROOT}2.1"), True),
        (device(f"{ROOT}11"), True),
        (device(f"{ROOT}2", hub=True), True),
        (device("pci-0000:05:00.0-usb-0:1"), False),  # a controller that is not guarded lets it in by itself
        (device(f"{ROOT}2", action="change"), False),
        ({**device(f"{ROOT}2"), "ENV{DEVTYPE}": "usb_interface"}, False),
    ],
)
def test_everything_but_the_dock_is_let_in_by_udev(seen: dict[str, str], *, let_in: bool) -> None:
    assert done_by_udev(udev_rules(DOCK), seen) == ({"ATTR{authorized}": "1"} if let_in else {})


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (f"{ROOT}1.1:1.0-scsi-0:0:0:0", True),
        (f"{ROOT}1.4.2:1.0-scsi-0:0:0:0", True),
        (f"{ROOT}7:1.0-scsi-0:0:0:0", True),
        (f"{ROOT}2:1.0-scsi-0:0:0:0", False),
        (f"{ROOT}70:1.0-scsi-0:0:0:0", False),
        ("pci-0000:00:17.0-ata-1", False),
    ],
)
@pytest.mark.parametrize("action", ["add", "change"])
def test_no_desktop_mounts_what_is_in_the_dock(path: str, action: str, *, hidden: bool) -> None:
    disk = {"ACTION": action, "SUBSYSTEM": "block", "ENV{ID_PATH}": path, "ENV{DEVTYPE}": "partition"}
    assert done_by_udev(udev_rules(DOCK), disk) == ({"ENV{UDISKS_IGNORE}": "1"} if hidden else {})
