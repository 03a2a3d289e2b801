"""What a scripted camera says it is: its USB descriptors, honest or not.

Text in descriptors may be anything that a camera could send: `str` is sent as UTF-16, `bytes` as they are.
"""

import struct
from dataclasses import dataclass, replace

from tests.lab.camera.wire import BULK_PACKET, Endpoint, Interface

Text = str | bytes | None
"""None: the camera has no such text."""

STORAGE = (8, 6, 0x50)
VENDOR = (0xFF, 0xBC, 1)
KEYBOARD = (3, 1, 1)

STORAGE_IN, STORAGE_OUT = 0x81, 0x01
VENDOR_IN, VENDOR_OUT = 0x82, 0x02
KEYBOARD_IN = 0x83

_LANGUAGES = b"\x04\x03\x09\x04"
_MAKER, _PRODUCT, _SERIAL = 1, 2, 3
_LONGEST = 253  # what a descriptor's length byte leaves

_KEYBOARD_REPORT = bytes.fromhex("05010906a101050719e029e71500250175019508810295017508810195057501050819012905")
_KEYBOARD_REPORT += bytes.fromhex("910295017503910195067508150025650507190029658100c0")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a camera shows of itself."""

    vendor: int = 0x1209
    product: int = 0xBC01
    serial: Text = "CAM0001"
    maker: Text = "ACME"
    model: Text = "BodyCam 3"
    firmware: int = 0x0310
    """bcdDevice: 3.10"""
    milliamperes: int = 500
    storage: bool = True
    vendor_interface: bool = False
    keyboard: bool = False
    """Also claims to be a keyboard."""

    def but(self, **changes: object) -> "Identity":
        """The same with some things changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def interfaces(self) -> list[Interface]:
        """In the order of their numbers."""
        codes = [
            codes
            for shown, codes in ((self.storage, STORAGE), (self.vendor_interface, VENDOR), (self.keyboard, KEYBOARD))
            if shown
        ]
        return [Interface(number, each) for number, each in enumerate(codes)]

    @property
    def endpoints(self) -> list[Endpoint]:
        """Of all interfaces."""
        found = []
        for interface in self.interfaces:
            if interface.codes == KEYBOARD:
                found.append(Endpoint(KEYBOARD_IN, 3, interface.number, 8))
            else:
                pair = (STORAGE_IN, STORAGE_OUT) if interface.codes == STORAGE else (VENDOR_IN, VENDOR_OUT)
                found += [Endpoint(address, 2, interface.number, BULK_PACKET) for address in pair]
        return found

    def descriptor(self, kind: int, number: int) -> bytes | None:
        """Any descriptor that a host asks the device for; None when there is none of the kind."""
        if kind == 1:
            return self._device()
        if kind == 2:
            return self._configuration()
        if kind == 3:
            return self._text(number)
        return None

    def report_descriptor(self) -> bytes | None:
        """What a keyboard's reports look like; None when this is none."""
        return _KEYBOARD_REPORT if self.keyboard else None

    def _device(self) -> bytes:
        texts = (
            number if text is not None else 0
            for number, text in ((_MAKER, self.maker), (_PRODUCT, self.model), (_SERIAL, self.serial))
        )
        ids = (self.vendor, self.product, self.firmware)
        return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, *ids, *texts, 1)

    def _configuration(self) -> bytes:
        body = b""
        for interface in self.interfaces:
            mine = [endpoint for endpoint in self.endpoints if endpoint.interface == interface.number]
            body += struct.pack("<BBBBBBBBB", 9, 4, interface.number, 0, len(mine), *interface.codes, 0)
            if interface.codes == KEYBOARD:
                body += struct.pack("<BBHBBBH", 9, 0x21, 0x0111, 0, 1, 0x22, len(_KEYBOARD_REPORT))
            for endpoint in mine:
                pause = 10 if endpoint.kind == 3 else 0
                body += struct.pack("<BBBBHB", 7, 5, endpoint.address, endpoint.kind, endpoint.packet, pause)
        head = struct.pack(
            "<BBHBBBBB", 9, 2, 9 + len(body), len(self.interfaces), 1, 0, 0x80, min(self.milliamperes // 2, 250)
        )
        return head + body

    def _text(self, number: int) -> bytes | None:
        if number == 0:
            return _LANGUAGES
        text = {_MAKER: self.maker, _PRODUCT: self.model, _SERIAL: self.serial}.get(number)
        if text is None:
            return None
        data = text if isinstance(text, bytes) else text.encode("utf-16-le", "surrogatepass")
        data = data[:_LONGEST]
        return bytes([2 + len(data), 3]) + data
