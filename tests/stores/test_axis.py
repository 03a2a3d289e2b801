"""What a content destination is told, in which order, and what is never told it."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import ConfigError, ObjectRefused, ReceiptInvalid, StoreBusy, StoreRefused
from agent.core.object import ReceiptKind
from agent.ports import Shipment, Transfer
from agent.stores.axis_filing import Filing
from agent.stores.axis_names import system_id, user_id
from tests.contracts.store_place import MIB, Hints, make_bytes, make_shipment
from tests.contracts.test_stores import unused_port
from tests.fakes.axis_server import ACCOUNT, AxisServer, Stored, connection
from tests.stores.axis_try import bring, digests, encryption, open_axis, station, write_connection
from tests.stores.certificates import Authority, server_context

CAPABLE = ("StoreReadSystemID", "StoreBookmarks", "StoreUserIDKey", "StoreRejectedContent")


@pytest.fixture
async def server() -> AsyncIterator[AxisServer]:
    async with AxisServer(capabilities=CAPABLE) as running:
        yield running
    assert running.broken == []


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    made = make_shipment(tmp_path, make_bytes(MIB + 5, str(tmp_path)))
    label = replace(made.label, officer="PC 4711 \u00c5str\u00f6m", event=True, ended_at="2026-01-02T03:14:05")
    return replace(made, label=label)


async def test_officer_camera_and_station_come_first_then_the_recording_and_its_end(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        filing = Filing.parse(await bring(store, shipment))
    assert filing is not None
    order = [line for line in server.lines() if line.startswith(("PUT", "POST"))]
    user, box = user_id(shipment.label.officer), f"/{filing.container}"
    entry = f"Users/{user}"
    assert order == [
        "PUT /System",
        f"PUT /System/{system_id('hub7')}",
        "PUT /Users",
        f"PUT /{entry}",
        "PUT /Devices",
        "PUT /Devices/CAM-7",
        f"PUT {box}",
        f"PUT {box}/{filing.name}",
        f"PUT {box}/bookmark_20260102T030405Z_{shipment.sha256[:16]}",
        f"POST {box}",
    ]
    assert server.containers["Users"].objects[user].meta == {
        "active": "True",
        "name": "PC 4711 \u00c5str\u00f6m",
        "userid": "PC 4711 \u00c5str\u00f6m",
    }
    recording = server.containers[filing.container]
    assert recording.meta["status"] == "Complete"
    assert recording.meta["starttimeiso"] == "2026-01-02T03:04:05Z"
    assert recording.meta["stoptime"] == "1767323645"
    assert recording.meta["scuserialnumber"] == "hub7"
    assert recording.objects[filing.name].meta["filename"] == "A001.MP4"


async def test_the_recording_is_not_complete_before_the_clip_is_proved(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        box = server.containers[json.loads(handle)["container"]]
        assert box.meta["status"] == "Transferring"
        clip = box.objects[json.loads(handle)["object"]]
        clip.data = clip.data[:-1] + bytes([clip.data[-1] ^ 1])
        with pytest.raises(ReceiptInvalid, match="other bytes"):
            await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert box.meta["status"] == "Transferring"


async def test_a_clip_that_is_there_is_neither_sent_nor_written_to_again(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        await bring(store, shipment)
        server.asked.clear()
        await bring(store, shipment)
    assert [line for line in server.lines() if line.startswith(("PUT", "POST"))] == []
    assert digests(server) == [shipment.sha256]


async def test_two_clips_of_the_same_second_get_recordings_of_their_own(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    other = make_shipment(tmp_path, make_bytes(999, "other"))
    other = replace(other, label=replace(shipment.label, path=b"DCIM/A001.xml", role="sidecar"))
    async with station(server, tmp_path) as store:
        first = Filing.parse(await bring(store, shipment))
        second = Filing.parse(await bring(store, other))
        assert first is not None
        assert second is not None
        assert second.container == f"{first.container}_{other.sha256[:16]}"
        assert store.find is not None
        assert Filing.parse(await store.find(other)) == second
    assert sorted(digests(server)) == sorted([shipment.sha256, other.sha256])


async def test_a_clip_removed_from_a_complete_recording_is_not_put_into_it_again(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        filing = Filing.parse(await bring(store, shipment))
        assert filing is not None
        del server.containers[filing.container].objects[filing.name]
        again = Filing.parse(await bring(store, shipment))
        assert again is not None
        assert again.container == f"{filing.container}_{shipment.sha256[:16]}"
        del server.containers[again.container].objects[again.name]
        with pytest.raises(ObjectRefused, match="complete, and the clip is not in it"):
            await bring(store, shipment)


async def test_what_lies_under_the_name_with_another_size_is_never_overwritten(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        filing = Filing.parse(handle)
        assert filing is not None
        server.containers[filing.container].objects[filing.name] = Stored(b"something else", {})
        with pytest.raises(ObjectRefused, match="something else lies under its name"):
            await bring(store, shipment, handle)
    assert server.containers[filing.container].objects[filing.name].data == b"something else"


async def test_what_appears_under_the_name_at_the_last_moment_is_never_overwritten(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        filing = Filing.parse(await store.send(shipment, None, Transfer(), Hints(Transfer()).keep))
        assert filing is not None
        other = make_bytes(shipment.size_bytes, "other")
        server.containers[filing.container].objects[filing.name] = Stored(other, {})
        server.faults[f"HEAD {ACCOUNT}/{filing.container}/"] = 404
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        server.faults.clear()
        with pytest.raises(ReceiptInvalid, match="other bytes"):
            await store.prove(shipment, handle, ReceiptKind.READBACK)
    assert server.containers[filing.container].objects[filing.name].data == other


async def test_without_capabilities_there_is_the_recording_and_nothing_more(shipment: Shipment, tmp_path: Path) -> None:
    async with AxisServer(capabilities=None) as server:
        async with station(server, tmp_path) as store:
            await bring(store, shipment)
        assert digests(server) == [shipment.sha256]
        assert "System" not in server.containers
        assert not any("bookmark" in line for line in server.lines())
        assert server.broken == []


async def test_full_support_asks_for_no_capabilities(shipment: Shipment, tmp_path: Path) -> None:
    async with AxisServer(capabilities=None) as server:
        async with station(server, tmp_path, FullStoreAndReadSupport=True) as store:
            await bring(store, shipment)
        assert system_id("hub7") in server.containers["System"].objects
        assert not any("Capabilities.json" in line for line in server.lines())
        assert any("bookmark" in line for line in server.lines())


@pytest.mark.parametrize("flaw", ["etag", "json", "list", "section", "word"])
async def test_capabilities_in_doubt_are_none(shipment: Shipment, tmp_path: Path, flaw: str) -> None:
    async with AxisServer(capabilities=CAPABLE) as server:
        texts = {
            "json": b"{",
            "list": b"[]",
            "section": b'{"Store": []}',
            "word": b'{"Store": {"StoreBookmarks": "true", "StoreReadSystemID": 1}}',
        }
        if flaw == "etag":
            server.etags["Capabilities.json"] = "0" * 32
        else:
            server.publish("Capabilities.json", texts[flaw])
        async with station(server, tmp_path) as store:
            await bring(store, shipment)
        assert not any("bookmark" in line for line in server.lines())
        assert system_id("hub7") not in server.containers["System"].objects


async def test_categories_of_any_kind_are_left_alone(server: AxisServer, shipment: Shipment, tmp_path: Path) -> None:
    server.publish("Categories.json", b"\xff not even text")
    async with station(server, tmp_path) as store:
        await bring(store, shipment)
    assert digests(server) == [shipment.sha256]


async def test_what_can_never_be_stored_is_set_apart_where_the_destination_takes_that(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    server.rejects = "_CAM-7_"
    async with station(server, tmp_path) as store:
        handle = await bring(store, shipment)
        filing = Filing.parse(handle)
        assert filing is not None
        assert filing.container.startswith("RejectedContent_")
        assert filing.rejected
        meta = server.containers[filing.container].meta
        assert meta["rejectedcontentoriginalcontainer"].endswith("_CAM-7_20260102T030405Z")
        assert await bring(store, shipment, handle) == handle
    assert digests(server) == [shipment.sha256]


async def test_a_clip_set_apart_goes_on_into_the_same_container(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    server.rejects = "_CAM-7_"
    hints = Hints(Transfer())
    server.faults[f"PUT {ACCOUNT}/RejectedContent"] = 503
    async with station(server, tmp_path) as store:
        with pytest.raises(StoreBusy, match="patience"):
            await store.send(shipment, None, hints.transfer, hints.keep)
        server.faults.clear()
        filing = Filing.parse(await bring(store, shipment, hints.last))
    assert filing is not None
    assert filing.rejected
    assert len([name for name in server.containers if name.startswith("Rejected")]) == 1


async def test_without_such_a_place_the_object_is_refused(shipment: Shipment, tmp_path: Path) -> None:
    async with AxisServer(capabilities=()) as server:
        server.rejects = "_CAM-7_"
        async with station(server, tmp_path) as store:
            with pytest.raises(ObjectRefused, match="never store it"):
                await bring(store, shipment)


async def test_a_destination_that_hands_nothing_out_never_confirms(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    """As the published example server is."""
    server.takes_reads = False
    async with station(server, tmp_path) as store:
        handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        with pytest.raises(StoreRefused, match="it can never confirm") as caught:
            await store.prove(shipment, handle, ReceiptKind.CHECKSUM)
    assert not isinstance(caught.value, ObjectRefused)
    assert digests(server) == [shipment.sha256]
    assert server.containers[json.loads(handle)["container"]].meta["status"] == "Transferring"


async def test_a_destination_without_head_still_gets_and_proves_a_clip(shipment: Shipment, tmp_path: Path) -> None:
    async with AxisServer(capabilities=()) as server:
        server.takes_heads = False
        async with station(server, tmp_path) as store:
            handle = await bring(store, shipment)
            assert await bring(store, shipment, handle) == handle
        assert digests(server) == [shipment.sha256]


async def test_another_destination_in_the_same_place_gets_nothing(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        await bring(store, shipment)
    async with AxisServer(capabilities=CAPABLE) as other:
        async with station(other, tmp_path) as store:
            with pytest.raises(StoreRefused, match="does not know this station") as caught:
                await bring(store, shipment)
        assert str(tmp_path / "stores" / "central.axis-bound") in caught.value.hint
        assert other.clips() == {}
        assert "Users" not in other.containers


@pytest.mark.parametrize("how", ["other number", "no capability"])
async def test_a_destination_that_forgot_its_bond_gets_nothing(
    server: AxisServer, shipment: Shipment, tmp_path: Path, how: str
) -> None:
    async with station(server, tmp_path) as store:
        await bring(store, shipment)
    if how == "other number":
        server.containers["System"].objects[system_id("hub7")].meta["connectionid"] = "another"
    else:
        server.publish("Capabilities.json", b"{}")
    server.asked.clear()
    async with station(server, tmp_path) as store:
        with pytest.raises(StoreRefused, match="not the content destination it was"):
            await bring(store, shipment)
    assert not any(line.startswith(("PUT", "POST")) for line in server.lines())


async def test_a_station_whose_marks_are_lost_takes_over_the_bond_that_is_there(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path) as store:
        await bring(store, shipment)
    mark = tmp_path / "stores" / "central.axis-bound"
    text = mark.read_text()
    mark.unlink()
    async with station(server, tmp_path) as store:
        await bring(store, shipment)
    assert mark.read_text() == text


async def test_encryption_and_full_support_are_never_turned_off_again(
    server: AxisServer, shipment: Shipment, tmp_path: Path
) -> None:
    async with station(server, tmp_path, FullStoreAndReadSupport=True, **encryption()) as store:
        await bring(store, shipment)
    for said, word in (
        ({"FullStoreAndReadSupport": True}, "WantEncryption"),
        (encryption(), "FullStoreAndReadSupport"),
    ):
        file = write_connection(tmp_path / "connection.json", connection(server, **said))
        with pytest.raises(ConfigError, match=f"turns {word} off"):
            open_axis(file, marks=tmp_path / "stores")


async def test_addresses_are_tried_in_their_order(server: AxisServer, shipment: Shipment, tmp_path: Path) -> None:
    addresses = [f"http://127.0.0.1:{unused_port()}/auth/v1.0", f"{server.origin}/auth/v1.0"]
    async with station(server, tmp_path, AuthenticationTokenURI=addresses) as store:
        await bring(store, shipment)
    assert digests(server) == [shipment.sha256]


@pytest.mark.parametrize("pin", ["authority", "itself", "in DER"])
async def test_a_pinned_certificate_is_believed(shipment: Shipment, tmp_path: Path, pin: str) -> None:
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("server")
    data = (authority.path if pin == "authority" else pair[0]).read_bytes()
    if pin == "in DER":
        data = base64.b64decode(b"".join(data.split(b"\n")[1:-2]))
    async with AxisServer(tls=server_context(pair), capabilities=()) as server:
        pins = [base64.b64encode(data).decode()]
        async with station(server, tmp_path, HTTPSCertificate=pins) as store:
            await bring(store, shipment)
        assert digests(server) == [shipment.sha256]


async def test_any_other_certificate_gets_no_password(shipment: Shipment, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    other = Authority(tmp_path, "otherca").issue("other")
    async with AxisServer(tls=server_context(authority.issue("server")), capabilities=()) as server:
        pins = [base64.b64encode(other[0].read_bytes()).decode()]
        async with station(server, tmp_path, HTTPSCertificate=pins) as store:
            with pytest.raises(StoreRefused, match="certificate was not accepted"):
                await bring(store, shipment)
        assert server.asked == []
