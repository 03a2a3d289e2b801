"""Rules for other guards of the station's USB ports, made from profiles, bays and enrolled cameras.

Rules: pure. The agent's own policy (`usb_policy`) decides all the same; these only make sure that nothing else on the
station lets in, or keeps out, what hangs in the dock.
"""

from collections.abc import Iterable, Mapping

from agent.core.enrolment import Enrolment
from agent.core.profile import IdentitySource, Profile, UsbId
from agent.devices.topology import PortPath, Topology
from agent.devices.usb_policy import STORAGE

_HUBS = "09:00:00 09:00:01 09:00:02"  # of full speed, of high speed with one translator or several, of super speed

_USBGUARD_HEAD = """\
# Only enrolled cameras, and the hubs on the way to them, in the ports of the dock. USBGuard knows ports by the kernel's
# names, whose first number may change when USB controllers are added or removed: make these anew then, and whenever
# bays, profiles or enrolled cameras change. Everything that is not in the dock needs rules of its own.
"""

_UDEV_HEAD = """\
# For a station whose dock shares its USB controllers with other things. The dock's controllers let nothing in unasked;
# that is the privileged helper's business, as is everything in the dock's own ports. Everything else on these
# controllers is let in here, and no desktop ever mounts what is in the dock. Make these anew when bays change.
"""


def usbguard_rules(
    profiles: Iterable[Profile],
    bays: Mapping[str, Iterable[str]],
    enrolled: Iterable[Enrolment],
    buses: Mapping[str, Iterable[int]],
    *,
    any_serial: bool = False,
) -> str:
    """Write rules for USBGuard.

    `buses`: the kernel's bus numbers of each controller. `any_serial`: also cameras that nobody has enrolled, which
    the agent copies and never clears. Raises LookupError for a controller without buses, ValueError for a bad path.
    """
    topology, entries = Topology(bays), list(enrolled)
    ports = _names(topology.paths, buses)
    if not ports:
        return f"{_USBGUARD_HEAD}# No bay is at a USB port.\n"
    lines = []
    for profile in sorted(profiles, key=lambda p: p.name):
        for usb in _ids(profile):
            serials = [] if any_serial else _serials(profile, usb, entries)
            if serials is not None:
                lines.append(_usbguard_camera(profile, usb, serials, ports))
    hubs = _names(_hubs(topology), buses)
    if hubs:
        lines.append(f"allow with-interface match-all {{ {_HUBS} }} via-port one-of {_set(hubs)}")
    lines.append(f"reject via-port one-of {_set(ports)}")
    return _USBGUARD_HEAD + "\n".join(dict.fromkeys(lines)) + "\n"


def udev_rules(bays: Mapping[str, Iterable[str]]) -> str:
    """Write rules for udev. Raises ValueError for a bad path."""
    topology = Topology(bays)
    hubs = sorted({path.hub for path in topology.paths} - {None}, key=str)
    lone = sorted((path for path in topology.paths if path.hub is None), key=str)
    dock = [f"{hub}.*" for hub in sorted(_hubs(topology), key=str)] + [
        pattern for path in lone for pattern in (str(path), f"{path}.*")
    ]
    disks = [f"{hub}.*" for hub in hubs] + [pattern for path in lone for pattern in (f"{path}:*", f"{path}.*")]
    end = 'GOTO="dock_agent_end"'
    lines = [
        f'ACTION=="remove", {end}',
        *(f'SUBSYSTEM=="block", ENV{{ID_PATH}}=="{pattern}", ENV{{UDISKS_IGNORE}}="1"' for pattern in disks),
        f'ACTION!="add", {end}',
        f'SUBSYSTEM!="usb", {end}',
        *(
            f'KERNEL=="usb[0-9]*", ENV{{ID_PATH}}=="{each.rpartition("-usb")[0]}", ATTR{{authorized_default}}="0"'
            for each in sorted(topology.controllers)
        ),
        f'ENV{{DEVTYPE}}!="usb_device", {end}',
        'ENV{ID_PATH}=="", IMPORT{builtin}="path_id"',
        "",
        "# Hubs on the way to bays, and nothing else in their places.",
    ]
    for hub in sorted(_hubs(topology), key=str):
        lines.append(f'ENV{{ID_PATH}}=="{hub}", ATTR{{bDeviceClass}}=="09", ATTR{{authorized}}="1"')
        lines.append(f'ENV{{ID_PATH}}=="{hub}", {end}')
    lines += ["", "# The dock's own ports, and whatever somebody hangs below them.", *_skips(dock, end)]
    lines += ["", "# Everything else on the same controllers."]
    lines += [f'ENV{{ID_PATH}}=="{each}:*", ATTR{{authorized}}="1"' for each in sorted(topology.controllers)]
    return _UDEV_HEAD + "\n".join([*lines, "", 'LABEL="dock_agent_end"']) + "\n"


def _skips(patterns: Iterable[str], end: str) -> list[str]:
    return [f'ENV{{ID_PATH}}=="{pattern}", {end}' for pattern in patterns]


def _hubs(topology: Topology) -> set[PortPath]:
    """The ports in which there are hubs on the way to bays."""
    found: set[PortPath] = set()
    for path in topology.paths:
        hub = path.hub
        while hub is not None:
            found.add(hub)
            hub = hub.hub
    return found


def _names(paths: Iterable[PortPath], buses: Mapping[str, Iterable[int]]) -> list[str]:
    """The kernel's names of these ports: one on each bus of their controller, as a path does not say which."""
    found = set()
    for path in paths:
        if not (numbers := list(buses.get(path.controller, ()))):
            raise LookupError(f"there is no USB controller {path.controller} on this machine")
        found |= {(number, path.ports) for number in numbers}
    return [f"{number}-{'.'.join(map(str, ports))}" for number, ports in sorted(found)]


def _ids(profile: Profile) -> list[UsbId]:
    if profile.access not in STORAGE:
        return []
    unlock = [profile.usb.unlock.usb] if profile.usb.unlock is not None else []
    return sorted({*profile.match.usb, *unlock}, key=lambda usb: (usb.vendor, usb.product))


def _serials(profile: Profile, usb: UsbId, entries: Iterable[Enrolment]) -> list[str] | None:
    """The serials that may come in under this id; none for any, None when nobody has enrolled one.

    USBGuard knows no patterns, and what a camera is enrolled under need not be what it shows to USB.
    """
    meant = [entry for entry in entries if entry.usb is None or entry.usb in _ids(profile)]
    if profile.identity.source is not IdentitySource.USB:
        return []
    if not meant:
        return None
    serials = [entry.serial for entry in meant if entry.usb in (None, usb) or _is_unlock(profile, usb)]
    if None in serials:
        return []
    return sorted({serial for serial in serials if serial is not None}) or None


def _is_unlock(profile: Profile, usb: UsbId) -> bool:
    """Whether a camera shows this id only until it is opened: it is enrolled under the one that it has then."""
    return profile.usb.unlock is not None and usb == profile.usb.unlock.usb


def _usbguard_camera(profile: Profile, usb: UsbId, serials: list[str], ports: list[str]) -> str:
    of_serial = f" serial one-of {_set(serials)}" if serials else ""
    interfaces = " ".join(sorted(profile.usb.interfaces))
    return (
        f"allow id {usb.vendor:04x}:{usb.product:04x}{of_serial}"
        f" with-interface match-all {{ {interfaces} }} via-port one-of {_set(ports)}"
    )


def _set(texts: Iterable[str]) -> str:
    return "{ " + " ".join(map(_quoted, texts)) + " }"


def _quoted(text: str) -> str:
    """A string of the rule language: quote, backslash and all that is not plain ASCII as bytes in hexadecimal."""
    plain = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in '"\\' else f"\\x{byte:02x}"  # noqa: PLR2004 - ASCII
        for byte in text.encode("utf-8", "surrogatepass")
    )
    return f'"{plain}"'
