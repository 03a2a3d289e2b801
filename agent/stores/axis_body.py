"""The bytes of a clip as they leave for a content destination: as they are, or encrypted with a key of their own.

Rules: one pass, bounded memory. The spool's copy hands out its last block only when the SHA-256 of the whole is right,
and so does what is made from it. The content key lives only as long as the body; the destination gets it wrapped with
its public key, and nobody else can undo that. AES-256-CBC with PKCS #7 padding, and RSA-OAEP with SHA-1, because that
is what the published tools open. Source: Axis Body Worn Content Destination API 1.6.13, "Object encryption".
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1

from agent.stores.spool_copy import BLOCK_BYTES, SpoolCopy

_CIPHER_BLOCK_BYTES = 16
_KEY_BYTES = 32


class Body(Protocol):
    """What leaves; `stopped`: whether to go on."""

    stopped: Callable[[], bool]
    size_bytes: int

    @property
    def key_object(self) -> bytes | None:
        """What the destination needs to decrypt; None when nothing is encrypted."""
        ...

    def blocks(self, end: int) -> Iterator[memoryview]:
        """Hand out everything; `end` is the whole size. Raises as SpoolCopy.blocks does."""
        ...

    def md5(self) -> str:
        """The MD5 of what was handed out so far: what Swift calls the entity tag."""
        ...


class PlainBody:
    """The clip as it is; `copy` stands at its start."""

    key_object: bytes | None = None

    def __init__(self, copy: SpoolCopy) -> None:
        """Nothing is read yet."""
        self.stopped = copy.stopped
        self.size_bytes = copy.size_bytes
        self._copy = copy
        self._md5 = hashlib.md5(usedforsecurity=False)

    def blocks(self, end: int) -> Iterator[memoryview]:
        """See Body.blocks."""
        if not end:
            self._copy.check()  # nothing is handed out, so nothing is compared
        for view in self._copy.blocks(end):
            self._md5.update(view)
            yield view

    def md5(self) -> str:
        """See Body.md5."""
        return self._md5.hexdigest()


class SealedBody:
    """The clip, encrypted; `copy` stands at its start."""

    def __init__(self, copy: SpoolCopy, public_key: RSAPublicKey, public_key_id: str) -> None:
        """Make a new content key."""
        key, iv = os.urandom(_KEY_BYTES), os.urandom(_CIPHER_BLOCK_BYTES)
        self.stopped = copy.stopped
        self.size_bytes = sealed_size(copy.size_bytes)
        self.key_object: bytes = _key_object(key, iv, public_key, public_key_id)
        self._copy = copy
        self._cipher = Cipher(AES256(key), CBC(iv)).encryptor()
        self._room = memoryview(bytearray(BLOCK_BYTES + _CIPHER_BLOCK_BYTES))
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def blocks(self, end: int) -> Iterator[memoryview]:  # noqa: ARG002 - there is no part of an encrypted clip
        """See Body.blocks."""
        if not self._copy.size_bytes:
            self._copy.check()  # nothing is handed out, so nothing is compared
        for view in self._copy.blocks(self._copy.size_bytes):
            yield from self._sealed(view)
        missing = self.size_bytes - self._copy.size_bytes
        yield from self._sealed(bytes([missing]) * missing)
        self._cipher.finalize()

    def _sealed(self, data: memoryview | bytes) -> Iterator[memoryview]:
        sealed = self._room[: self._cipher.update_into(data, self._room)]
        if sealed:
            self._md5.update(sealed)
            self._sha256.update(sealed)
            yield sealed

    def md5(self) -> str:
        """See Body.md5."""
        return self._md5.hexdigest()

    def sha256(self) -> str:
        """The digest of what was handed out so far."""
        return self._sha256.hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """The destination's wish that clips are encrypted to its key."""

    public_key: RSAPublicKey
    public_key_id: str

    def body(self, copy: SpoolCopy) -> SealedBody:
        """The clip, encrypted with a new content key."""
        return SealedBody(copy, self.public_key, self.public_key_id)


def sealed_size(size_bytes: int) -> int:
    """How large the encrypted clip is: padded to whole blocks, with one to sixteen bytes."""
    return (size_bytes // _CIPHER_BLOCK_BYTES + 1) * _CIPHER_BLOCK_BYTES


def _key_object(key: bytes, iv: bytes, public_key: RSAPublicKey, public_key_id: str) -> bytes:
    # OAEP needs no collision resistance of its hash; another one could not be opened by `openssl rsautl -oaep`.
    wrapped = public_key.encrypt(key, OAEP(MGF1(SHA1()), SHA1(), None))  # noqa: S303
    facts = {
        "EncryptedKey": base64.b64encode(wrapped).decode("ascii"),
        "ContentEncryptionIV": base64.b64encode(iv).decode("ascii"),
        "PublicKeyId": public_key_id,
    }
    # One attribute a line: the published tools cut the values out with grep.
    return (json.dumps(facts, indent=2) + "\n").encode()
