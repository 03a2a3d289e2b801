"""A station's store at a content destination, and the keys with which the destination opens what is encrypted."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores.client import OpenedStore, open_store
from agent.stores.settings import StoreSettings
from tests.contracts.store_place import Hints
from tests.fakes.axis_server import AxisServer, Container, connection

WAIT_S = 20.0


@cache
def private_key() -> RSAPrivateKey:
    """The destination's; making one takes a while."""
    return generate_private_key(65537, 2048)


def encryption() -> dict[str, Any]:
    """What a connection file says that wants encryption."""
    pem = private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"WantEncryption": True, "PublicKey": base64.b64encode(pem).decode(), "PublicKeyId": "key of 2026"}


def unsealed(container: Container, name: str) -> bytes:
    """Decrypt a clip with the destination's private key."""
    key = json.loads(container.objects[f"{name.rpartition('.')[0]}.key"].data)
    # The published interface wraps keys so.
    wrap = OAEP(MGF1(SHA1()), SHA1(), None)  # noqa: S303
    content_key = private_key().decrypt(base64.b64decode(key["EncryptedKey"]), wrap)
    cipher = Cipher(AES256(content_key), CBC(base64.b64decode(key["ContentEncryptionIV"]))).decryptor()
    padded = cipher.update(container.objects[name].data) + cipher.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def digests(server: AxisServer, *, sealed: bool = False) -> list[str]:
    """The SHA-256 of each clip as the camera had it."""
    found = []
    for path, stored in server.clips().items():
        place, name = path.split("/")
        data = unsealed(server.containers[place], name) if sealed else stored.data
        found.append(hashlib.sha256(data).hexdigest())
    return found


def write_connection(file: Path, said: dict[str, Any] | bytes) -> Path:
    file.touch(0o600)
    file.write_bytes(said if isinstance(said, bytes) else json.dumps(said).encode())
    return file


def open_axis(file: Path, **more: Any) -> OpenedStore:
    """Open the store as it is configured; `marks` is the folder of what is never forgotten."""
    settings = StoreSettings("central", f"axis:{file}", ReceiptKind.READBACK, connect_s=3.0, stall_s=5.0)
    known = {"station": "hub7", "clock": lambda: datetime.now(UTC), "spool_dir": file.parent}
    marks = more.pop("marks", None)
    return open_store(replace(settings, **more), marks=marks, **known)  # type: ignore[arg-type]


@asynccontextmanager
async def station(server: AxisServer, folder: Path, **said: Any) -> AsyncIterator[EvidenceStore]:
    """One run of a station whose marks lie in `folder`."""
    file = write_connection(folder / "connection.json", connection(server, **said))
    store = open_axis(file, marks=folder / "stores").store
    try:
        yield store
    finally:
        await store.close()


async def bring(store: EvidenceStore, shipment: Shipment, hint: str | None = None) -> str:
    """Send and prove; the handle."""
    transfer = Transfer()
    handle = await store.send(shipment, hint, transfer, Hints(transfer).keep)
    receipt = await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert store.still_proves(receipt)
    return handle
