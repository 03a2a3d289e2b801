"""A store that is wrong about how many bytes it holds: never skipped, never completed wrongly, always mended."""

import json

import pytest

from agent.core.errors import (
    ReceiptInvalid,
    SpoolCorrupt,
    StoreError,
    StoreLied,
)
from agent.core.object import ReceiptKind
from agent.stores.uploads import UploadSpoiled
from tests.contracts.store_place import MIB, make_bytes, make_shipment, stopped_halfway
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import Try, half


@pytest.mark.parametrize("fault", ["offset 3000000", "offset 99999999", "offset -1", "offset many", "offset 0x10"])
async def test_an_impossible_offset_gives_the_upload_up_and_the_next_try_sends_everything_anew(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = fault
    await attempt.fail(UploadSpoiled)
    del hostile.faults["HEAD"]
    handle = await attempt.send()
    assert handle.endswith("/u1")
    assert hostile.uploads["u1"].data == attempt.shipment.file.read_bytes()


async def test_another_length_gives_the_upload_up(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = "length 17"
    await attempt.fail(UploadSpoiled)
    assert json.loads(attempt.hints.last or "") == {}


async def test_an_offset_behind_ours_is_followed(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = "behind"
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_a_store_that_keeps_less_than_it_accepts_is_sent_the_rest(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "keep less"
    await attempt.fail(StoreLied)
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_a_store_that_accepts_and_keeps_nothing_is_caught(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "keep nothing"
    await attempt.fail(StoreLied)
    assert hostile.methods().count("PATCH") == 1


async def test_a_store_that_claims_more_than_it_was_sent_is_caught(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "claim more"
    await attempt.fail(UploadSpoiled)


@pytest.mark.parametrize("fault", ["lie less", "alter", "hole"])
async def test_bytes_that_were_lost_or_altered_are_not_proved_and_are_sent_anew(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    data = attempt.shipment.file.read_bytes()[:MIB]
    small = make_shipment(attempt.shipment.file.parent, data)
    attempt.shipment = small
    hostile.faults["PATCH"] = fault
    handle = await attempt.send()
    with pytest.raises(ReceiptInvalid):
        await attempt.store.prove(small, handle, ReceiptKind.READBACK)
    hostile.faults.clear()
    again = await attempt.send()
    assert again != handle
    assert (await attempt.store.prove(small, again, ReceiptKind.READBACK)).sha256 == small.sha256


async def test_a_conflict_asks_the_store_again_and_goes_on(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    real = len(hostile.uploads["u0"].data)
    hostile.faults["HEAD"] = f"offset {real - 5}"  # a wrong offset at first, then the 409 makes us ask again
    hostile.faults["PATCH"] = "status 409"
    await attempt.fail(StoreLied)
    assert hostile.methods().count("PATCH") > 2
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_bytes_altered_on_the_line_are_sent_anew(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["PATCH"] = "status 460"
    await attempt.fail(UploadSpoiled)
    hostile.faults.clear()
    assert hostile.uploads == {}
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


@pytest.mark.parametrize("fault", ["status 423", "status 500", "status 503", "status 429", "status 401"])
async def test_a_refusal_to_say_where_an_upload_stands_never_begins_a_new_one(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = fault
    with pytest.raises(StoreError):
        await attempt.send()
    hostile.faults.clear()
    await attempt.send()
    assert hostile.methods().count("POST") == 1
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


@pytest.mark.parametrize("code", [403, 404, 410])
async def test_an_upload_that_is_gone_is_created_anew(hostile: HostileStore, attempt: Try, code: int) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults["HEAD"] = f"status {code}"
    assert (await attempt.send()).endswith("/u1")


async def test_a_corrupt_copy_ends_the_upload_at_the_store(hostile: HostileStore, attempt: Try) -> None:
    data = bytearray(attempt.shipment.file.read_bytes())
    data[5] ^= 1
    attempt.shipment.file.write_bytes(data)
    await attempt.fail(SpoolCorrupt)
    assert hostile.methods()[-2:] == ["HEAD", "DELETE"]
    assert hostile.uploads == {}


async def test_something_that_is_no_tus_server_does_not_cost_the_upload(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    before = attempt.hints.last
    hostile.faults["HEAD"] = "not http"
    await attempt.fail(StoreError)
    assert attempt.hints.last == before


async def test_what_the_store_calls_finished_is_never_deleted_even_when_it_is_given_up(
    hostile: HostileStore, attempt: Try
) -> None:
    attempt.shipment = make_shipment(attempt.shipment.file.parent, make_bytes(1000))
    hostile.faults["PATCH"] = "keep and deny"
    await attempt.fail(UploadSpoiled)
    assert json.loads(attempt.hints.last or "") == {}
    assert hostile.methods() == ["POST", "PATCH", "HEAD"]
    assert hostile.stored() == [make_bytes(1000)]
