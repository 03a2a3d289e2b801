"""The key that signs receipts: Ed25519, made at the first start, never shown.

`key.pem` (PKCS#8, 0600) is the secret; `receipt.pub` (SubjectPublicKeyInfo in PEM) is what stations pin. The key id is
the first 16 hex digits of the SHA-256 of the 32 raw bytes of the public key.
"""

import hashlib
from base64 import b64encode
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from agent.core.receipt import Statement
from agent.depot.refusal import DepotError
from agent.files.durable import DurablePart

SECRET = "key.pem"  # noqa: S105 - a file name
PUBLIC = "receipt.pub"
_ANYONE_ELSE = 0o077


class SigningKey:
    """A loaded key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Wrap `key`."""
        self._key = key
        self.public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.sha256(raw).hexdigest()[:16]

    def sign(self, statement: Statement) -> str:
        """Sign the statement's text; base64. Raises ValueError when a field does not fit the format."""
        return b64encode(self._key.sign(statement.text().encode("ascii"))).decode("ascii")


def load_key(depot: Path) -> SigningKey:
    """Load the depot's key, or make one when the depot is new. Raises DepotError, OSError."""
    secret, public = depot / SECRET, depot / PUBLIC
    if not secret.exists():
        if public.exists():
            hint = f"Put {SECRET} back from a copy; stations do not believe receipts of another key."
            raise DepotError(f"{secret} is missing, but {public} is there", hint=hint)
        _publish(secret, _new_secret(), 0o600)
    key = SigningKey(_read(secret))
    if not public.exists():
        _publish(public, key.public_pem.encode("ascii"), 0o644)
    elif public.read_text("ascii", "replace") != key.public_pem:
        hint = f"Move {public} away and start again to write the right one, or put back the {SECRET} it belongs to."
        raise DepotError(f"{public} does not belong to {secret}", hint=hint)
    return key


def _read(secret: Path) -> Ed25519PrivateKey:
    if secret.stat().st_mode & _ANYONE_ELSE:
        hint = f"Run `chmod 600 {secret}`; if others could read it, make a new key and give stations its {PUBLIC}."
        raise DepotError(f"{secret} can be read by others than its owner", hint=hint)
    try:
        key = load_pem_private_key(secret.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DepotError(f"{secret} is not a readable key: {error}", hint="Put it back from a copy.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise DepotError(f"{secret} is not an Ed25519 key", hint="Put it back from a copy.")
    return key


def _new_secret() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _publish(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # left behind by a kill; the flock keeps others away
    with DurablePart(fresh) as part:
        part.write(content)
        part.publish(path, mode)
