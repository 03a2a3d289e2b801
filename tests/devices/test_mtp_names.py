"""What libgphoto2 mixes up, and what a camera may not say."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.clip import Entry
from agent.core.errors import ClipUnreadable
from agent.ports import Refused
from tests.contracts.camera_contract import content_of, entry_of, listing
from tests.mtp.card import MtpCard, mtp_card, opened, swapped
from tests.mtp.responder import is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason="umtp-responder is not installed: scripts/tools installs it")


@pytest.fixture
def card(tmp_path: Path) -> Iterator[MtpCard]:
    with mtp_card(tmp_path) as card:
        yield card


async def test_a_name_with_which_others_begin_gives_its_own_bytes_or_none(card: MtpCard) -> None:
    for number in range(12):
        for name in (b"C%02d.MP4" % number, b"C%02d.MP4.sha" % number):
            card.put(b"DCIM/" + name, name * (number + 1))
    async with opened(card) as camera:
        rows = await listing(camera)
        assert len(rows) == 24
        for row in rows:
            name = row.path.removeprefix(b"DCIM/")
            if isinstance(row, Refused):
                assert row.reason == "ambiguous_name"
                assert not name.endswith(b".sha")
            else:
                assert await content_of(camera, row) == name * (int(name[1:3]) + 1)


async def test_names_that_cannot_be_told_apart_are_refused(card: MtpCard) -> None:
    card.put(b"DCIM/A.MP4", b"same size")
    card.put(b"DCIM/A.MP4.bak", b"same size")
    card.put(b"100/B.MP4")
    card.put(b"100BWC/C.MP4")
    for each in card.root.rglob("*.*"):
        os.utime(each, ns=(0, 10**18))
    async with opened(card) as camera:
        rows = await listing(camera)
        assert {row for row in rows if isinstance(row, Refused)} == {
            Refused(b"DCIM/A.MP4", "ambiguous_name"),
            Refused(b"100", "ambiguous_name"),
        }
        assert {row.path for row in rows if isinstance(row, Entry)} == {b"DCIM/A.MP4.bak", b"100BWC/C.MP4"}
        for path in (b"DCIM/A.MP4", b"100/B.MP4"):
            with pytest.raises(ClipUnreadable, match="ambiguous_name"):
                await content_of(camera, entry_of(card, card.root / os.fsdecode(path)))


async def test_two_objects_of_one_name_in_a_folder_are_refused(card: MtpCard) -> None:
    card.put(b"DCIM/TWIN1.MP4", b"one")
    card.put(b"DCIM/TWIN2.MP4", b"two")
    card.put(b"OTHER/A.MP4")
    card.bridge.rewrite = swapped("TWIN2", "TWIN1")
    async with opened(card) as camera:
        rows = await listing(camera)
        assert [row.path for row in rows if isinstance(row, Entry)] == [b"OTHER/A.MP4"]
        assert Refused(b"DCIM", "ambiguous_name") in rows
        with pytest.raises(ClipUnreadable, match="ambiguous_name"):
            await content_of(camera, entry_of(card, card.root / "DCIM/TWIN1.MP4"))


async def test_a_name_that_leads_elsewhere_is_refused(card: MtpCard) -> None:
    card.put(b"DCIM/xx")
    card.put(b"DCIM/a+b")
    card.bridge.rewrite = lambda operation, data: swapped("a+b", "a/b")(operation, swapped("xx", "..")(operation, data))
    async with opened(card) as camera:
        assert await listing(camera) == [Refused(b"DCIM/?", "unusable_name"), Refused(b"DCIM/a?b", "unusable_name")]
