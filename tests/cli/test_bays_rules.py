import pytest

from agent.devices import port_events
from tests.cli.command import Here
from tests.cli.conftest import Place

ROOT = "pci-0000:00:14.0-usb-0"
PROFILE = """
[profile]
name = "bc"
maker = "m"
description = "d"
access = "mass_storage"
[[match.usb]]
vendor = "1209"
product = "bc01"
[clips]
globs = ["**/*.mp4"]
[identity]
source = "usb"
"""


class Controllers:
    """A machine with one USB controller, or another one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def buses(self) -> dict[str, list[int]]:
        return {self.name: [3, 4]}


@pytest.fixture
def dock(place: Place) -> Place:
    folder = place.config.parent / "profiles"
    folder.mkdir()
    (folder / "bc.toml").write_text(PROFILE)
    with place.config.open("a") as file:
        file.write(f'[[bays]]\nname = "1"\npaths = ["{ROOT}:1.1"]\n')
        file.write('[cameras]\nenrolled = ["BWC1"]\n[profiles]\ndirectory = "profiles"\n')
    return place


def test_usbguards_rules_name_cameras_and_ports(here: Here, dock: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_events, "PortEvents", lambda: Controllers(ROOT))
    ended = here("bays", "rules", "usbguard", "--config", str(dock.config))
    assert (ended.code, ended.err) == (0, "")
    assert (
        'allow id 1209:bc01 serial one-of { "BWC1" } with-interface match-all { 08:06:50 08:06:62 }'
        ' via-port one-of { "3-1.1" "4-1.1" }'
    ) in ended.out.splitlines()
    anyone = here("bays", "rules", "usbguard", "--any-serial", "--config", str(dock.config)).out
    assert "serial one-of" not in anyone


def test_bays_of_another_machine_are_told(here: Here, dock: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_events, "PortEvents", lambda: Controllers("pci-0000:09:00.0-usb-0"))
    ended = here("bays", "rules", "usbguard", "--config", str(dock.config))
    assert (ended.code, ended.out) == (1, "")
    assert f"there is no USB controller {ROOT} on this machine. Run this on the station itself." in ended.err


def test_a_profile_with_a_mistake_makes_no_rules(here: Here, dock: Place) -> None:
    (dock.config.parent / "profiles" / "bad.toml").write_text("[profile]\n")
    ended = here("bays", "rules", "usbguard", "--config", str(dock.config))
    assert (ended.code, ended.out) == (78, "")


def test_udevs_rules_need_no_ports_of_this_machine(here: Here, dock: Place) -> None:
    ended = here("bays", "rules", "udev", "--config", str(dock.config))
    assert (ended.code, ended.err) == (0, "")
    assert f'ENV{{ID_PATH}}=="{ROOT}:1", ATTR{{bDeviceClass}}=="09", ATTR{{authorized}}="1"' in ended.out.splitlines()


def test_a_station_without_usb_bays_is_told_how_to_get_some(here: Here, place: Place) -> None:
    ended = here("bays", "rules", "udev", "--config", str(place.config))
    assert (ended.code, ended.out) == (1, "")
    assert "dock-agent bays learn" in ended.err


@pytest.mark.parametrize("words", [[], ["iptables"]])
def test_only_known_guards_have_rules(here: Here, words: list[str]) -> None:
    assert here("bays", "rules", *words).code == 2
