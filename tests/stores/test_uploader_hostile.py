"""A hostile store beside an honest one. In all: nothing is confirmed by it, everything else goes on, people are told
in words, and it all comes to its end once the store behaves."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core import retry_policy
from agent.core.clip import Custody
from agent.core.object import Digest
from agent.core.retry_policy import LIED_S, RETRY_AFTER_CAP_S, STRIKES
from agent.stores.credential import read_credential
from tests.contracts.store_place import make_bytes
from tests.fakes.hostile_store import HostileStore
from tests.services.stage import put
from tests.stores.hostile_try import TOKEN
from tests.stores.two_stores import LIMIT_S, TwoStores, two_stores

FIRST, SECOND, THIRD = (make_bytes(250_000, seed) for seed in ("first", "second", "third"))


@pytest.fixture
async def station(tmp_path: Path, hostile: HostileStore) -> AsyncIterator[TwoStores]:
    async with HostileStore() as honest, two_stores(tmp_path, hostile, honest) as running:
        yield running


WHOLE_STORE = {
    "down": ({}, "no connection to the store (Connection refused)"),
    "hangs": ({"POST": "silence"}, "no complete answer within"),
    "a byte a minute": ({"POST": "drip"}, "no complete answer within"),
    "never-ending 1xx": ({"POST": "endless 1xx"}, "no complete answer within"),
    "takes no bytes": ({"PATCH": "sip"}, "did not answer in time"),
    "hangs in mid-body": ({"PATCH": "silence mid-body"}, "did not answer in time"),
    "RST in mid-body": ({"PATCH": "reset mid-body"}, "the connection broke"),
    "RST": ({"POST": "reset"}, "the connection broke"),
    "401 in mid-upload": ({"PATCH": "status 401 mid-body"}, "does not accept this station's credential (401)"),
    "403": ({"POST": "status 403"}, "does not accept this station's credential (403)"),
    "507": ({"PATCH": "status 507"}, "store disk full (507)"),
    "503": ({"POST": "status 503"}, "asks for patience (503)"),
    "redirect": ({"POST": "status 307 Location=http://evil.example/"}, "redirects to evil.example"),
    "receipts hang": ({"RECEIPT": "silence"}, "no complete answer within"),
}


@pytest.mark.parametrize(("faults", "words"), WHOLE_STORE.values(), ids=WHOLE_STORE.keys())
async def test_a_store_that_does_not_serve_stops_itself_only(
    station: TwoStores, faults: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "BASE_S", 100.0)  # the store is not asked again before a person says so
    hostile, honest = station.hostile, station.honest
    if not faults:
        hostile.down()
    hostile.faults = dict(faults)
    objects = [station.put(FIRST)]
    await station.until_told(words)
    objects.append(station.put(SECOND))
    await station.until(lambda: {FIRST, SECOND} <= set(honest.stored()), "the honest store has both")
    assert [station.custody(digest) for digest in objects] == [{Custody.SPOOLED}] * 2
    hostile.faults = {}
    if not faults:
        await hostile.up()
    await station.retry()
    await station.until(lambda: station.confirmed(*objects), "both are confirmed")
    assert {FIRST, SECOND} <= set(hostile.stored())
    assert await station.problem() == ""
    assert hostile.strangers == 0


ONE_OBJECT = {
    "offset ahead": ({"PATCH": "status 409", "HEAD": "offset 999999"}, "but at most"),
    "offset behind": ({"PATCH": "keep nothing"}, "but stands at 0"),
    "claims more": ({"PATCH": "claim more"}, "but at most"),
    "keeps less": ({"PATCH": "keep less"}, "but stands at"),
    "204 with fewer bytes": ({"PATCH": "lie less"}, "differ"),
    "other bytes": ({"PATCH": "alter"}, "sha256 differ"),
    "a piece lost amid the right size": ({"PATCH": "hole"}, "sha256 differ"),
    "another address": ({"POST": "location http://127.0.0.1:1/files/u0"}, "not on its own host"),
    "500": ({"PATCH": "status 500"}, "the store answered 500"),
    "413": ({"POST": "status 413"}, "larger than the store accepts (413)"),
    "100 MB of headers": ({"POST": "huge header"}, "headers are too large"),
    "endless headers": ({"PATCH": "endless headers"}, "headers are too large"),
    "no HTTP": ({"POST": "not http"}, "not proper HTTP"),
    "compressed bomb": ({"RECEIPT": "bomb"}, "compressed answer"),
    "endless receipt": ({"RECEIPT": "endless body"}, "larger than"),
    "no receipt": ({"RECEIPT": "status 404"}, "no receipt for the upload"),
    "forged receipt": ({"RECEIPT": "forged"}, "signature is wrong"),
    "edited receipt": ({"RECEIPT": "edited"}, "signature is wrong"),
    "replayed receipt": ({"RECEIPT": "replayed"}, "nonce differ"),
    "expired receipt": ({"RECEIPT": "past"}, "by this station's clock"),
    "receipt from the future": ({"RECEIPT": "future"}, "by this station's clock"),
    "other clip's receipt": ({"RECEIPT": "other clip"}, "sha256 differ"),
    "other station's receipt": ({"RECEIPT": "other station"}, "station differ"),
    "unknown key": ({"RECEIPT": "other key"}, "unknown key"),
}


@pytest.mark.parametrize(("faults", "words"), ONE_OBJECT.values(), ids=ONE_OBJECT.keys())
async def test_a_store_that_lies_about_one_object_stops_that_one_only(
    station: TwoStores, faults: dict[str, str], words: str
) -> None:
    before = station.put(THIRD)
    await station.until(lambda: station.confirmed(before), "all is well at first")
    victim = await lied_about(station, faults)
    other = station.put(SECOND)
    await station.until(lambda: station.confirmed(other), "the other is confirmed")
    text = await station.until_told(words)
    assert "An object does not get through, the others go on" in text
    assert station.custody(victim) == {Custody.SPOOLED}
    await station.until(lambda: FIRST in station.honest.stored(), "the other store has it")
    station.hostile.faults = {}
    await station.retry()
    await station.until(lambda: station.confirmed(victim), "it is confirmed as well")
    assert FIRST in station.hostile.stored()
    assert await station.problem() == ""


async def lied_about(station: TwoStores, faults: dict[str, str]) -> Digest:
    """Spool an object that alone gets these faults."""
    station.hostile.faults = dict(faults)
    station.hostile.only = "nothing yet"
    victim = station.put(FIRST)
    station.hostile.only = victim
    return victim


async def test_a_lie_that_never_ends_calls_a_person_after_three_strikes_and_is_then_listened_to_once_an_hour(
    station: TwoStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "BASE_S", 0.02)
    victim = await lied_about(station, {"RECEIPT": "forged"})

    async def asked() -> bool:
        return bool((await station.upload_of(victim)).get("asks_person"))

    await station.until(asked, "a person is asked")
    row = await station.upload_of(victim)
    assert row["attempts"] == STRIKES
    pause = datetime.fromisoformat(row["next_at"]) - datetime.now(UTC)
    assert timedelta(seconds=LIED_S / 2 - 60) < pause <= timedelta(seconds=LIED_S)
    others = [station.put(SECOND), station.put(THIRD)]
    await station.until(lambda: station.confirmed(*others), "the others go on")
    assert (await station.upload_of(victim))["attempts"] == STRIKES
    assert station.custody(victim) == {Custody.SPOOLED}
    assert "signature is wrong" in await station.problem()


async def test_a_wish_for_ten_years_of_patience_is_granted_for_an_hour(station: TwoStores) -> None:
    station.hostile.faults = {"POST": "status 429 Retry-After=315360000"}
    victim = station.put(FIRST)
    assert "315360000 s" in await station.until_told("asks for patience")
    left_s = station.desk._uploader.pauses["hostile"].until - time.monotonic()
    assert RETRY_AFTER_CAP_S - LIMIT_S < left_s <= RETRY_AFTER_CAP_S + 10
    assert station.custody(victim) == {Custody.SPOOLED}


async def test_a_credential_that_was_taken_back_is_exchanged_without_a_restart(
    tmp_path: Path, hostile: HostileStore
) -> None:
    file = tmp_path / "credential"
    file.write_text(TOKEN)
    async with HostileStore() as honest, two_stores(tmp_path, hostile, honest, read_credential(file)) as station:
        hostile.token = "hub7.new"
        victim = station.put(FIRST)
        await station.until_told("does not accept this station's credential (401)")
        file.write_text("hub7.new")
        await station.retry()
        await station.until(lambda: station.confirmed(victim), "it is confirmed")
    assert hostile.stored() == [FIRST]


async def test_a_202_is_no_proof_and_what_it_kept_is_not_sent_twice(station: TwoStores) -> None:
    victim = await lied_about(station, {"PATCH": "keep and 202"})
    await station.until_told("answered 202")
    assert station.custody(victim) == {Custody.SPOOLED}
    station.hostile.faults = {}
    await station.retry()
    await station.until(lambda: station.confirmed(victim), "it is confirmed")
    assert station.hostile.stored() == [FIRST]


async def test_what_a_store_forgot_after_it_confirmed_it_is_brought_again_at_the_next_sighting(
    station: TwoStores,
) -> None:
    digest = station.put(FIRST)
    await station.until(lambda: station.confirmed(digest), "it is confirmed")
    station.hostile.uploads.clear()  # every question about it is a 404 from now on
    put(station.kit, "CAM-OTHER", FIRST)
    station.kit.ring()
    await station.until(lambda: FIRST in station.hostile.stored(), "the store has it again")
    await station.until(lambda: station.confirmed(digest), "both sightings are confirmed")
    assert station.honest.methods().count("PATCH") == 3  # the honest one was asked for a receipt and sent nothing anew
