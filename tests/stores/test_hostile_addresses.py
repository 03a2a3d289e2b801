"""A store that names other places: nothing ever goes anywhere but to the configured one."""

import pytest

from agent.core.errors import StoreLied, StoreRefused
from agent.core.object import ReceiptKind
from tests.contracts.store_place import stopped_halfway
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import TOKEN, Try, half


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH"])
async def test_a_redirect_is_never_followed(hostile: HostileStore, attempt: Try, method: str) -> None:
    if method == "HEAD":
        attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.faults[method] = f"status 307 Location={hostile.elsewhere}"
    error = await attempt.fail(StoreRefused)
    assert "127.0.0.1" in str(error)
    assert hostile.strangers == 0


@pytest.mark.parametrize(
    "place", ["elsewhere", "//127.0.0.1:1/files/u0", "https://127.0.0.1/files/u0", "/files/", "\x7f"]
)
async def test_an_upload_address_that_is_not_the_stores_own_is_a_lie(
    hostile: HostileStore, attempt: Try, place: str
) -> None:
    hostile.faults["POST"] = "location " + (hostile.elsewhere if place == "elsewhere" else place)
    await attempt.fail(StoreLied)
    assert hostile.strangers == 0
    assert hostile.methods() == ["POST"]


@pytest.mark.parametrize("place", ["u0", "/files/u0", "//HOST/files/u0", "http://HOST/files/u0"])
async def test_every_way_of_naming_an_upload_here_is_understood(
    hostile: HostileStore, attempt: Try, place: str
) -> None:
    hostile.faults["POST"] = "location " + place.replace("HOST", hostile.url.split("/")[2])
    assert await attempt.send() == hostile.url + "u0"


async def test_nothing_but_the_credential_header_carries_the_token(hostile: HostileStore, attempt: Try) -> None:
    await attempt.send()
    assert {asked.headers.pop("authorization") for asked in hostile.asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in repr([(asked.method, asked.path, asked.headers) for asked in hostile.asked])


async def test_a_handle_of_another_store_is_refused(hostile: HostileStore, attempt: Try) -> None:
    with pytest.raises(StoreLied):
        await attempt.store.prove(attempt.shipment, hostile.elsewhere, ReceiptKind.READBACK)
    assert hostile.strangers == 0
