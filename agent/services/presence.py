"""Which serial is in which bay right now. Two docked cameras with one serial: neither is written to."""

import time

from agent.core.clip import DOUBLE, BayName, CameraId
from agent.services.doorbell import Doorbell

GRACE_S = 3.0
"""A camera that moves to another bay may be seen there before its old session has ended."""


class Presence:
    """The serials of all sessions of this station."""

    def __init__(self) -> None:
        """Nobody is here."""
        self._bays: dict[CameraId, list[BayName]] = {}
        self._moves = Doorbell()

    async def arrive(self, serial: CameraId, bay: BayName) -> CameraId:
        """A session has read this serial; returns the name under which the ledger keeps the camera.

        A second camera with a serial that is already here gets a name of its own, so that nothing is mixed up.
        """
        bays = self._bays.setdefault(serial, [])
        bays.append(bay)
        deadline = time.monotonic() + GRACE_S
        while len(bays) > 1 and (left_s := deadline - time.monotonic()) > 0:
            await self._moves.wait(self._moves.rings, left_s)
        return serial if bays[0] == bay else CameraId(f"{serial}{DOUBLE}{bay}")

    def leave(self, serial: CameraId, bay: BayName) -> None:
        """That session has ended; harmless when it never arrived."""
        bays = self._bays.get(serial, [])
        if bay in bays:
            bays.remove(bay)
        if not bays:
            self._bays.pop(serial, None)
        self._moves.ring()

    def is_double(self, serial: CameraId) -> bool:
        """Whether more than one docked camera shows this serial."""
        return len(self._bays.get(serial, [])) > 1
