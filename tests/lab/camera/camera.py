"""A camera whose every fault is at the test's command.

    camera = ScriptedCamera(card, Identity(serial="CAM7"))
    camera.pull_at(5_000_000)            # armed in advance: pulled out when 5 MB have been read
    camera.plug(machine, "1.3")
    ...
    camera.wait(lambda: not camera.plugged)

It is a USB device on a socket of QEMU's: plugging it in is connecting, and pulling it out is closing. A thread serves
each time of being plugged in; all methods may be called from any thread, at any moment. Commands that read are 4 KiB
to 120 KiB long, so what is armed by bytes happens that much later at most, and before the answer to that command.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.lab.camera.connection import Connection
from tests.lab.camera.identity import Identity
from tests.lab.camera.scsi import BLOCK, Medium
from tests.lab.camera.wire import Control, Wire
from tests.lab.machine import Machine

AWAY_S = 0.6
"""How long a camera that comes back by itself, as another device, is away."""

UNLOCK = (0x40, 0x51)
"""Type and number of the vendor's request that makes a locked camera show its storage."""
STATUS = (0xC0, 0x01)


class ScriptedCamera:
    """One camera with one card. Close it, or use it as a context manager."""

    def __init__(
        self,
        card: Path | None,
        identity: Identity | None = None,
        *,
        locked: bool = False,
        locked_product: int = 0xBC00,
        unlock: tuple[int, int] = UNLOCK,
        write_protected: bool = False,
        recovers_on_power_cycle: bool = True,
        vanishes_after_power_off: bool = False,
    ) -> None:
        """`card`: the image, which is written to where the host writes; None: no card.

        `locked`: shows no storage and `locked_product` until it gets the vendor's request `unlock`.
        `recovers_on_power_cycle`: a power cycle of its port ends a hang. `vanishes_after_power_off`: it does not come
        back when its port's power does.
        """
        self.identity = identity or Identity()
        self.locked = locked
        self.recovers_on_power_cycle = recovers_on_power_cycle
        self.vanishes_after_power_off = vanishes_after_power_off
        self.power_cycles = 0
        """How often the power of its port has come back."""
        self.vendor_requests: list[tuple[int, int, int, int, bytes]] = []
        """Type, number, value, index and data of each request that only this camera knows."""
        self.vendor_answers: dict[tuple[int, int], bytes] = {STATUS: b'{"battery": 41}'}
        """What requests for data get, by type and number."""
        self.firmware_received = bytearray()
        """What came over the vendor's bulk endpoint."""
        descriptor = -1 if card is None else os.open(card, os.O_RDWR)
        blocks = 0 if card is None else os.fstat(descriptor).st_size // BLOCK
        self.medium = Medium(descriptor, blocks, write_protected=write_protected)
        self._locked_product = locked_product
        self.unlock = unlock
        self._changed = threading.Condition()
        self._slot: Path | None = None
        self._armed: list[tuple[int, Callable[[], None]]] = []
        self.hung = False
        self._bytes_per_s: int | None = None
        self._connection: Connection | None = None
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    # What a person does with it.

    def plug(self, machine: Machine | None = None, port: str | None = None) -> None:
        """Plug it into a port, or into the last one again. Returns at once: the guest takes seconds to notice all."""
        if machine is not None and port is not None:
            self._slot = machine.camera_slot(port)
        if self._slot is None:
            raise ValueError("this camera has not been in a port yet; say which machine and port")
        if self.plugged:
            raise ValueError("this camera is plugged in already; pull it first")
        connection = Connection(self, Wire.connect(self._slot))
        with self._changed:
            self._connection = connection
            self._changed.notify_all()
        self._start(connection.serve)

    def pull(self) -> None:
        """Pull it out, now, whatever it is doing. Harmless when it is not plugged in."""
        with self._changed:
            connection, self._connection = self._connection, None
            self._changed.notify_all()
        if connection is not None:
            connection.tear()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="scripted camera", daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _join(self) -> None:
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def flap(self, times: int, period_s: float) -> None:
        """A loose contact: plug it in and pull it out so often, ending as pulled out. Returns when done."""
        for _ in range(times):
            self.plug()
            time.sleep(period_s / 2)
            self.pull()
            self._join()
            time.sleep(period_s / 2)

    # What can go wrong with it.

    def pull_at(self, bytes_read: int) -> None:
        """Be pulled out once so many more bytes have been read from the card."""
        self._arm(bytes_read, self.pull)

    def hang(self) -> None:
        """Answer no transfer any more, while the device seems to be there."""
        self.hung = True

    def hang_at(self, bytes_read: int) -> None:
        """Hang once so many more bytes have been read from the card."""
        self._arm(bytes_read, self.hang)

    def unhang(self) -> None:
        """Answer again, first of all what was asked in the meantime and not given up."""
        self.hung = False
        connection = self._connection
        if connection is not None:
            with suppress(OSError):
                connection.resume()

    def medium_error(self, first_block: int, count: int = 1) -> None:
        """Make blocks of 512 bytes unreadable."""
        self.medium.bad.append(range(first_block, first_block + count))

    def stall_next(self) -> None:
        """Refuse the data of the next command that reads, as a confused controller does; the host may ask again."""
        self.medium.stall = True

    def slow(self, bytes_per_s: int | None) -> None:
        """Read no faster than this; None: as fast as it goes."""
        self._bytes_per_s = bytes_per_s

    def lie_about_capacity(self, blocks: int) -> None:
        """Claim this size from the next time of being plugged in. What is not there cannot be read."""
        self.medium.claimed_blocks = blocks

    def re_enumerate(self, vendor: int | None = None, product: int | None = None, firmware: int | None = None) -> None:
        """Leave by itself and come back as another device, as cameras do for a flash. Returns when it is back."""
        self.pull()
        given = {"vendor": vendor, "product": product, "firmware": firmware}
        self.identity = self.identity.but(**{name: value for name, value in given.items() if value is not None})
        if not self._closing.wait(AWAY_S):
            self.plug()

    def _arm(self, bytes_read: int, action: Callable[[], None]) -> None:
        self._armed.append((self.bytes_read + bytes_read, action))

    # What a test can see.

    @property
    def plugged(self) -> bool:
        """Whether it is in a port, as far as it knows."""
        return self._connection is not None

    @property
    def bytes_read(self) -> int:
        """From the card, since the camera was made."""
        return self.medium.bytes_read

    @property
    def bytes_written(self) -> int:
        """To the card, since the camera was made."""
        return self.medium.bytes_written

    @property
    def writes(self) -> Sequence[tuple[int, int]]:
        """First block and count of every write."""
        return self.medium.writes

    def wait(self, holds: Callable[[], bool], timeout: float = 30.0) -> None:
        """Return once this holds; it is looked at after everything that the camera does. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(holds, timeout):
                raise TimeoutError(
                    f"the camera waited {timeout:g} s in vain; plugged: {self.plugged}, read: {self.bytes_read} bytes, "
                    f"written: {self.bytes_written} bytes, power cycles: {self.power_cycles}"
                )

    def close(self) -> None:
        """Pull it out and give up the card; idempotent."""
        self._closing.set()
        self.pull()
        self._join()
        if self.medium.descriptor >= 0:
            os.close(self.medium.descriptor)
            self.medium.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What its connection asks and tells.

    @property
    def shown(self) -> Identity:
        """What it says it is now."""
        if self.locked:
            return self.identity.but(product=self._locked_product, storage=False, vendor_interface=True)
        return self.identity

    def tell(self, connection: Connection, *, ended: bool = False) -> None:
        """Something has happened."""
        with self._changed:
            if ended and self._connection is connection:
                self._connection = None
            self._changed.notify_all()

    def was_read(self, count: int) -> None:
        """So much is about to be handed over: do what is due, and take the time that it takes."""
        due = [action for at, action in self._armed if self.bytes_read >= at]
        self._armed = [(at, action) for at, action in self._armed if self.bytes_read < at]
        for action in due:
            action()
        if self._bytes_per_s is not None and self.plugged:
            self._closing.wait(count / self._bytes_per_s)

    def power_came_back(self) -> None:
        """Its port has power again after a cut."""
        self.power_cycles += 1
        if self.vanishes_after_power_off:
            self.pull()
        elif self.recovers_on_power_cycle:
            self.hung = False

    def vendor_request(self, asked: Control) -> bytes | None:
        """Answer a request that is the vendor's own; None refuses it."""
        which = (asked.kind, asked.request)
        self.vendor_requests.append((*which, asked.value, asked.index, asked.data))
        return self.vendor_answers.get(which) if asked.kind & 0x80 else b""

    def was_unlocked(self) -> None:
        """It got its request: leave, and come back with storage."""
        if self.locked:
            self.locked = False

            def change() -> None:
                with suppress(OSError):
                    self.re_enumerate()

            self._start(change)
