"""What the units of systemd must never say. How well they hold is seen in the lab and with the package."""

from pathlib import Path

import pytest

from agent.devices.helper_wire import MEDIA, READER_KINDS, READERS, SOCKET
from agent.helper.readers import units_of

UNITS = Path(__file__).resolve().parents[2] / "config/systemd"
READER_UNITS = sorted(UNITS.glob("dock-reader*@.service"))

OWN_NAMESPACE = {
    "BindPaths", "BindReadOnlyPaths", "InaccessiblePaths", "MountFlags", "PrivateDevices", "PrivateMounts",
    "PrivateTmp", "PrivateUsers", "ProtectControlGroups", "ProtectHome", "ProtectKernelLogs",
    "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadOnlyPaths",
    "ReadWritePaths", "RootDirectory", "TemporaryFileSystem",
}  # fmt: skip


def settings(unit: Path) -> list[tuple[str, str]]:
    lines = unit.read_text("utf-8").splitlines()
    return [(key, value) for key, found, value in (line.partition("=") for line in lines) if found and key[0] != "#"]


def values(unit: Path, key: str) -> list[str]:
    return [value for name, value in settings(unit) if name == key]


def test_nothing_keeps_the_helpers_mounts_from_the_machine() -> None:
    assert not OWN_NAMESPACE & {key for key, _ in settings(UNITS / "dock-helper.service")}


def test_the_helper_has_two_capabilities() -> None:
    assert values(UNITS / "dock-helper.service", "CapabilityBoundingSet") == ["CAP_SYS_ADMIN CAP_CHOWN"]


def test_the_kernel_knows_the_kinds_of_devices_that_the_helper_may_use_before_it_starts() -> None:
    unit = UNITS / "dock-helper.service"
    assert {each.split()[0] for each in values(unit, "DeviceAllow")} == {"block-sd", "block-blkext", "char-usb_device"}
    loaded = {"modprobe@sd_mod.service", "modprobe@usbcore.service"}  # the kernel has block-blkext by itself
    for key in ("Wants", "After"):
        assert loaded <= set(" ".join(values(unit, key)).split())


def test_the_helpers_socket_is_where_the_agent_looks_for_it() -> None:
    socket = UNITS / "dock-helper.socket"
    assert values(socket, "ListenSequentialPacket") == [SOCKET]
    assert values(socket, "SocketMode") == ["0660"]
    assert values(socket, "SocketGroup") == ["dock-agent"]


def test_there_is_a_unit_for_each_kind_of_reader() -> None:
    assert {unit.name for unit in READER_UNITS} == {name.replace("@1.", "@.") for name in units_of("1")}
    assert len(READER_UNITS) == len(READER_KINDS)


@pytest.mark.parametrize("unit", READER_UNITS, ids=lambda unit: unit.stem)
def test_a_reader_has_no_network_and_sees_its_own_bay_alone(unit: Path) -> None:
    assert values(unit, "PrivateNetwork") == ["yes"]
    assert values(unit, "NoNewPrivileges") == ["yes"]
    assert values(unit, "User") == ["dock-reader"]
    assert values(unit, "DevicePolicy") == ["closed"]
    assert values(unit, "RootDirectory") == ["/run/dock-reader"]
    assert values(unit, "KillSignal") == ["SIGKILL"]  # a stop is all that the helper asks for
    shown = " ".join(values(unit, "BindPaths") + values(unit, "BindReadOnlyPaths")).split()
    assert f"{READERS}/%i.sock" in shown
    assert [each for each in shown if each.startswith(MEDIA)] in ([f"{MEDIA}/%i"], [])
    assert not {"/", "/run", "/etc", "/var", "/dev", "/home", READERS, MEDIA} & set(shown)


@pytest.mark.parametrize("unit", READER_UNITS, ids=lambda unit: unit.stem)
def test_no_reader_but_that_of_foreign_users_files_has_a_capability(unit: Path) -> None:
    allowed = "CAP_DAC_OVERRIDE CAP_FOWNER" if "ext4" in unit.name else ""
    assert values(unit, "CapabilityBoundingSet") == [allowed]
    assert values(unit, "AmbientCapabilities") == [allowed]


def test_the_agent_has_no_capability_and_never_sees_a_camera() -> None:
    unit = UNITS / "dock-agent.service"
    assert values(unit, "CapabilityBoundingSet") == [""]
    assert values(unit, "InaccessiblePaths") == [f"-{MEDIA}"]
    assert values(unit, "RuntimeDirectory") == []  # it would take the helper's socket with it
