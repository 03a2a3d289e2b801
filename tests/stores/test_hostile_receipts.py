"""Proofs that are not exactly right, and stores that do anything but prove."""

import json

import pytest

from agent.core.errors import (
    AgentError,
    ObjectRefused,
    ReceiptInvalid,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import ReceiptKind
from agent.stores.answer import AnswerTooLarge, CredentialRefused
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import Try


async def test_a_true_receipt_proves(hostile: HostileStore, signed: Try) -> None:
    receipt = await signed.store.prove(signed.shipment, await signed.send(), ReceiptKind.SIGNED)
    assert receipt.kind is ReceiptKind.SIGNED
    assert {"statement", "signature", "key"} == set(json.loads(receipt.proof))
    assert hostile.asked[-1].path.startswith("/receipts/u0?nonce=")


@pytest.mark.parametrize(
    "fault",
    [
        "other clip",
        "other size",
        "other station",
        "other upload",
        "other nonce",
        "other key",
        "forged",
        "edited",
        "future",
        "past",
        "no json",
        "status 404",
        "status 409",
        "status 410",
    ],
)
async def test_a_receipt_that_is_not_exactly_right_proves_nothing(
    hostile: HostileStore, signed: Try, fault: str
) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = fault
    with pytest.raises(ReceiptInvalid) as caught:
        await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    if fault in ("future", "past"):
        assert "clock" in str(caught.value)


async def test_a_replayed_receipt_proves_nothing(hostile: HostileStore, signed: Try) -> None:
    handle = await signed.send()
    await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    hostile.faults["RECEIPT"] = "replayed"
    with pytest.raises(ReceiptInvalid, match="nonce"):
        await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)


@pytest.mark.parametrize("fault", ["forged", "other key", "other clip"])
async def test_a_false_receipt_is_not_made_good_by_reading_back(hostile: HostileStore, signed: Try, fault: str) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = fault
    with pytest.raises(ReceiptInvalid):
        await signed.store.prove(signed.shipment, handle, ReceiptKind.READBACK)


async def test_a_store_without_receipts_is_read_back_if_that_is_enough(hostile: HostileStore, signed: Try) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = "status 404"
    receipt = await signed.store.prove(signed.shipment, handle, ReceiptKind.READBACK)
    assert receipt.kind is ReceiptKind.READBACK


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("bomb", StoreError),
        ("endless body", AnswerTooLarge),
        ("endless headers", StoreError),
        ("drip", StoreUnreachable),
        ("status 302 Location=http://evil.example/", StoreRefused),
        ("status 401", CredentialRefused),
        ("status 500", StoreError),
    ],
)
async def test_no_answer_to_the_question_for_a_receipt_does_harm(
    hostile: HostileStore, signed: Try, fault: str, kind: type[AgentError]
) -> None:
    handle = await signed.send()
    hostile.faults["RECEIPT"] = fault
    with pytest.raises(AgentError) as caught:
        await signed.store.prove(signed.shipment, handle, ReceiptKind.SIGNED)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("bomb", StoreError),
        ("endless body", ReceiptInvalid),
        ("reset", StoreUnreachable),
        ("silence", StoreUnreachable),
        ("status 404", ObjectRefused),
        ("status 405", StoreRefused),
        ("status 302 Location=http://evil.example/", StoreRefused),
    ],
)
async def test_a_read_back_that_goes_wrong_proves_nothing(
    hostile: HostileStore, attempt: Try, fault: str, kind: type[AgentError]
) -> None:
    handle = await attempt.send()
    hostile.faults["GET"] = fault
    with pytest.raises(kind) as caught:
        await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)
    assert isinstance(caught.value, ObjectRefused) is (kind is ObjectRefused)


async def test_a_readback_is_never_given_where_a_signature_is_demanded(hostile: HostileStore, attempt: Try) -> None:
    handle = await attempt.send()
    with pytest.raises(ReceiptInvalid):
        await attempt.store.prove(attempt.shipment, handle, ReceiptKind.SIGNED)
    assert "GET" not in hostile.methods()
