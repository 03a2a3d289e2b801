"""A question to the helper, checked before anything is done with it.

Rules: pure; a question has exactly the fields of its verb, each of the one form below, or it is refused whole. What
passes here is still only well-formed: whether a device belongs to a bay is asked of the kernel.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.devices.helper_wire import FILE_SYSTEMS, PACKET_BYTES, READER_KINDS, message_of
from agent.devices.topology import is_device_name
from agent.helper.refusal import Refusal

BAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""Safe as a file name and, unescaped, as the instance of a unit."""
_BLOCK = re.compile(r"sd[a-z]{1,4}(?:[1-9][0-9]{0,2})?", re.ASCII)
"""What a USB disk or a partition of one is called; nothing else is ever mounted."""
_NUMBER = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_MOST_ID = 1 << 53
_SHOWN = 60


def is_bay_name(text: str) -> bool:
    """Whether a bay may have this name."""
    return BAY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Request:
    """One question; fields that its verb does not have are empty."""

    id: int
    verb: str
    bay: str = ""
    device: str = ""
    number: str = ""
    block: str = ""
    fs: str = ""
    kind: str = ""
    to: str = ""
    on: bool = False

    def __str__(self) -> str:
        """For the log: the verb and what it is about."""
        shown = ("bay", "device", "number", "block", "fs", "kind", "to")
        parts = [self.verb, *(f"{name}={getattr(self, name)}" for name in shown if getattr(self, name))]
        return " ".join([*parts, f"on={int(self.on)}"] if self.verb == "authorise" else parts)


def _is_device(text: str) -> bool:
    return text.isascii() and is_device_name(text)


_FORMS: Mapping[str, Callable[[str], bool]] = {
    "bay": is_bay_name,
    "device": _is_device,
    "number": lambda text: _NUMBER.fullmatch(text) is not None,
    "block": lambda text: _BLOCK.fullmatch(text) is not None,
    "fs": FILE_SYSTEMS.__contains__,
    "kind": READER_KINDS.__contains__,
    "to": ("off", "on", "cycle").__contains__,
}

VERBS: Mapping[str, tuple[str, ...]] = {
    "guard": (),
    "authorise": ("bay", "device", "number", "on"),
    "authorise_hub": ("device",),
    "hub": ("device",),
    "mount": ("bay", "block", "fs"),
    "window": ("bay",),
    "renew": ("bay",),
    "unmount": ("bay",),
    "power": ("bay", "to"),
    "reader": ("bay", "kind"),
    "end_reader": ("bay",),
    "blank": (),
}
"""Every verb and the fields it takes; a reader of kind "usb" takes its device besides."""


def _refuse(text: str) -> Refusal:
    return Refusal("bad_request", text)


def id_of(packet: bytes) -> int | None:
    """The number of a question, whatever else is wrong with it; None when it has none to be answered under."""
    try:
        number = message_of(packet).get("id")
    except ValueError:
        return None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _MOST_ID else None


def request_of(packet: bytes, *, whole: bool = True) -> Request:
    """Read one question. Raises Refusal("bad_request") for whatever is not exactly one.

    `whole` is false of a packet that was longer than any may be.
    """
    if not whole:
        raise _refuse(f"a packet has at most {PACKET_BYTES} bytes")
    try:
        message = message_of(packet)
    except ValueError as error:
        raise _refuse("the packet is no JSON object") from error
    number = id_of(packet)
    if number is None:
        raise _refuse("the question has no number")
    verb = message.get("verb")
    if not isinstance(verb, str) or verb not in VERBS:
        raise _refuse(f"no such verb: {_shown(verb)}")
    fields = VERBS[verb]
    if verb == "reader" and message.get("kind") == "usb":
        fields = (*fields, "device")
    if set(message) != {"id", "verb", *fields}:
        raise _refuse(f"{verb} takes {', '.join(fields) or 'nothing'}; it was given other fields")
    texts: dict[str, str] = {}
    for name in fields:
        value = message[name]
        if name == "on":
            if not isinstance(value, bool):
                raise _refuse("on is true or false")
        elif isinstance(value, str) and _FORMS[name](value):
            texts[name] = value
        else:
            raise _refuse(f"no such {name}: {_shown(value)}")
    return Request(number, verb, on=message.get("on") is True, **texts)


def _shown(value: object) -> str:
    """A stranger's words, short and harmless in a log."""
    return ascii(value)[:_SHOWN]
