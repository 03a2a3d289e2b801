"""Where things lie in an S3 store: the bucket, and one key for each object, named by its SHA-256.

Rules: buckets are part of the path, never of the host name, so that scheme, host and port stay those of the
configuration; bucket and prefix hold only characters that every client and server writes in the same way, because
the signature covers the exact text.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from agent.core.errors import ConfigError
from agent.core.object import Digest
from agent.stores.endpoint import Endpoint

FORM = "Write it as s3+https://host/bucket or s3+https://host/bucket/prefix."
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_VERSION = re.compile(r"[A-Za-z0-9._~+/=-]{1,1024}")
_NO_VERSION = "null"
"""What a bucket that keeps no versions may name. Source: Amazon S3 API, versioning."""


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket and a prefix; `endpoint.path` is `/bucket/` or `/bucket/prefix/`."""

    endpoint: Endpoint

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `http(s)://host[:port]/bucket[/prefix]`. Raises ConfigError."""
        endpoint = Endpoint.of(url)
        segments = endpoint.path.strip("/").split("/")
        if not all(map(_SEGMENT.fullmatch, segments)):
            text = "the address of an S3 store needs a bucket; bucket and prefix hold letters, digits and ._- only"
            raise ConfigError(text, hint=FORM)
        return cls(endpoint)

    def key_url(self, sha256: Digest) -> str:
        """The address of an object."""
        return f"{self.endpoint.base}objects/{sha256}"

    def handle(self, sha256: Digest, version: str | None) -> str:
        """How a finished object is named: its address, and its version where the bucket keeps versions."""
        if version is None or version == _NO_VERSION or not _VERSION.fullmatch(version):
            return self.key_url(sha256)
        return with_query(self.key_url(sha256), versionId=version)

    def is_of(self, handle: str, sha256: Digest) -> bool:
        """Tell whether a handle names this very object here."""
        key = self.key_url(sha256)
        return self.endpoint.owns(handle) and (handle == key or handle.startswith(f"{key}?versionId="))


def with_query(url: str, **values: str) -> str:
    """Add to the query, encoded as the signature wants it."""
    return (
        url
        + ("&" if "?" in url else "?")
        + "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(values.items()))
    )
