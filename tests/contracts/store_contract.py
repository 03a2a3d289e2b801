"""What every evidence store must do, whatever it is made of.

A store joins by subclassing StoreContract and giving a `place`: the other side of the adapter, reachable by new
adapter instances, whose finished objects can be looked at without the adapter.
"""

import asyncio
import time
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from agent.core.announcement import Announced, Announcement
from agent.core.errors import ReceiptInvalid, SpoolCorrupt, StoreError, StoreUnreachable
from agent.core.object import EMPTY_DIGEST, ReceiptKind
from agent.ports import Shipment, Transfer, UploadStopped
from tests.contracts.store_place import MIB, Hints, Place, make_bytes, make_shipment, opened, stopped_halfway


class StoreContract:
    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    @pytest.fixture
    def shipment(self, tmp_path: Path) -> Shipment:
        # Not a multiple of any block, and new in each run of a test: the store keeps what earlier ones sent.
        return make_shipment(tmp_path, make_bytes(5 * MIB + 77, str(tmp_path)))

    async def test_an_object_arrives_whole_and_is_proved(self, place: Place, shipment: Shipment) -> None:
        transfer = Transfer()
        hints = Hints(transfer)
        async with opened(place) as store:
            handle = await store.send(shipment, None, transfer, hints.keep)
            receipt = await store.prove(shipment, handle, place.require)
        assert place.held().count(shipment.sha256) == 1
        assert (receipt.store, receipt.sha256, receipt.size_bytes) == (store.name, shipment.sha256, shipment.size_bytes)
        assert receipt.kind >= place.require
        assert receipt.issued_at.tzinfo is not None
        assert shipment.sha256 in receipt.proof
        assert transfer.sent_bytes == shipment.size_bytes

    async def test_where_a_checksum_is_enough_a_stronger_receipt_is_given(
        self, place: Place, shipment: Shipment
    ) -> None:
        async with opened(place) as store:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            receipt = await store.prove(shipment, handle, ReceiptKind.CHECKSUM)
        assert receipt.kind in (ReceiptKind.READBACK, ReceiptKind.SIGNED)

    async def test_a_kept_receipt_is_checked_again_without_asking_anybody(
        self, place: Place, shipment: Shipment
    ) -> None:
        async with opened(place) as store:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            receipt = await store.prove(shipment, handle, place.require)
        kept = replace(receipt, issued_at=receipt.issued_at.astimezone(UTC))
        async with opened(place) as later:
            assert later.still_proves(kept)

    @pytest.mark.parametrize("flaw", ["store", "kind", "sha256", "size", "handle", "proof", "no proof"])
    async def test_a_kept_receipt_that_was_altered_proves_nothing(
        self, place: Place, shipment: Shipment, flaw: str
    ) -> None:
        async with opened(place) as store:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            good = await store.prove(shipment, handle, place.require)
            altered = {
                "store": replace(good, store="another"),
                "kind": replace(good, kind=ReceiptKind.CHECKSUM),
                "sha256": replace(good, sha256=EMPTY_DIGEST),
                "size": replace(good, size_bytes=good.size_bytes + 1),
                "handle": replace(good, handle=good.handle + "0"),
                "proof": replace(good, proof=good.proof.replace(shipment.sha256, EMPTY_DIGEST)),
                "no proof": replace(good, proof=""),
            }
            assert not store.still_proves(altered[flaw])

    async def test_a_store_says_where_it_is_without_credentials(self, place: Place) -> None:
        async with opened(place) as store:
            assert store.place.split(":")[0] in ("tus+http", "tus+https", "s3+http", "s3+https", "axis", "file")
            assert "@" not in store.place

    async def test_a_hint_is_kept_before_the_first_byte_leaves(self, place: Place, shipment: Shipment) -> None:
        hints = Hints(Transfer())
        async with opened(place) as store:
            await store.send(shipment, None, hints.transfer, hints.keep)
        assert hints.sent_then[0] == 0

    async def test_progress_only_rises_and_ends_at_the_size(self, place: Place, shipment: Shipment) -> None:
        seen: list[int] = []
        hints = Hints(Transfer(on_progress=seen.append))
        async with opened(place) as store:
            await store.send(shipment, None, hints.transfer, hints.keep)
        assert seen == sorted(seen)
        assert seen[-1] == shipment.size_bytes
        assert len(seen) > 3

    async def test_a_stopped_upload_goes_on_where_the_store_stands_even_with_a_new_adapter(
        self, place: Place, shipment: Shipment
    ) -> None:
        hints = await stopped_halfway(place, shipment)
        assert place.held().count(shipment.sha256) == 0
        seen: list[int] = []
        again = Hints(Transfer(on_progress=seen.append))
        async with opened(place) as store:
            handle = await store.send(shipment, hints.last, again.transfer, again.keep)
            await store.prove(shipment, handle, place.require)
        assert seen[0] > shipment.size_bytes // 4
        assert place.held().count(shipment.sha256) == 1

    async def test_a_hint_that_makes_no_sense_means_a_new_upload(self, place: Place, shipment: Shipment) -> None:
        hints = Hints(Transfer())
        async with opened(place) as store:
            handle = await store.send(shipment, '{"url": 7}', hints.transfer, hints.keep)
            await store.prove(shipment, handle, place.require)
        assert place.held().count(shipment.sha256) == 1

    async def test_an_empty_object_is_stored_and_proved(self, place: Place, tmp_path: Path) -> None:
        empty = make_shipment(tmp_path, b"")
        hints = Hints(Transfer())
        async with opened(place) as store:
            handle = await store.send(empty, None, hints.transfer, hints.keep)
            receipt = await store.prove(empty, handle, place.require)
        assert (receipt.sha256, receipt.size_bytes) == (EMPTY_DIGEST, 0)
        assert EMPTY_DIGEST in place.held()

    async def test_the_same_object_twice_is_proved_twice(self, place: Place, shipment: Shipment) -> None:
        async with opened(place) as store:
            for _ in range(2):
                hints = Hints(Transfer())
                handle = await store.send(shipment, None, hints.transfer, hints.keep)
                await store.prove(shipment, handle, place.require)
        assert shipment.sha256 in place.held()

    async def test_an_object_that_the_store_holds_is_found_by_digest(self, place: Place, shipment: Shipment) -> None:
        async with opened(place) as store:
            assert (store.find is not None) is place.can_find
            if store.find is None:
                return  # it says so itself, and the uploader does not ask
            assert await store.find(shipment) is None
            hints = Hints(Transfer())
            await store.send(shipment, None, hints.transfer, hints.keep)
            handle = await store.find(shipment)
            assert handle is not None
            receipt = await store.prove(shipment, handle, place.require)
        assert receipt.sha256 == shipment.sha256

    @pytest.mark.parametrize("where", ["first", "last"])
    async def test_a_corrupt_spool_copy_is_never_completed(self, place: Place, shipment: Shipment, where: str) -> None:
        data = bytearray(shipment.file.read_bytes())
        data[0 if where == "first" else -1] ^= 1
        shipment.file.write_bytes(data)
        hints = Hints(Transfer())
        before = sorted(place.held())
        async with opened(place) as store:
            with pytest.raises(SpoolCorrupt):
                await store.send(shipment, None, hints.transfer, hints.keep)
        assert sorted(place.held()) == before

    async def test_a_copy_that_went_bad_while_the_upload_was_stopped_is_never_completed(
        self, place: Place, shipment: Shipment
    ) -> None:
        hints = await stopped_halfway(place, shipment)
        data = bytearray(shipment.file.read_bytes())
        data[10] ^= 1
        shipment.file.write_bytes(data)
        before = sorted(place.held())
        async with opened(place) as store:
            with pytest.raises(SpoolCorrupt):
                await store.send(shipment, hints.last, Transfer(), hints.keep)
        assert sorted(place.held()) == before

    @pytest.mark.parametrize("fault", ["missing", "short", "link"])
    async def test_a_spool_copy_that_is_no_whole_file_is_corrupt(
        self, place: Place, shipment: Shipment, tmp_path: Path, fault: str
    ) -> None:
        data = shipment.file.read_bytes()
        shipment.file.unlink()
        if fault == "short":
            shipment.file.write_bytes(data[:-1])
        elif fault == "link":
            (tmp_path / "elsewhere").write_bytes(data)
            shipment.file.symlink_to(tmp_path / "elsewhere")
        async with opened(place) as store:
            with pytest.raises(SpoolCorrupt):
                await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        assert shipment.sha256 not in place.held()

    async def test_an_unfinished_upload_is_not_proved(self, place: Place, shipment: Shipment) -> None:
        hints = await stopped_halfway(place, shipment)
        assert hints.last is not None
        async with opened(place) as store:
            with pytest.raises(ReceiptInvalid):
                await store.prove(shipment, hints.last, place.require)

    async def test_other_bytes_of_the_same_size_are_not_proved_by_a_finished_upload(
        self, place: Place, shipment: Shipment, tmp_path: Path
    ) -> None:
        other = make_shipment(tmp_path, make_bytes(shipment.size_bytes, "other" + str(tmp_path)))
        async with opened(place) as store:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            with pytest.raises(ReceiptInvalid):
                await store.prove(other, handle, place.require)

    async def test_a_stop_before_the_start_sends_nothing(self, place: Place, shipment: Shipment) -> None:
        transfer = Transfer()
        transfer.stop.set()
        async with opened(place) as store:
            with pytest.raises(UploadStopped):
                await store.send(shipment, None, transfer, Hints(transfer).keep)
        assert transfer.sent_bytes == 0

    async def test_cancelling_ends_the_upload_and_the_rest_follows_later(
        self, place: Place, shipment: Shipment
    ) -> None:
        loop = asyncio.get_running_loop()
        moving = asyncio.Event()

        def moved(_sent: int) -> None:
            loop.call_soon_threadsafe(moving.set)

        transfer = Transfer(on_progress=moved)
        hints = Hints(transfer)
        async with opened(place) as store:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(store.send(shipment, None, transfer, hints.keep))
                await moving.wait()
                task.cancel()
            handle = await store.send(shipment, hints.last, Transfer(), hints.keep)
            await store.prove(shipment, handle, place.require)
        assert place.held().count(shipment.sha256) == 1

    async def test_a_store_that_is_away_is_reported_soon(self, place: Place, shipment: Shipment) -> None:
        store = place.open_unreachable()
        began = time.monotonic()
        with pytest.raises(StoreUnreachable):
            await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        assert time.monotonic() - began < 8.0
        await store.close()

    async def test_closing_twice_is_fine(self, place: Place, shipment: Shipment) -> None:
        store = place.open()
        await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
        await store.close()
        await store.close()

    async def test_a_store_says_whether_it_still_has_what_it_proved(self, place: Place, shipment: Shipment) -> None:
        stays = make_shipment(shipment.file.parent, b"stays" + shipment.sha256.encode())
        receipts = []
        async with opened(place) as store:
            for each in (shipment, stays):
                handle = await store.send(each, None, Transfer(), Hints(Transfer()).keep)
                receipts.append(await store.prove(each, handle, place.require))
        async with opened(place) as later:
            assert later.still_holds is not None
            assert [await later.still_holds(receipt) for receipt in receipts] == [True, True]
            place.lose(shipment.sha256)
            assert [await later.still_holds(receipt) for receipt in receipts] == [False, True]

    async def test_a_store_that_is_away_has_lost_nothing(self, place: Place, shipment: Shipment) -> None:
        async with opened(place) as store:
            handle = await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
            receipt = await store.prove(shipment, handle, place.require)
        away = place.open_unreachable()
        assert away.still_holds is not None
        with pytest.raises(StoreError):
            await away.still_holds(receipt)
        await away.close()

    async def test_what_is_to_come_is_told_once_however_often_it_is_said(
        self, place: Place, shipment: Shipment
    ) -> None:
        told = Announced(
            shipment.sha256, shipment.size_bytes, shipment.label.camera, b"DCIM/\xff.MP4", None, event=True, urgent=True
        )
        announcement = Announcement.of("hub7", [told])
        before = [] if place.announced is None else place.announced()
        for _ in range(2):
            async with opened(place) as store:
                assert (store.announce is not None) == place.may_announce
                if store.announce is None:
                    return
                taken = [await store.announce(announcement) for _ in range(2)]
                assert taken == [place.announced is not None] * 2
        if place.announced is not None:
            assert sorted(place.announced()) == sorted([*before, shipment.sha256])

    async def test_an_announcement_to_a_store_that_is_away_is_reported(self, place: Place, shipment: Shipment) -> None:
        told = Announced(shipment.sha256, 1, shipment.label.camera, b"a", None, event=False, urgent=False)
        away = place.open_unreachable()
        assert (away.announce is not None) == place.may_announce
        if away.announce is not None:
            with pytest.raises(StoreUnreachable):
                await away.announce(Announcement.of("hub7", [told]))
        await away.close()

    async def test_a_size_that_is_not_the_files_is_corrupt(self, place: Place, shipment: Shipment) -> None:
        async with opened(place) as store:
            with pytest.raises(SpoolCorrupt):
                await store.send(replace(shipment, size_bytes=1), None, Transfer(), Hints(Transfer()).keep)
