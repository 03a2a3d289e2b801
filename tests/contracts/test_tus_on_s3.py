"""The store contract against the official tus server with its S3 store, on a real object store."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from agent.core.object import ReceiptKind
from agent.ports import Shipment
from tests.contracts.s3_server import KEY_ID, SECRET, S3Server
from tests.contracts.store_contract import StoreContract
from tests.contracts.store_place import MIB, Place, make_bytes, make_shipment
from tests.contracts.test_stores import LIMITS, PEERS, server, tus_store, unreachable

BUCKET = "tus"
PATCH_BYTES = 8 * MIB
"""The size of the S3 store's parts: what is no multiple of it costs that store a copy of the rest at each PATCH."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    running = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        running.up()
        running.make_bucket(BUCKET)
        yield running
    finally:
        running.down()


@pytest.fixture(scope="module")
def url(s3: S3Server) -> Iterator[str]:
    node = PEERS / "node_modules" / ".bin" / "node"
    assert node.exists(), "the test servers are not installed: run scripts/peers"
    with server(node, PEERS / "tus_server.mjs", "s3", s3.origin, BUCKET, KEY_ID, SECRET, cwd=PEERS) as facts:
        yield str(facts["url"])


def objects(s3: S3Server) -> dict[str, str]:
    """What was completed, by its key: the digest. Beside it lie the server's notes and tails of unfinished uploads."""
    listing = s3.ask("GET", f"{s3.origin}/{BUCKET}?list-type=2")
    names = listing.text.split("<Key>")[1:]
    keys = [name.partition("</Key>")[0] for name in names]
    whole = [key for key in keys if not key.endswith((".info", ".part"))]
    return {key: hashlib.sha256(s3.ask("GET", f"{s3.origin}/{BUCKET}/{key}").content).hexdigest() for key in whole}


def lose(url: str, s3: S3Server, digest: str) -> None:
    """Have the server remove a finished object: what vanishes behind its back it calls whole for as long as it runs."""
    for key, found in objects(s3).items():
        if found == digest:
            gone = httpx.delete(f"{url}{key}", headers={"Tus-Resumable": "1.0.0"}, trust_env=False)
            assert gone.status_code == HTTPStatus.NO_CONTENT


class TestTusOnS3(StoreContract):
    @pytest.fixture
    def place(self, url: str, s3: S3Server) -> Place:
        limits = replace(LIMITS, patch_bytes=PATCH_BYTES)
        return Place(
            open=lambda: tus_store(url, limits=limits),
            open_unreachable=unreachable,
            held=lambda: list(objects(s3).values()),
            require=ReceiptKind.READBACK,
            lose=lambda digest: lose(url, s3, digest),
            can_find=False,
        )

    @pytest.fixture
    def shipment(self, tmp_path: Path) -> Shipment:
        """Two whole parts and a rest that is too small for a part of its own."""
        return make_shipment(tmp_path, make_bytes(2 * PATCH_BYTES + 77, str(tmp_path)))
