"""Object Lock, legal holds, tags and TLS at a real S3 server, as they are configured."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.errors import ObjectRefused, StoreRefused
from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores.client import open_store
from agent.stores.s3_part import PART_BYTES
from agent.stores.s3_retention import LockMode, NotLocked, Retention
from agent.stores.settings import StoreSettings
from tests.contracts.s3_server import KEY_ID, SECRET, S3Server
from tests.contracts.store_place import Hints, make_bytes, make_shipment
from tests.stores.certificates import Authority

SMALL, IN_PARTS = 1000, PART_BYTES + 1000
COMPLIANCE = Retention(LockMode.COMPLIANCE, days=31)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "forceca")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[S3Server]:
    s3 = S3Server(tmp_path_factory.mktemp("s3"), authority.issue("store"))
    try:
        s3.up()
        s3.make_bucket("plain")
        s3.make_bucket("locked", lock=True)
        yield s3
    finally:
        s3.down()


@asynccontextmanager
async def store_in(
    server: S3Server, tmp_path: Path, bucket: str, retention: Retention, ca: Path
) -> AsyncIterator[EvidenceStore]:
    """The store as it is configured, over https, in a folder of the test's own."""
    (tmp_path / "key").write_text(f"{KEY_ID}\n{SECRET}\n")
    url = f"s3+{server.origin}/{bucket}/{tmp_path.name}"
    settings = StoreSettings(
        "central", url, ReceiptKind.READBACK, credential=tmp_path / "key", ca=ca, retention=retention
    )
    store = open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=tmp_path).store
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=[SMALL, IN_PARTS], ids=["small", "in parts"])
def shipment(tmp_path: Path, request: pytest.FixtureRequest) -> Shipment:
    return make_shipment(tmp_path, make_bytes(request.param, str(tmp_path)))


async def sent(store: EvidenceStore, shipment: Shipment) -> str:
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.prove(shipment, handle, ReceiptKind.READBACK)
    return handle


async def test_an_object_locked_for_compliance_cannot_be_deleted_by_anybody(
    server: S3Server, tmp_path: Path, authority: Authority, shipment: Shipment
) -> None:
    async with store_in(server, tmp_path, "locked", COMPLIANCE, authority.path) as store:
        handle = await sent(store, shipment)
    assert server.ask("DELETE", handle).status_code == 403
    headers = server.ask("HEAD", handle).headers
    until = datetime.fromisoformat(headers["x-amz-object-lock-retain-until-date"])
    assert timedelta(days=31) - timedelta(minutes=5) < until - datetime.now(UTC) <= timedelta(days=31)


async def test_an_object_under_legal_hold_is_deleted_only_after_somebody_ended_it(
    server: S3Server, tmp_path: Path, authority: Authority, shipment: Shipment
) -> None:
    async with store_in(server, tmp_path, "locked", Retention(legal_hold=True), authority.path) as store:
        handle = await sent(store, shipment)
        assert server.ask("DELETE", handle).status_code == 403
        ended = server.ask("PUT", f"{handle}&legal-hold=", b"<LegalHold><Status>OFF</Status></LegalHold>")
        assert ended.is_success
        assert await sent(store, shipment) == handle  # an object whose hold a person has ended is still whole
    assert server.ask("DELETE", handle).is_success


async def test_a_lock_in_a_bucket_without_locks_calls_the_operator(
    server: S3Server, tmp_path: Path, authority: Authority, shipment: Shipment
) -> None:
    async with store_in(server, tmp_path, "plain", COMPLIANCE, authority.path) as store:
        with pytest.raises(StoreRefused, match="does not lock") as caught:
            await sent(store, shipment)
    assert "Object Lock" in caught.value.hint
    assert server.held("plain", f"{tmp_path.name}/objects") == []


@pytest.mark.parametrize("retention", [COMPLIANCE, Retention(legal_hold=True)])
async def test_what_lies_there_without_the_lock_is_locked_and_not_sent_again(
    server: S3Server, tmp_path: Path, authority: Authority, shipment: Shipment, retention: Retention
) -> None:
    async with store_in(server, tmp_path, "locked", Retention(), authority.path) as store:
        handle = await sent(store, shipment)
    async with store_in(server, tmp_path, "locked", retention, authority.path) as store:
        assert await sent(store, shipment) == handle
    assert server.ask("DELETE", handle).status_code == 403


async def test_a_lock_that_is_too_weak_and_may_not_be_changed_is_not_taken_for_the_one_asked_for(
    server: S3Server, tmp_path: Path, authority: Authority
) -> None:
    shipment = make_shipment(tmp_path, make_bytes(SMALL, str(tmp_path)))
    async with store_in(server, tmp_path, "locked", Retention(LockMode.GOVERNANCE, 31), authority.path) as store:
        await sent(store, shipment)
    async with store_in(server, tmp_path, "locked", Retention(LockMode.COMPLIANCE, 1), authority.path) as store:
        with pytest.raises(NotLocked) as caught:
            await sent(store, shipment)
    assert isinstance(caught.value, ObjectRefused)


@pytest.mark.parametrize(("event", "word"), [(True, "event"), (False, "routine")])
async def test_tags_say_whether_the_clip_was_marked(
    server: S3Server, tmp_path: Path, authority: Authority, shipment: Shipment, event: bool, word: str
) -> None:
    marked = replace(shipment, label=replace(shipment.label, event=event))
    async with store_in(server, tmp_path, "plain", Retention(tags=True), authority.path) as store:
        handle = await sent(store, marked)
    tags = server.ask("GET", f"{handle}?tagging=").text
    assert f"<Key>class</Key><Value>{word}</Value>" in tags
    assert "<Key>station</Key><Value>hub7</Value>" in tags


async def test_a_store_that_another_authority_speaks_for_is_sent_nothing(
    server: S3Server, tmp_path: Path, shipment: Shipment
) -> None:
    other = Authority(tmp_path, "another")
    async with store_in(server, tmp_path, "plain", Retention(), other.path) as store:
        with pytest.raises(StoreRefused, match="certificate"):
            await sent(store, shipment)
    assert server.held("plain", f"{tmp_path.name}/objects") == []
