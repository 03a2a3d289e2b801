"""A content destination that lies, refuses, loses answers or is somebody else: the exact error, and nothing lost."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.clip import CameraId
from agent.core.errors import (
    AgentError,
    ObjectRefused,
    StoreBusy,
    StoreError,
    StoreLied,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import ReceiptKind
from agent.ports import EvidenceStore, Shipment, Transfer
from agent.stores.answer import AnswerTooLarge, BytesAltered, NotTheStore
from agent.stores.axis_answer import NeverStorable, TokenRefused
from agent.stores.axis_filing import Filing
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.fakes.axis_server import ACCOUNT, KEY, USER, AxisServer, connection
from tests.stores.axis_try import bring, digests, encryption, open_axis, station, write_connection

SOON_S = 12.0
CLIP = f"PUT {ACCOUNT}/db705569-2aaf-5f18-b9b9-2598c548dc1d_CAM-7_20260102T030405Z/"


@pytest.fixture
async def server() -> AsyncIterator[AxisServer]:
    async with AxisServer(capabilities=("StoreReadSystemID",)) as running:
        yield running
    assert running.broken == []
    assert running.strangers == 0


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, make_bytes(3 * MIB + 5, str(tmp_path)))


@pytest.fixture
async def store(server: AxisServer, tmp_path: Path) -> AsyncIterator[EvidenceStore]:
    async with station(server, tmp_path) as opened:
        yield opened


async def fail(store: EvidenceStore, shipment: Shipment, kind: type[AgentError]) -> AgentError:
    """Send, expecting exactly this error; no secret is told."""
    began = time.monotonic()
    hints = Hints(Transfer())
    with pytest.raises(AgentError) as caught:
        await store.send(shipment, None, hints.transfer, hints.keep)
    assert type(caught.value) is kind
    assert time.monotonic() - began < SOON_S
    told = repr(caught.value) + caught.value.told() + repr(hints.texts) + repr(store)
    assert KEY not in told
    assert USER not in told
    return caught.value


@pytest.mark.parametrize(
    "storage",
    ["ELSEWHERE/v1/AUTH_site", "http://127.0.0.1:1/v1", "//evil.example/v1", "http://user@HOST/v1", "https://HOST/v1",
     "HOSTURL.evil.example/v1", "HOSTURL/v1?next=", "HOSTURL/auth/v1.0", "x" * 5000],
)  # fmt: skip
async def test_a_storage_address_elsewhere_is_never_followed(
    server: AxisServer, store: EvidenceStore, shipment: Shipment, storage: str
) -> None:
    host = server.origin.removeprefix("http://")
    named = storage.replace("ELSEWHERE", server.elsewhere).replace("HOSTURL", server.origin).replace("HOST", host)
    server.storage = named
    error = await fail(store, shipment, StoreLied)
    assert "X-Storage-Url" in str(error)
    assert "evil" not in str(error)
    assert {line.split(" ")[1] for line in server.lines()} == {"/auth/v1.0"}


async def test_a_storage_address_without_a_host_is_that_of_the_log_in(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.storage = f"{ACCOUNT}/"
    await bring(store, shipment)


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_token_that_expires_in_mid_upload_is_renewed_once(
    server: AxisServer, shipment: Shipment, tmp_path: Path, *, sealed: bool
) -> None:
    server.expire_at_bytes = MIB
    async with station(server, tmp_path, **(encryption() if sealed else {})) as store:
        await bring(store, shipment)
    assert digests(server, sealed=sealed) == [shipment.sha256]
    assert server.lines().count("GET /auth/v1.0") == 2


async def test_a_token_that_expires_before_the_proof_is_renewed(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    server.expire()
    await store.prove(shipment, handle, ReceiptKind.READBACK)


async def test_a_destination_that_refuses_every_token_is_not_asked_for_ever(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.faults[CLIP] = 401
    await fail(store, shipment, TokenRefused)
    assert server.lines().count("GET /auth/v1.0") == 2


async def test_a_wrong_password_calls_the_operator_and_a_new_file_is_taken_up(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    file = write_connection(tmp_path / "connection.json", connection(server, BlobAPIKey="an old key"))
    store = open_axis(file, marks=tmp_path / "stores").store
    error = await fail(store, shipment, TokenRefused)
    assert "an old key" not in error.told()
    write_connection(file, connection(server))
    await bring(store, shipment)
    await store.close()


async def test_a_new_file_that_cannot_be_read_changes_nothing(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        write_connection(tmp_path / "connection.json", b"{")
        server.expire()
        await bring(store, shipment)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, NeverStorable, "never store it"),
        (402, StoreRefused, "out of licences"),
        (403, StoreRefused, "does not permit"),
        (404, StoreError, "404"),
        (422, BytesAltered, "other bytes"),
        (500, StoreError, "500"),
        ("status 503 Retry-After=7", StoreBusy, "patience for 7 s"),
        (507, StoreRefused, "disk full"),
        ("status 302 Location=http://evil.example/", StoreRefused, "redirects"),
        ("status 200 Content-Type=text/html", NotTheStore, "web page"),
    ],
)
@pytest.mark.parametrize("what", ["user", "recording", "clip"])
async def test_each_refusal_says_who_must_do_what(  # noqa: PLR0917 - a table
    server: AxisServer,
    store: EvidenceStore,
    shipment: Shipment,
    what: str,
    status: int | str,
    kind: type[AgentError],
    words: str,
) -> None:
    at = {"user": f"PUT {ACCOUNT}/Users", "recording": CLIP.rstrip("/"), "clip": CLIP}[what]
    server.faults[at] = status
    small = make_shipment(shipment.file.parent, b"small clip")
    error = await fail(store, small, kind)
    assert words in str(error)
    assert server.clips() == {}
    if isinstance(status, str) and "Retry-After" in status:
        assert error.retry_after_s == 7
    server.faults.clear()
    await bring(store, small)


@pytest.mark.parametrize("at", ["/auth/", "HEAD", "PUT"])
@pytest.mark.parametrize("fault", ["reset", "silence", "not http", "bomb", "endless headers"])
async def test_an_answer_that_is_none_costs_a_while_and_nothing_else(
    server: AxisServer, shipment: Shipment, tmp_path: Path, at: str, fault: str
) -> None:
    if (at, fault) == ("HEAD", "bomb"):
        fault = "drip"  # to HEAD it is a plain yes, whatever follows
    small = make_shipment(shipment.file.parent, b"small clip")
    file = write_connection(tmp_path / "connection.json", connection(server))
    store = open_axis(file, marks=tmp_path / "stores", connect_s=1.5, stall_s=1.5).store
    try:
        server.faults[at] = fault
        began = time.monotonic()
        with pytest.raises(StoreError):
            await store.send(small, None, Transfer(), Hints(Transfer()).keep)
        assert time.monotonic() - began < SOON_S
        server.faults.clear()
        await bring(store, small)
    finally:
        await store.close()
    assert digests(server) == [small.sha256]


async def test_an_officer_that_the_destination_forgot_is_entered_again(shipment: Shipment, tmp_path: Path) -> None:
    async with AxisServer(capabilities=()) as server, station(server, tmp_path) as store:
        await bring(store, make_shipment(tmp_path, b"a first clip"))
        server.containers["Users"].objects.clear()
        later = replace(shipment, label=replace(shipment.label, started_at="2026-02-03T04:05:06Z"))
        with pytest.raises(NeverStorable):
            await bring(store, later)
        await bring(store, later)
        assert server.broken == [line for line in server.broken if "was not entered before" in line]


async def test_a_log_in_page_of_a_network_is_no_destination(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.faults["/auth/"] = "status 200 Content-Type=text/html"
    await fail(store, shipment, NotTheStore)


@pytest.mark.parametrize("token", ["", "two words", "x" * 5000])
async def test_a_token_that_fits_into_no_header_is_none(
    server: AxisServer, store: EvidenceStore, shipment: Shipment, token: str
) -> None:
    server.faults["/auth/"] = f"status 200 X-Auth-Token={token.replace(' ', chr(160))} X-Storage-Url=/v1/x"
    await fail(store, shipment, NotTheStore)


@pytest.mark.parametrize("sealed", [False, True])
async def test_an_answer_that_is_lost_does_not_send_the_clip_twice(
    server: AxisServer, shipment: Shipment, tmp_path: Path, *, sealed: bool
) -> None:
    async with station(server, tmp_path, **(encryption() if sealed else {})) as store:
        server.lose_answer_to = ".mp4"
        hints = Hints(Transfer())
        handle = await store.send(shipment, None, hints.transfer, hints.keep)
        await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert digests(server, sealed=sealed) == [shipment.sha256]


async def test_an_entity_tag_of_other_bytes_is_noticed(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.etags[".mp4"] = "0" * 32
    await fail(store, shipment, BytesAltered)


async def test_capabilities_without_end_are_not_read(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.publish("Capabilities.json", b"[" + b" " * (64 << 10) + b"]")
    await fail(store, shipment, AnswerTooLarge)


@pytest.mark.parametrize(
    "more",
    [
        {"camera": CameraId("CAM\r\nX-Auth-Token: stolen\r\n\r\nGET /")},
        {"camera": CameraId("../../Devices/x")},
        {"camera": CameraId("\udcff\u202e")},
        {"officer": "PC\r\nX-Injected: 1"},
        {"officer": "\u00e5" * 200},
        {"path": b"DCIM/a\r\nX-Injected: 1.MP4"},
        {"path": b"\xff\x00\n.mp4/../../x"},
        {"started_at": "2026-01-02T03:04:05\r\nX-Injected: 1"},
        {"station": "hub\x007\r\n"},
        {"role": "clip\nX: y"},
    ],
)
async def test_what_cameras_and_people_are_called_never_becomes_part_of_the_protocol(
    server: AxisServer, shipment: Shipment, tmp_path: Path, more: dict[str, Any]
) -> None:
    odd = replace(shipment, label=replace(shipment.label, event=True, **more))
    async with station(server, tmp_path, FullStoreAndReadSupport=True) as store:
        filing = Filing.parse(await bring(store, odd))
    assert filing is not None
    assert digests(server) == [shipment.sha256]
    assert not any("injected" in name.lower() for asked in server.asked for name in asked.headers)
    assert server.containers[filing.container].complete


async def test_a_hint_from_elsewhere_leads_nowhere(store: EvidenceStore, shipment: Shipment) -> None:
    hint = json.dumps({"container": "Users", "object": "x", "sealed": None, "rejected": False})
    transfer = Transfer()
    handle = await store.send(shipment, hint, transfer, Hints(transfer).keep)
    assert "Users" not in handle
    with pytest.raises(StoreError):
        await store.prove(shipment, hint, ReceiptKind.READBACK)


async def test_an_address_that_is_out_of_order_is_passed_over(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with AxisServer(capabilities=()) as first:
        addresses = [f"{first.origin}/auth/v1.0", f"{server.origin}/auth/v1.0"]
        async with station(first, tmp_path, AuthenticationTokenURI=addresses) as store:
            first.faults["/auth/"] = 500
            first.faults[ACCOUNT] = 500
            await bring(store, shipment)
            assert digests(server) == [shipment.sha256]
            assert digests(first) == []


async def test_a_busy_destination_is_not_taken_for_one_without_capabilities(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.faults[f"GET {ACCOUNT}/System/Capabilities.json"] = 503
    await fail(store, shipment, StoreBusy)


async def test_the_camera_is_refused_for_want_of_a_licence(
    server: AxisServer, store: EvidenceStore, shipment: Shipment
) -> None:
    server.faults[f"PUT {ACCOUNT}/Devices/"] = 402
    error = await fail(store, shipment, StoreRefused)
    assert "out of licences" in str(error)
    assert not isinstance(error, ObjectRefused | StoreUnreachable)
