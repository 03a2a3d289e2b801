"""Objects: bytes named by their SHA-256, and what stores prove about them.

An object knows nothing of cameras; several clips may be one object.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NewType

Digest = NewType("Digest", str)
"""64 lower-case hex digits: the SHA-256 of an object's bytes."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

EMPTY_DIGEST = Digest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def as_digest(text: str) -> Digest:
    """Check that `text` is a digest. Raises ValueError."""
    if not _DIGEST.fullmatch(text):
        message = f"not a SHA-256 in lower-case hex: {text!r}"
        raise ValueError(message)
    return Digest(text)


class SpoolState(StrEnum):
    """The spool's copy of an object."""

    ABSENT = "absent"
    PRESENT = "present"


SPOOL_MOVES: frozenset[tuple[SpoolState, SpoolState]] = frozenset(
    {
        (SpoolState.ABSENT, SpoolState.PRESENT),  # all bytes are durable under the final name
        (SpoolState.PRESENT, SpoolState.ABSENT),  # purged, or found missing or altered
    }
)


class ReceiptKind(IntEnum):
    """How strongly a store has shown that it holds an object; higher is stronger."""

    CHECKSUM = 1  # the store computed SHA-256 itself
    READBACK = 2  # we fetched the bytes and hashed them
    SIGNED = 3  # the store's Ed25519 statement

    @property
    def word(self) -> str:
        """The name used in configuration, logs and the ledger."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "ReceiptKind":
        """Turn a configuration word into a kind. Raises ValueError."""
        try:
            return cls[word.upper()]
        except KeyError:
            message = f"not a receipt kind: {word!r} (signed, readback or checksum)"
            raise ValueError(message) from None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A checked proof that `store` holds the object.

    `proof` is the exact text that was checked (the signed statement with its signature, or our own record
    of a read-back); `issued_at` is aware, the store's clock for signed receipts and ours otherwise.
    """

    store: str
    kind: ReceiptKind
    sha256: Digest
    size_bytes: int
    handle: str
    issued_at: datetime
    proof: str
