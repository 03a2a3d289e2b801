"""What is kept about an unfinished S3 upload: its id, the size of its parts, and which parts the store acknowledged.

Which parts the store really has is asked of it before anything is sent; a part that it lists otherwise than it was
acknowledged is sent again. The text is bounded: at most MAX_PARTS short tags.
"""

import json
import re
from dataclasses import dataclass
from typing import Self

MAX_PARTS = 10_000
"""Source: Amazon S3 limits for multipart uploads."""
_MAX_CHARS = 2 << 20
_UPLOAD = re.compile(r"[!-~]{1,512}")
_ETAG = re.compile(r"[A-Za-z0-9._=+/-]{1,128}")


def as_upload(text: str) -> str | None:
    """An upload's id as a store named it; None when it cannot be one."""
    return text if _UPLOAD.fullmatch(text) else None


def as_etag(text: str) -> str | None:
    """An entity tag without its quotes; None when it is missing or cannot be repeated in a document."""
    bare = text.strip().removeprefix('"').removesuffix('"')
    return bare if _ETAG.fullmatch(bare) else None


@dataclass(frozen=True, slots=True)
class S3Hint:
    """`etags` has the acknowledged tags by part, the first part first; None where a part is not known to be there."""

    upload: str
    part_bytes: int
    etags: tuple[str | None, ...] = ()

    def text(self) -> str:
        """The text to keep."""
        return json.dumps({"upload": self.upload, "part": self.part_bytes, "etags": self.etags})

    def etag(self, number: int) -> str | None:
        """The tag of a part, counted from 1."""
        return self.etags[number - 1] if number <= len(self.etags) else None

    def with_etag(self, number: int, etag: str) -> "S3Hint":
        """The hint after a part, counted from 1, was acknowledged."""
        etags = [*self.etags, *[None] * (number - len(self.etags))]
        etags[number - 1] = etag
        return S3Hint(self.upload, self.part_bytes, tuple(etags))

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read a kept text; None for anything else: then a new upload is created."""
        if not text or len(text) > _MAX_CHARS:
            return None
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict):
            return None
        upload, part_bytes, etags = (fields.get(key) for key in ("upload", "part", "etags"))
        if not isinstance(upload, str) or as_upload(upload) is None or type(part_bytes) is not int:
            return None
        if not isinstance(etags, list) or len(etags) > MAX_PARTS:
            return None
        return cls(upload, part_bytes, tuple(as_etag(etag) if isinstance(etag, str) else None for etag in etags))
