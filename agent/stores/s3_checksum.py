"""How S3 names the SHA-256 of an object: that of its bytes, or for one in parts that of its parts' digests.

Source: Amazon S3 API, checking object integrity: full-object and composite checksums.
"""

import base64
import hashlib
from collections.abc import Sequence

ASK = {"x-amz-checksum-mode": "ENABLED"}
"""With this a store names the checksum that it computed."""
TOLD = "x-amz-checksum-sha256"
MOST_DIGITS = 5
"""Of the number of parts: there are 10,000 at most. Source: Amazon S3 limits for multipart uploads."""


def whole(digest: bytes) -> str:
    """Base64 of the SHA-256 of an object that was sent in one request, or of one part."""
    return base64.b64encode(digest).decode("ascii")


def composite(parts: Sequence[bytes]) -> str:
    """The checksum of an object in parts, from the SHA-256 of each in their order."""
    return f"{whole(hashlib.sha256(b''.join(parts)).digest())}-{len(parts)}"


def parts_of(checksum: str) -> int | None:
    """In how many parts the object was sent whose checksum this is; None for one that was sent whole."""
    _, dash, count = checksum.partition("-")
    return int(count) if dash and count.isascii() and count.isdecimal() and len(count) <= MOST_DIGITS else None
