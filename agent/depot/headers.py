"""Request headers of tus, read strictly: what is not exactly right is refused, never guessed.

Source: tus 1.0.0, sections Headers and Extensions.
"""

import binascii
import hashlib
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from agent.depot.refusal import Refusal

if TYPE_CHECKING:
    from hashlib import _Hash

VERSION = "1.0.0"
OFFSET_STREAM = "application/offset+octet-stream"
ALGORITHMS = ("sha256", "sha1")
_NUMBER = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Checksum:
    """The digest that a client gives for one request's body."""

    algorithm: str
    digest: bytes

    def start(self) -> "_Hash":
        """A fresh hash of this algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def need_version(headers: Headers) -> None:
    """Raises Refusal 412 unless the request speaks our version."""
    spoken = headers.get("tus-resumable")
    if spoken != VERSION:
        said = "Tus-Resumable is missing" if spoken is None else "this version of tus is not spoken here"
        raise Refusal(412, "wrong_version", f"{said}; send Tus-Resumable: {VERSION}", {"Tus-Version": VERSION})


def number(headers: Headers, name: str) -> int | None:
    """A whole number of bytes, or None when the header is missing. Raises Refusal 400."""
    text = headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise Refusal(400, "bad_header", f"{name} is not a whole number of bytes")
    return int(text)


def length_of(headers: Headers) -> int:
    """The length of a new upload. Raises Refusal 400."""
    if "upload-defer-length" in headers:
        message = "Upload-Defer-Length is not supported; send Upload-Length with the creation"
        raise Refusal(400, "no_deferred_length", message)
    if "upload-concat" in headers:
        raise Refusal(400, "no_concatenation", "Upload-Concat is not supported; send the file as one upload")
    length = number(headers, "Upload-Length")
    if length is None:
        raise Refusal(400, "bad_header", "Upload-Length is missing")
    return length


def checksum_of(headers: Headers) -> Checksum | None:
    """The checksum of the request's body, or None. Raises Refusal 400."""
    text = headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise Refusal(400, "unknown_algorithm", f"Upload-Checksum may use {' or '.join(ALGORITHMS)}")
    try:
        digest = b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise Refusal(400, "bad_header", f"Upload-Checksum does not hold the base64 of a {algorithm} digest")
    return Checksum(algorithm, digest)


def has_body(headers: Headers) -> bool:
    """Whether the request announces a body that is not empty."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def need_offset_stream(headers: Headers) -> None:
    """Raises Refusal 415 unless the body is announced as upload bytes."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != OFFSET_STREAM:
        raise Refusal(415, "wrong_content_type", f"send Content-Type: {OFFSET_STREAM}")
