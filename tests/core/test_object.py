"""Digests, receipt kinds and the spool copy's moves."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.object import EMPTY_DIGEST, SPOOL_MOVES, ReceiptKind, SpoolState, as_digest


@given(st.binary())
def test_every_sha256_in_lower_case_hex_is_a_digest(data: bytes) -> None:
    text = hashlib.sha256(data).hexdigest()
    assert as_digest(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", " " + "0" * 63, "٣" * 64, "../" + "0" * 61],
)
def test_what_is_not_a_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        as_digest(text)


def test_the_empty_digest_is_that_of_no_bytes() -> None:
    assert hashlib.sha256(b"").hexdigest() == EMPTY_DIGEST


def test_a_signed_receipt_is_the_strongest_and_a_checksum_the_weakest() -> None:
    assert sorted(ReceiptKind) == [ReceiptKind.CHECKSUM, ReceiptKind.READBACK, ReceiptKind.SIGNED]
    assert [int(kind) for kind in sorted(ReceiptKind)] == [1, 2, 3]


@pytest.mark.parametrize("kind", ReceiptKind)
def test_a_kind_comes_back_from_its_word(kind: ReceiptKind) -> None:
    assert ReceiptKind.of(kind.word) is kind


@pytest.mark.parametrize("word", ["", "sign", "signed ", "3", "none"])
def test_an_unknown_kind_is_refused_with_the_known_ones(word: str) -> None:
    with pytest.raises(ValueError, match="signed, readback or checksum"):
        ReceiptKind.of(word)


def test_the_spool_copy_only_comes_and_goes() -> None:
    assert {(SpoolState.ABSENT, SpoolState.PRESENT), (SpoolState.PRESENT, SpoolState.ABSENT)} == SPOOL_MOVES
