"""Upload-Metadata: the label that a client gives to an upload.

Values are base64 of bytes and stay so: the depot keeps what was sent and turns it into text only for people.
Source: tus 1.0.0, section Upload-Metadata. The limits are ours.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping

from agent.core.clip import display_name
from agent.core.object import Digest
from agent.depot.refusal import Refusal

MAX_HEADER_BYTES = 16_384
MAX_KEYS = 64
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")  # visible ASCII without space and comma
_SHA256 = re.compile(rb"[0-9a-fA-F]{64}")

Label = Mapping[str, str]
"""Key to base64 text, in the order sent."""


def parse_label(header: str) -> dict[str, str]:
    """Read the header. Raises Refusal 400 when it is not what tus describes or beyond the limits."""
    if not header.strip():
        return {}
    if len(header) > MAX_HEADER_BYTES:
        raise _bad(f"it is longer than {MAX_HEADER_BYTES} bytes")
    label: dict[str, str] = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise _bad("a key is empty or not plain ASCII")
        if key in label:
            raise _bad(f"the key {key} comes twice")
        label[key] = value.strip()
        _value(key, label[key])
    if len(label) > MAX_KEYS:
        raise _bad(f"it has more than {MAX_KEYS} keys")
    expected_digest(label)
    return label


def write_label(label: Label) -> str:
    """Write the header as a HEAD answer gives it back."""
    return ",".join(f"{key} {value}" if value else key for key, value in label.items())


def expected_digest(label: Label) -> Digest | None:
    """The digest that the client says the whole file has; None when it says nothing. Raises Refusal 400."""
    value = raw(label, "sha256")
    if value is None:
        return None
    if not _SHA256.fullmatch(value):
        raise _bad("the value of sha256 is not 64 hex digits")
    return Digest(value.decode("ascii").lower())


def raw(label: Label, key: str) -> bytes | None:
    """The bytes of one value; None when the key was not sent or has no value."""
    value = label.get(key)
    return b64decode(value) if value else None


def shown(label: Label, key: str) -> str | dict[str, str] | None:
    """One value for people and JSON: text when it is UTF-8, `{"hex": ...}` when it is not, or None."""
    value = raw(label, key)
    return None if value is None else display_name(value)


def _value(key: str, value: str) -> None:
    try:
        b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(f"the value of {key} is not base64") from None


def _bad(reason: str) -> Refusal:
    return Refusal(400, "bad_metadata", f"Upload-Metadata cannot be read: {reason}")
