"""Answers that refuse, stall, flood or never come: each time the exact error, and nothing leaked."""

import json
from dataclasses import replace

import pytest

from agent.core.errors import (
    AgentError,
    ObjectRefused,
    StoreBusy,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import ReceiptKind
from agent.stores.answer import CredentialRefused, UploadLocked
from tests.contracts.store_place import MIB, make_bytes, make_shipment
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import LIMITS, Try, adapter


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("silence", StoreUnreachable),
        ("drip", StoreUnreachable),
        ("endless 1xx", StoreUnreachable),
        ("reset", StoreUnreachable),
        ("endless headers", StoreError),
        ("huge header", StoreError),
        ("not http", StoreError),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_answer_that_never_ends_is_cut(
    hostile: HostileStore, attempt: Try, method: str, fault: str, kind: type[AgentError]
) -> None:
    hostile.faults[method] = fault
    await attempt.fail(kind)


@pytest.mark.parametrize("fault", ["silence mid-body", "drip mid-body", "endless 1xx mid-body", "sip"])
async def test_a_store_that_takes_no_more_bytes_is_left(hostile: HostileStore, attempt: Try, fault: str) -> None:
    attempt.shipment = make_shipment(attempt.shipment.file.parent, make_bytes(24 * MIB))  # more than sockets hold
    await attempt.use(adapter(hostile, replace(LIMITS, stall_s=0.5, patch_bytes=24 * MIB)))
    hostile.faults["PATCH"] = fault
    await attempt.fail(StoreUnreachable)
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


@pytest.mark.parametrize(("code", "kind"), [(401, CredentialRefused), (507, StoreRefused), (429, StoreBusy)])
async def test_a_refusal_amid_the_body_is_understood_and_the_rest_follows_later(
    hostile: HostileStore, attempt: Try, code: int, kind: type[AgentError]
) -> None:
    hostile.faults["PATCH"] = f"status {code} mid-body"
    await attempt.fail(kind)
    assert 0 < len(hostile.uploads["u0"].data) < attempt.shipment.size_bytes
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


@pytest.mark.parametrize("fault", ["silence after body", "drip after body"])
async def test_a_lost_last_answer_is_no_loss_when_the_store_has_all(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    attempt.shipment = make_shipment(attempt.shipment.file.parent, make_bytes(1000))
    hostile.faults["PATCH"] = fault
    handle = await attempt.send()
    assert hostile.methods() == ["POST", "PATCH", "HEAD"]
    assert (await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)).size_bytes == 1000


async def test_a_line_that_is_reset_after_the_last_byte_is_no_loss(hostile: HostileStore, attempt: Try) -> None:
    attempt.shipment = make_shipment(attempt.shipment.file.parent, make_bytes(1000))
    hostile.faults["PATCH"] = "reset after body"
    await attempt.send()
    assert hostile.stored() == [make_bytes(1000)]


async def test_a_reset_amid_the_body_is_resumed_where_the_store_stands(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "reset mid-body"
    await attempt.fail(StoreUnreachable)
    kept = len(hostile.uploads["u0"].data)
    assert 0 < kept <= json.loads(attempt.hints.last or "")["sent"] <= MIB
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]
    assert hostile.methods().count("POST") == 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("status 401", CredentialRefused, "credential"),
        ("status 403", CredentialRefused, "credential"),
        ("status 400", ObjectRefused, "400"),
        ("status 412", StoreRefused, "412"),
        ("status 413", ObjectRefused, "larger"),
        ("status 423", UploadLocked, "locked"),
        ("status 429 Retry-After=17", StoreBusy, "patience"),
        ("status 503", StoreBusy, "patience"),
        ("status 500", StoreError, "500"),
        ("status 507", StoreRefused, "store disk full"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_each_refusal_says_what_it_is(
    hostile: HostileStore, attempt: Try, method: str, fault: str, kind: type[AgentError], words: str
) -> None:
    hostile.faults[method] = fault
    assert words in str(await attempt.fail(kind))


async def test_a_creation_that_was_not_confirmed_as_one_is_no_creation(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["POST"] = "status 204"
    assert "204" in str(await attempt.fail(StoreError))


async def test_an_absurd_wait_is_passed_on_as_it_is(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["POST"] = "status 429 Retry-After=315360000"
    assert (await attempt.fail(StoreBusy)).retry_after_s == 315360000.0
