"""A stretch of an object whose SHA-256 is known before its first byte leaves."""

import base64
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """The bytes from `start` to `end` of an object, and their SHA-256."""

    start: int
    end: int
    digest: bytes

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return self.end - self.start

    @property
    def checksum(self) -> str:
        """Base64 of its SHA-256."""
        return base64.b64encode(self.digest).decode("ascii")
