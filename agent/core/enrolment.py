"""Which cameras the operator vouches for: serials or patterns, on their own or only under one USB id.

Rules: pure. `BWC*` vouches for every camera that calls itself so; `1209:bc01/BWC*` only for one that the kernel saw
under this USB id. `*`, `?` and `[...]` in an entry mean a pattern; `exact` writes a serial so that it means itself,
because a device may call itself `*`.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from agent.core.profile import UsbId

ENTRY_MAX_CHARS = 400
"""A serial of 126 characters, each of them quoted, with a USB id before it."""
_WITH_ID = re.compile(r"(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})/(?P<pattern>.+)")
_USB = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})")
_MARKS = re.compile(r"[*?[]")
_QUOTED = re.compile(r"\[([^]!])\]")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One entry. `usb` None: under any id, and for cameras that were never seen on a USB port."""

    pattern: str
    usb: UsbId | None = None

    @classmethod
    def parse(cls, text: str) -> "Enrolment":
        """Read an entry of `[cameras] enrolled`. Raises ValueError."""
        if not text.strip() or len(text) > ENTRY_MAX_CHARS or not text.isprintable():
            raise ValueError(f"an entry is 1 to {ENTRY_MAX_CHARS} printable characters")
        found = _WITH_ID.fullmatch(text)
        if found is None:
            return cls(text)
        return cls(found["pattern"], UsbId(int(found["vendor"], 16), int(found["product"], 16)))

    def vouches_for(self, serial: str, usb: UsbId | None) -> bool:
        """Whether this entry means the camera with this serial, which the kernel saw under `usb` (None: it did not)."""
        return (self.usb is None or self.usb == usb) and fnmatchcase(serial, self.pattern)

    @property
    def serial(self) -> str | None:
        """The one serial that is meant; None for a pattern that means several."""
        bare = _QUOTED.sub("", self.pattern)
        return None if _MARKS.search(bare) else _QUOTED.sub(r"\1", self.pattern)

    @property
    def is_everyone(self) -> bool:
        """Whether this vouches for any camera at all, whoever it says it is."""
        return self.usb is None and set(self.pattern) == {"*"}

    def __str__(self) -> str:
        return self.pattern if self.usb is None else f"{self.usb.vendor:04x}:{self.usb.product:04x}/{self.pattern}"


def exact(serial: str, usb: UsbId | None = None) -> Enrolment:
    """The entry for one camera and no other, whatever characters its serial has."""
    pattern = _MARKS.sub(r"[\g<0>]", serial)
    if usb is None and _WITH_ID.fullmatch(pattern):
        pattern = f"[{pattern[0]}]{pattern[1:]}"  # a serial, though it looks like an id with a serial
    return Enrolment(pattern, usb)


def usb_id_of(text: object) -> UsbId | None:
    """Read a USB id such as 1209:bc01; None for anything else."""
    found = _USB.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else UsbId(int(found[1], 16), int(found[2], 16))
