"""Kept receipts, checked again before footage is wiped: with the keys of today, asking nobody."""

import base64
import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.core.object import Digest, Receipt, ReceiptKind
from agent.core.receipt import Statement
from agent.stores.client import open_store
from agent.stores.directory import DirectoryStore
from agent.stores.endpoint import Endpoint
from agent.stores.receipts import ReceiptKeys, key_id
from agent.stores.remote import Remote
from agent.stores.settings import StoreSettings
from agent.stores.tus import TusStore

LONG_AGO = datetime(2021, 1, 2, 3, 4, 5, tzinfo=UTC)
OLD, NEW, STRANGE = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
URL = "https://store.example/files/"
GOOD = Statement("hub7", Digest("ab" * 32), 7, "u1", "01" * 16, LONG_AGO, "")


def pinned(*keys: Ed25519PrivateKey) -> ReceiptKeys:
    return ReceiptKeys({key_id(key.public_key()): key.public_key() for key in keys})


def tus(keys: ReceiptKeys | None, station: str = "hub7") -> TusStore:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return TusStore(Remote("central", Endpoint.of(URL), station, lambda: datetime.now(UTC), tls), keys)


def proof_of(statement: Statement, key: Ed25519PrivateKey = OLD) -> str:
    named = replace(statement, key=key_id(key.public_key()))
    signature = base64.b64encode(key.sign(named.text().encode())).decode()
    return json.dumps({"statement": named.text(), "signature": signature, "key": named.key})


def signed(statement: Statement = GOOD, key: Ed25519PrivateKey = OLD) -> Receipt:
    handle = "https://store.example:443/files/u1"
    proof = proof_of(statement, key)
    return Receipt("central", ReceiptKind.SIGNED, GOOD.sha256, GOOD.size_bytes, handle, LONG_AGO, proof)


@pytest.mark.parametrize("keys", [pinned(OLD), pinned(NEW, OLD)], ids=["the old key", "old and new key"])
def test_a_receipt_of_years_ago_still_proves_while_its_key_is_pinned(keys: ReceiptKeys) -> None:
    assert tus(keys).still_proves(signed())


@pytest.mark.parametrize("keys", [pinned(NEW), pinned(), None], ids=["new key only", "no key", "none configured"])
def test_a_receipt_whose_key_is_no_longer_pinned_proves_nothing(keys: ReceiptKeys | None) -> None:
    assert not tus(keys).still_proves(signed())


@pytest.mark.parametrize(
    "statement",
    [
        replace(GOOD, station="hub9"),
        replace(GOOD, sha256=Digest("cd" * 32)),
        replace(GOOD, size_bytes=8),
        replace(GOOD, upload="u2"),
        replace(GOOD, issued_at=LONG_AGO + timedelta(seconds=1)),
    ],
    ids=["station", "sha256", "size", "upload", "time"],
)
def test_a_true_statement_about_something_else_proves_nothing(statement: Statement) -> None:
    assert not tus(pinned(OLD)).still_proves(signed(statement))


def test_a_statement_for_the_former_name_of_this_station_proves_nothing() -> None:
    assert not tus(pinned(OLD), station="hub8").still_proves(signed())


def test_a_signature_by_another_key_under_the_name_of_a_pinned_one_proves_nothing() -> None:
    fields = json.loads(proof_of(GOOD))
    fields["signature"] = base64.b64encode(STRANGE.sign(fields["statement"].encode())).decode()
    assert not tus(pinned(OLD)).still_proves(replace(signed(), proof=json.dumps(fields)))


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "null",
        "[" * 60_000,
        "\udcff",
        '{"statement": "bwv-receipt/1", "signature": ""}',
        '{"statement": 1, "signature": 1}',
        proof_of(GOOD) + " ",
        proof_of(GOOD).replace("size 7", "size 8"),
        proof_of(GOOD).replace('"key": "', '"key": "0'),
        "9" * 5000,
    ],
    ids=range(10),
)
def test_a_proof_that_was_edited_or_is_none_proves_nothing_and_harms_nothing(proof: str) -> None:
    assert not tus(pinned(OLD)).still_proves(replace(signed(), proof=proof))
    assert not tus(pinned(OLD)).still_proves(replace(signed(), proof=proof, kind=ReceiptKind.READBACK))


@given(position=st.integers(0, 10_000), char=st.characters())
def test_no_single_altered_letter_passes(position: int, char: str) -> None:
    proof = list(proof_of(GOOD))
    position %= len(proof)
    changed = proof[position] != char
    proof[position] = char
    assert STORE.still_proves(replace(signed(), proof="".join(proof))) is not changed


STORE = tus(pinned(OLD))


@given(proof=st.text(), handle=st.text() | st.just("http://["))
def test_no_kept_text_breaks_the_check(proof: str, handle: str) -> None:
    for kind in ReceiptKind:
        assert not STORE.still_proves(replace(signed(), proof=proof, handle=handle, kind=kind))


@pytest.mark.parametrize("handle", ["http://[", "", "https://store.example:443/files/u2"])
def test_a_receipt_under_another_address_than_its_upload_proves_nothing(handle: str) -> None:
    assert not tus(pinned(OLD)).still_proves(replace(signed(), handle=handle))


def test_a_receipt_got_by_digest_may_name_any_upload() -> None:
    handle = f"https://store.example:443/receipts/by-digest/{GOOD.sha256}"
    assert tus(pinned(OLD)).still_proves(replace(signed(), handle=handle))


@pytest.fixture
def directory(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore("central", tmp_path, lambda: datetime.now(UTC))


def test_a_read_back_is_checked_by_our_own_record(directory: DirectoryStore) -> None:
    handle = f"objects/{GOOD.sha256}"
    facts = {"kind": "readback", "place": handle, "sha256": GOOD.sha256, "size": 1, "at": LONG_AGO.isoformat()}
    good = Receipt("central", ReceiptKind.READBACK, GOOD.sha256, 1, handle, LONG_AGO, json.dumps(facts))
    assert directory.still_proves(good)
    for edit in ({"size": 2}, {"size": True}, {"size": None}, {"sha256": "cd" * 32}, {"kind": "signed"}, {"place": 1}):
        assert not directory.still_proves(replace(good, proof=json.dumps(facts | edit)))
    assert not directory.still_proves(replace(good, kind=ReceiptKind.CHECKSUM))
    assert not directory.still_proves(replace(good, kind=ReceiptKind.SIGNED, proof=proof_of(GOOD)))


@pytest.mark.parametrize("url", ["tus+https://store.example/files", "file:///srv/evidence%20one"])
async def test_an_opened_store_names_its_place_as_it_was_configured(tmp_path: Path, url: str) -> None:
    found = StoreSettings("central", url, ReceiptKind.READBACK)
    store = open_store(found, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path).store
    assert store.place == url
    await store.close()


def test_a_store_that_is_made_by_hand_names_its_address(tmp_path: Path) -> None:
    assert tus(None).place == "tus+https://store.example:443/files/"
    assert DirectoryStore("nas", tmp_path / "a b", lambda: datetime.now(UTC)).place == f"file://{tmp_path}/a%20b"
