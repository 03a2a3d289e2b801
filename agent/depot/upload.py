"""An upload: what one station asked the depot to keep, and how far that is."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NewType

from agent.core.object import Digest
from agent.depot.metadata import Label

UploadId = NewType("UploadId", str)
"""32 lower-case hex digits, 128 random bits."""

_ID = re.compile(r"[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Upload:
    """A row of the catalogue. Times are microseconds since 1970 UTC.

    `sha256` is known from the moment that all bytes are durable; the upload is finished when `finished_us` is set.
    """

    id: UploadId
    station: str
    length_bytes: int
    label: Label
    created_us: int
    sha256: Digest | None = None
    finished_us: int | None = None


def new_id() -> UploadId:
    """Draw an id that nobody can guess."""
    return UploadId(secrets.token_hex(16))


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id; only such a text ever becomes part of a path."""
    return _ID.fullmatch(text) is not None


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> str:
    """The time as RFC 3339 text in UTC, whole seconds."""
    return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
