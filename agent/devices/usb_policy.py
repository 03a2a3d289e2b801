"""May this USB device be let in, and how is it read? Asked before any driver sees it.

Rules: pure and total; what no profile names stays out, and so does a device that brings one interface more than the
profile allows, whatever else it is (a "camera" that is also a keyboard types commands). Every refusal has a stable
reason that operators see. A serial is the device's own claim and never opens the gate. Source: invariant I10.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.core.profile import Access, Profile, Unlock, UsbId
from agent.devices.usb_descriptor import HUB_CLASS

SERIAL_MAX_CHARS = 126
"""A USB string holds no more."""

STORAGE: dict[str, frozenset[str]] = {
    Access.MASS_STORAGE: frozenset({"08:06:50", "08:06:62"}),  # one block after the other, or several at a time (UAS)
    Access.MTP: frozenset({"06:01:01", "ff:ff:00"}),  # the still image class, or what Android calls MTP
}
"""The interfaces through which files are reached; a device must show at least one. A folder is no USB device."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a device shows before it is let in; `interfaces` as of `usb_descriptor`, None when they are unreadable."""

    usb: UsbId
    interfaces: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Admit:
    """The device may come in; one of `profiles` describes it. With `unlock` it shows its files only after that."""

    access: Access
    profiles: tuple[Profile, ...]
    unlock: Unlock | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """The device stays out. `reason` is a key of REASONS, `extra` the interfaces that nobody allowed it."""

    reason: str
    extra: tuple[str, ...] = ()

    def told(self) -> str:
        """The reason in a sentence for people."""
        words = list(dict.fromkeys(_in_words(interface) for interface in self.extra))
        return REASONS[self.reason].replace("{extra}", ", ".join(words))


REASONS: dict[str, str] = {
    "bad_descriptor": "what this device says about itself cannot be read: it is never let in",
    "is_hub": "this is a hub, or calls itself one; a bay takes one camera",
    "unknown_device": "no profile names this device: it is never mounted; add a profile with its USB id if it is yours",
    "extra_interfaces": (
        "it also brings {extra}, which its profile does not allow: keep it apart, it may be no camera at all"
    ),
    "no_storage": "it shows no storage; it may be charging only, or waiting for somebody to choose a USB mode on it",
    "conflicting_access": "several profiles name this device and disagree about how it is read: correct the profiles",
}


def admit(seen: Seen, profiles: Iterable[Profile]) -> Admit | Refuse:
    """Decide about one device. Total; never admits an interface that the chosen profiles do not allow."""
    if seen.interfaces is None:
        return Refuse("bad_descriptor")
    if any(interface.startswith(f"{HUB_CLASS}:") for interface in seen.interfaces):
        return Refuse("is_hub")
    named = [profile for profile in profiles if profile.access in STORAGE and _names(profile, seen.usb)]
    if not named:
        return Refuse("unknown_device")
    allowed = [profile for profile in named if seen.interfaces <= profile.usb.interfaces]
    if not allowed:
        # The most generous profile's word: what is left is what nobody allows.
        return Refuse("extra_interfaces", min(_extras(seen.interfaces, named), key=len))
    ways = {_way(profile, seen.usb, seen.interfaces): profile for profile in allowed} if seen.interfaces else {}
    ways.pop(None, None)
    if not ways:
        return Refuse("no_storage")
    if len(ways) > 1:
        return Refuse("conflicting_access")
    ((access, unlock),) = (way for way in ways if way is not None)
    fitting = tuple(p for p in allowed if _way(p, seen.usb, seen.interfaces) == (access, unlock))
    return Admit(access, fitting, unlock)


def clean_serial(text: str | None) -> str | None:
    """The serial, if it can be one: printable, not empty, no longer than USB allows. Spaces around it do not count."""
    bare = (text or "").strip(" ")
    return bare if bare and len(bare) <= SERIAL_MAX_CHARS and bare.isprintable() else None


def _names(profile: Profile, usb: UsbId) -> bool:
    unlock = profile.usb.unlock
    return usb in profile.match.usb or (unlock is not None and usb == unlock.usb)


def _extras(interfaces: frozenset[str], profiles: Iterable[Profile]) -> list[tuple[str, ...]]:
    return [tuple(sorted(interfaces - profile.usb.interfaces)) for profile in profiles]


def _way(profile: Profile, usb: UsbId, interfaces: frozenset[str]) -> tuple[Access, Unlock | None] | None:
    """How this profile would have the device read; None when the device shows no way.

    Under an id that only the locked camera has, it is locked whatever it shows (some show a disk with their manual).
    """
    unlock = profile.usb.unlock
    open_by_id = usb in profile.match.usb
    if open_by_id and interfaces & STORAGE[profile.access]:
        return profile.access, None
    return (profile.access, unlock) if unlock is not None and usb == unlock.usb else None


def _in_words(interface: str) -> str:
    known = _KINDS.get(interface) or _KINDS.get(interface[:5]) or _KINDS.get(interface[:2])
    return f"{known} ({interface})" if known else f"something unknown ({interface})"


_KINDS: dict[str, str] = {
    "01": "a microphone or loudspeaker",
    "02": "a modem or network adapter",
    "03": "a keyboard, mouse or other input device",
    "03:01:01": "a keyboard",
    "03:01:02": "a mouse",
    "06": "a still image camera",
    "07": "a printer",
    "08": "a disk",
    "0a": "a data channel of a modem or network adapter",
    "0b": "a smart card reader",
    "0e": "a video camera",
    "dc": "a diagnostic port",
    "e0": "a wireless or network adapter",
    "ef": "a combined device",
    "fe:01": "a port for new firmware",
    "fe": "a special purpose device",
    "ff": "something of its maker's own",
}
