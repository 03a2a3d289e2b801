"""One time of being plugged in: answers what QEMU hands on from the guest, in the way that the camera's script says."""

import struct
import threading
from typing import TYPE_CHECKING

from tests.lab.camera.identity import STORAGE, STORAGE_IN, STORAGE_OUT, VENDOR_OUT
from tests.lab.camera.scsi import Stalled, Transport
from tests.lab.camera.wire import Bulk, Control, Kind, Packet, Status, Wire

if TYPE_CHECKING:
    from tests.lab.camera.camera import ScriptedCamera

_GET_DESCRIPTOR = (0x80, 6)
_GET_REPORT_DESCRIPTOR = (0x81, 6)
_CLEAR_HALT = (0x02, 1)
_MAX_UNIT = (0xA1, 0xFE)
_BULK_RESET = (0x21, 0xFF)
_SET_IDLE = (0x21, 0x0A)
_KIND_OF_REQUEST = 0x60
_TEXT = 3
_VENDORS_OWN = 0x40
_INWARD = 0x80


class Connection:
    """A camera in a port."""

    def __init__(self, camera: "ScriptedCamera", wire: Wire) -> None:
        """Over a wire that has said hello."""
        self._camera = camera
        self._wire = wire
        self._identity = camera.shown
        self._transport = Transport(camera.medium, "ACME", "BodyCam")
        self._configured = 0
        self._was_configured = False
        self._after_reset = False
        self._held: list[Control | Bulk] = []
        self._handling = threading.RLock()

    def serve(self) -> None:
        """Answer until it is pulled out or the machine ends."""
        try:
            self._wire.announce(self._identity.interfaces, self._identity.endpoints)
            self._wire.plug_in(self._identity.vendor, self._identity.product, self._identity.firmware)
            while True:
                packet = self._wire.packet()
                with self._handling:
                    self._handle(packet)
                self._camera.tell(self)
        except (OSError, ValueError):
            pass  # ValueError: closed in the middle of a packet
        finally:
            self._wire.close()
            self._camera.tell(self, ended=True)

    def tear(self) -> None:
        """Pull it out; from any thread."""
        self._wire.tear()

    def resume(self) -> None:
        """Answer what was held back while the camera hung; from any thread."""
        with self._handling:
            held, self._held = self._held, []
            for asked in held:
                self._handle(asked)

    def _handle(self, packet: Control | Bulk | Packet) -> None:
        if isinstance(packet, Control):
            if self._camera.hung and packet.kind & _KIND_OF_REQUEST == _VENDORS_OWN:
                self._held.append(packet)
            else:
                self._control(packet)
        elif isinstance(packet, Bulk):
            if self._camera.hung:
                self._held.append(packet)
            else:
                self._bulk(packet)
        else:
            self._device(packet)

    def _device(self, packet: Packet) -> None:
        wire = self._wire
        match packet.kind:
            case Kind.RESET:
                self._after_reset = True
                self._transport.reset()
            case Kind.SET_CONFIGURATION:
                self._configured = packet.body[0]
                self._after_reset, self._was_configured = False, True
                wire.announce(self._identity.interfaces, self._identity.endpoints)
                wire.send(Kind.CONFIGURATION, packet.id, bytes([Status.OK, self._configured]))
            case Kind.GET_CONFIGURATION:
                wire.send(Kind.CONFIGURATION, packet.id, bytes([Status.OK, self._configured]))
            case Kind.SET_ALTERNATE:
                status = Status.OK if packet.body[1] == 0 else Status.STALL
                wire.send(Kind.ALTERNATE, packet.id, bytes([status, packet.body[0], 0]))
            case Kind.GET_ALTERNATE:
                wire.send(Kind.ALTERNATE, packet.id, bytes([Status.OK, packet.body[0], 0]))
            case Kind.START_INTERRUPTS | Kind.STOP_INTERRUPTS:
                wire.send(Kind.INTERRUPTS, packet.id, bytes([Status.OK, packet.body[0]]))
            case Kind.CANCEL:
                self._cancel(packet.id)
            case _:
                pass

    def _cancel(self, number: int) -> None:
        for asked in [asked for asked in self._held if asked.id == number]:
            self._held.remove(asked)
            if isinstance(asked, Bulk):
                self._wire.answer_bulk(asked, Status.CANCELLED)
            else:
                self._wire.answer_control(asked, Status.CANCELLED)

    def _control(self, asked: Control) -> None:
        which = (asked.kind, asked.request)
        data: bytes | None = b""
        if which == _GET_DESCRIPTOR:
            kind, number = asked.value >> 8, asked.value & 0xFF
            if kind == _TEXT and number == 0 and self._after_reset and self._was_configured:
                # Only a device that the guest has not known asks for languages between reset and configuration:
                # after a reset to mend an error it compares the serial number and nothing else.
                self._after_reset = False
                self._camera.power_came_back()
            data = self._identity.descriptor(kind, number)
        elif which == _GET_REPORT_DESCRIPTOR:
            data = self._identity.report_descriptor()
        elif asked.kind & _KIND_OF_REQUEST == _VENDORS_OWN:
            data = self._camera.vendor_request(asked)
        elif which == _MAX_UNIT:
            data = b"\0"
        elif which == _BULK_RESET:
            self._transport.reset()
        elif which not in (_CLEAR_HALT, _SET_IDLE) and asked.request != 0:
            data = None
        elif asked.kind & _INWARD:
            data = b"\0\0"
        if data is None:
            self._wire.answer_control(asked, Status.STALL)
        else:
            self._wire.answer_control(asked, Status.OK, data)
        if which == self._camera.unlock:
            self._camera.was_unlocked()

    def _bulk(self, asked: Bulk) -> None:
        storage = any(interface.codes == STORAGE for interface in self._identity.interfaces)
        try:
            if asked.endpoint == STORAGE_IN and storage:
                data = self._transport.give(asked.length)
                self._camera.was_read(len(data))
                if self._camera.hung:
                    self._held.append(asked)
                    self._transport.give_again(data)
                    return
                self._wire.answer_bulk(asked, Status.OK, data)
            elif asked.endpoint == STORAGE_OUT and storage:
                self._transport.take(asked.data)
                self._wire.answer_bulk(asked, Status.OK)
            elif asked.endpoint == VENDOR_OUT:
                self._camera.firmware_received += asked.data
                self._wire.answer_bulk(asked, Status.OK)
            else:
                self._wire.answer_bulk(asked, Status.STALL)
        except Stalled:
            self._wire.answer_bulk(asked, Status.STALL)
        except struct.error:
            self._wire.answer_bulk(asked, Status.FAILED)
