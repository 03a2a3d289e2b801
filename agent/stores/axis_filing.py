"""Where an object lies at a content destination: the text that is kept as hint, as handle and in receipts.

It has no address: a destination may be reached at several, and be moved. What was encrypted cannot be compared with the
camera's bytes any more, so the digests of what left are part of the text.
"""

import json
import re
from dataclasses import dataclass
from typing import Self

from agent.core.object import Digest

_MAX_CHARS = 4096
_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,200}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What left in place of the clip: size and SHA-256 of the encrypted bytes, and SHA-256 of the key object."""

    size_bytes: int
    sha256: Digest
    key_sha256: Digest


@dataclass(frozen=True, slots=True)
class Filing:
    """The container and the object's name in it; `sealed` is None for what is there as it came off the camera.

    `rejected`: the destination refused it in the ordinary way and was given it apart.
    """

    container: str
    name: str
    sealed: Sealed | None = None
    rejected: bool = False

    def is_of(self, sha256: Digest) -> bool:
        """Tell whether this names that object."""
        return sha256 in self.name

    @property
    def encrypted(self) -> bool:
        """Whether the name is one of an encrypted copy."""
        return "-" in self.name

    def text(self) -> str:
        """The text to keep."""
        sealed = self.sealed
        said = None if sealed is None else [sealed.size_bytes, sealed.sha256, sealed.key_sha256]
        facts = {"container": self.container, "object": self.name, "sealed": said, "rejected": self.rejected}
        return json.dumps(facts)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read a kept text; None for anything else: then the object is filed anew."""
        if not text or len(text) > _MAX_CHARS:
            return None
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict) or type(fields.get("rejected")) is not bool:
            return None
        container, name, said = _name(fields.get("container")), _name(fields.get("object")), fields.get("sealed")
        sealed = _sealed(said)
        if container is None or name is None or (said is not None and sealed is None):
            return None
        return cls(container, name, sealed, fields["rejected"])


def _name(value: object) -> str | None:
    fits = isinstance(value, str) and _NAME.fullmatch(value) is not None and value.strip(".") != ""
    return value if fits and isinstance(value, str) else None


def _sealed(said: object) -> Sealed | None:
    match said:
        case [int(size_bytes), str(digest), str(key_digest)] if size_bytes > 0:
            if _DIGEST.fullmatch(digest) and _DIGEST.fullmatch(key_digest):
                return Sealed(size_bytes, Digest(digest), Digest(key_digest))
        case _:
            pass
    return None
