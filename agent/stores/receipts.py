"""Signed receipts: from the bytes a store answered to a statement that is proved, or refused.

Pure on bytes, keys and a given time. Rules: only pinned keys count; the signature is checked over the exact text,
and then every field of it against what was asked, down to a nonce made for this one question, so that no receipt
for another clip, station, upload or day can pass. Format: docs/receipt.md.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from agent.core.errors import ConfigError, ReceiptInvalid
from agent.core.object import Digest, Receipt
from agent.core.receipt import Statement, parse_statement

MAX_KEY_FILE_BYTES = 64 << 10
AHEAD = timedelta(minutes=5)
"""How far the store's clock may be ahead of ours."""
BEHIND = timedelta(minutes=10)
"""How old a statement made for a fresh nonce may be."""
_CLOCK_HINT = "Compare the clocks of station and store. Nothing is wiped until they agree."
_END = b"-----END PUBLIC KEY-----"


class ObjectNotHeld(ReceiptInvalid):
    """By its own words or bytes the store does not hold the object: only a new upload can help."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a statement must say. `upload` is None when the store was asked by digest."""

    station: str
    sha256: Digest
    size_bytes: int
    upload: str | None
    nonce: str


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A statement that was checked, and the text that anyone can check again."""

    statement: Statement
    proof: str


@dataclass(frozen=True, slots=True)
class ReceiptKeys:
    """The pinned public keys of one store, by key id; several while the store changes its key."""

    keys: Mapping[str, Ed25519PublicKey]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a PEM file with one or more Ed25519 public keys. Blocks. Raises ConfigError."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_KEY_FILE_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"the receipt key {path} cannot be read: {error.strerror}") from error
        if len(data) > MAX_KEY_FILE_BYTES:
            raise ConfigError(f"the receipt key {path} is larger than keys can be")
        try:
            return cls.parse(data)
        except ValueError as error:
            hint = "Put the public key that the store printed there, in PEM form."
            raise ConfigError(f"the receipt key {path} is not usable: {error}", hint=hint) from error

    @classmethod
    def parse(cls, pem: bytes) -> Self:
        """Read PEM text. Raises ValueError."""
        keys: dict[str, Ed25519PublicKey] = {}
        *blocks, rest = pem.split(_END)
        if not blocks or b"-----" in rest:
            raise ValueError("no PEM public key in it, or something else beside it")
        for block in blocks:
            try:
                key = load_pem_public_key(block.lstrip() + _END + b"\n")
            except UnsupportedAlgorithm as error:
                raise ValueError("a key of an unknown kind") from error
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("a key that is not Ed25519")  # noqa: TRY004 - callers get one kind of error
            keys[key_id(key)] = key
        return cls(keys)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the SHA-256 of the raw 32-byte key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def check_receipt(body: bytes, keys: ReceiptKeys, expected: Expected, now: datetime) -> SignedReceipt:
    """Check a store's answer {"statement", "signature"} whole. Raises ReceiptInvalid."""
    signed = _signed_by_pinned(body, keys)
    _compare(signed.statement, expected)
    _check_time(signed.statement.issued_at, now)
    return signed


def still_signed(receipt: Receipt, keys: ReceiptKeys, station: str, upload: str | None) -> bool:
    """Tell whether a kept proof is, to the letter, a statement about this object that a key pinned now has signed.

    Time and nonce are not compared with anything fresh: they were when the receipt came. `upload` as in Expected.
    """
    try:
        signed = _signed_by_pinned(receipt.proof.encode("utf-8", "replace"), keys)
    except ReceiptInvalid:
        return False
    statement = signed.statement
    said = (statement.station, statement.sha256, statement.size_bytes, statement.issued_at)
    if said != (station, receipt.sha256, receipt.size_bytes, receipt.issued_at):
        return False
    return upload in (None, statement.upload) and signed.proof == receipt.proof


def _signed_by_pinned(body: bytes, keys: ReceiptKeys) -> SignedReceipt:
    """Read a statement that bears the signature of a pinned key; what it says is not compared yet."""
    text, signature = _opened(body)
    try:
        statement = parse_statement(text)
    except ValueError as error:
        raise ReceiptInvalid(f"the receipt cannot be read: {error}") from error
    key = keys.keys.get(statement.key)
    if key is None:
        hint = "If the store changed its key, add the new public key to the file in `receipt_key`."
        raise ReceiptInvalid(f"the receipt is signed with an unknown key ({statement.key})", hint=hint)
    try:
        key.verify(signature, text.encode("utf-8"))
    except InvalidSignature:
        raise ReceiptInvalid("the receipt's signature is wrong") from None
    proof = {"statement": text, "signature": base64.b64encode(signature).decode("ascii"), "key": statement.key}
    return SignedReceipt(statement, json.dumps(proof))


def _opened(body: bytes) -> tuple[str, bytes]:
    try:
        fields = json.loads(body)
        text, signature = fields["statement"], fields["signature"]
        if isinstance(text, str) and isinstance(signature, str):
            return text, base64.b64decode(signature, validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise ReceiptInvalid(f"the answer holds no receipt: {type(error).__name__}") from error
    raise ReceiptInvalid("the answer holds no receipt: statement and signature must be text")


def _compare(statement: Statement, expected: Expected) -> None:
    wrong = [
        name
        for name, said, asked in (
            ("station", statement.station, expected.station),
            ("sha256", statement.sha256, expected.sha256),
            ("size", statement.size_bytes, expected.size_bytes),
            ("upload", statement.upload, expected.upload if expected.upload is not None else statement.upload),
            ("nonce", statement.nonce, expected.nonce),
        )
        if said != asked
    ]
    if wrong:
        kind = ObjectNotHeld if wrong in (["sha256"], ["size"], ["sha256", "size"]) else ReceiptInvalid
        raise kind(f"the receipt is for something else: {', '.join(wrong)} differ")


def _check_time(issued_at: datetime, now: datetime) -> None:
    if issued_at - now > AHEAD:
        raise ReceiptInvalid("the receipt's time is in the future by this station's clock", hint=_CLOCK_HINT)
    if now - issued_at > BEHIND:
        raise ReceiptInvalid("the receipt's time is long past by this station's clock", hint=_CLOCK_HINT)
