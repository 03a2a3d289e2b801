"""The signed receipt: a store's statement that it durably holds an object, as text.

The signed bytes are the UTF-8 text of the statement, eight lines with a newline after each, in this order and
nothing else; the signature is Ed25519 over exactly these bytes. Full description: docs/receipt.md.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.core.object import Digest

HEADER = "bwv-receipt/1"
_FIELDS = ("station", "sha256", "size", "upload", "nonce", "time", "key")
_LINE = re.compile(
    HEADER
    + r"\nstation ([A-Za-z0-9._-]{1,64})\nsha256 ([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})"
    + r"\nupload ([A-Za-z0-9._~-]{1,128})\nnonce ([0-9a-f]{32,64})"
    + r"\ntime ([1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\nkey ([0-9a-f]{16})\n"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a store signs. `issued_at` is aware UTC with whole seconds; `key` is the key id (16 hex digits)."""

    station: str
    sha256: Digest
    size_bytes: int
    upload: str
    nonce: str
    issued_at: datetime
    key: str

    def text(self) -> str:
        """The exact text to sign. Raises ValueError when a field does not fit the format."""
        time = self.issued_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = (self.station, self.sha256, str(self.size_bytes), self.upload, self.nonce, time, self.key)
        text = f"{HEADER}\n" + "".join(f"{n} {v}\n" for n, v in zip(_FIELDS, values, strict=True))
        if not _LINE.fullmatch(text):
            message = "a field does not fit the receipt format"
            raise ValueError(message)
        return text


def parse_statement(text: str) -> Statement:
    """Read a statement. Raises ValueError for anything that `Statement.text` would not have written."""
    match = _LINE.fullmatch(text)
    if match is None:
        message = "not a bwv-receipt/1 statement"
        raise ValueError(message)
    station, sha256, size, upload, nonce, time, key = match.groups()
    issued_at = datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Statement(station, Digest(sha256), int(size), upload, nonce, issued_at, key)
