"""Keys and statements, byte by byte. What a whole lying store does is in test_tus_hostile."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import ConfigError, ReceiptInvalid
from agent.core.object import Digest
from agent.core.receipt import Statement
from agent.stores.receipts import Expected, ReceiptKeys, check_receipt, key_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY, NEXT_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
EXPECTED = Expected("hub7", Digest("ab" * 32), 7, "u1", "0123456789abcdef" * 2)


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def answer(key: Ed25519PrivateKey = KEY, at: datetime = NOW) -> bytes:
    e = EXPECTED
    text = Statement(e.station, e.sha256, e.size_bytes, e.upload or "", e.nonce, at, key_id(key.public_key())).text()
    signature = base64.b64encode(key.sign(text.encode())).decode()
    return json.dumps({"statement": text, "signature": signature, "key": key_id(key.public_key())}).encode()


def test_a_receipt_by_the_old_and_by_the_new_key_is_accepted_while_both_are_pinned() -> None:
    keys = ReceiptKeys.parse(b"\n" + pem(KEY) + b"\n" + pem(NEXT_KEY))
    for key in (KEY, NEXT_KEY):
        assert check_receipt(answer(key), keys, EXPECTED, NOW).statement.key == key_id(key.public_key())


def test_the_kept_proof_can_be_checked_again() -> None:
    keys = ReceiptKeys.parse(pem(KEY))
    proof = check_receipt(answer(), keys, EXPECTED, NOW).proof
    assert check_receipt(proof.encode(), keys, EXPECTED, NOW).proof == proof


def test_a_key_that_is_no_longer_pinned_is_unknown() -> None:
    with pytest.raises(ReceiptInvalid, match="unknown key"):
        check_receipt(answer(KEY), ReceiptKeys.parse(pem(NEXT_KEY)), EXPECTED, NOW)


@pytest.mark.parametrize(
    ("off", "good"),
    [
        (timedelta(minutes=5), True),
        (timedelta(minutes=5, seconds=1), False),
        (timedelta(minutes=-10), True),
        (timedelta(minutes=-10, seconds=-1), False),
    ],
)
def test_a_statement_is_taken_within_the_clocks_tolerance_only(off: timedelta, *, good: bool) -> None:
    keys = ReceiptKeys.parse(pem(KEY))
    if good:
        check_receipt(answer(at=NOW + off), keys, EXPECTED, NOW)
    else:
        with pytest.raises(ReceiptInvalid, match="clock"):
            check_receipt(answer(at=NOW + off), keys, EXPECTED, NOW)


@given(position=st.integers(0, 10_000), value=st.integers(1, 255))
def test_no_single_altered_byte_passes_for_another_statement(position: int, value: int) -> None:
    keys = ReceiptKeys.parse(pem(KEY))
    body = bytearray(answer())
    body[position % len(body)] ^= value
    try:
        found = check_receipt(bytes(body), keys, EXPECTED, NOW)
    except ReceiptInvalid:
        return
    assert found.proof == check_receipt(answer(), keys, EXPECTED, NOW).proof


FIELDS = st.dictionaries(st.sampled_from(["statement", "signature"]), st.text(max_size=20) | st.integers())


@given(body=st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode()))
def test_any_answer_is_a_receipt_or_invalid(body: bytes) -> None:
    with pytest.raises(ReceiptInvalid):
        check_receipt(body, ReceiptKeys.parse(pem(KEY)), EXPECTED, NOW)


def test_deeply_nested_answers_are_invalid() -> None:
    with pytest.raises(ReceiptInvalid):
        check_receipt(b"[" * 60_000, ReceiptKeys.parse(pem(KEY)), EXPECTED, NOW)


@pytest.mark.parametrize("text", [b"", b"hello", pem(KEY)[:-20], pem(KEY) + b"-----BEGIN"])
def test_a_key_file_that_is_not_only_keys_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "central.pub").write_bytes(text)
    with pytest.raises(ConfigError, match=r"central\.pub"):
        ReceiptKeys.load(tmp_path / "central.pub")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).public_key()
    (tmp_path / "k.pub").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigError, match="Ed25519"):
        ReceiptKeys.load(tmp_path / "k.pub")


def test_a_missing_key_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        ReceiptKeys.load(tmp_path / "none.pub")
