"""What probes send: random bytes, never evidence, under a label that says so."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.object import Digest
from agent.ports import ClipLabel, Shipment

SMALL_BYTES = 48 << 10
"""Less than is taken of one answer, so that it can be read back whole."""
WORD = "probe"


@dataclass(frozen=True, slots=True)
class Scratch:
    """Bytes made for one request, and the shipment that they would be; no file stands behind it."""

    data: bytes
    shipment: Shipment


def scratch(station: str, size_bytes: int = SMALL_BYTES) -> Scratch:
    """Make new bytes, which nobody has ever stored anywhere."""
    data = secrets.token_bytes(size_bytes)
    name = f"{WORD}-{secrets.token_hex(8)}"
    label = ClipLabel(
        clip=ClipId(name),
        camera=CameraId(WORD),
        bay=BayName(WORD),
        station=station,
        path=f"{name}.bin".encode(),
        role=WORD,
        event=False,
        started_at=None,
        ended_at=None,
    )
    return Scratch(data, Shipment(Digest(hashlib.sha256(data).hexdigest()), size_bytes, Path(name), label))
