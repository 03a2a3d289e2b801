"""A strict tus server: it compares checksums, and of a PATCH that is cut it keeps nothing."""

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.object import ReceiptKind
from tests.badwan.fault import Fault, Kind
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Way
from tests.contracts.store_contract import StoreContract
from tests.contracts.store_place import MIB, Place, make_bytes, make_shipment
from tests.contracts.test_stores import LIMITS, PEERS, server, tus_store, unreachable
from tests.stores.peers import Peer, depot_peer, sending

HEADERS_BYTES = 20_000


def held(directory: Path) -> list[str]:
    """The digests of the uploads that the server calls complete."""
    with closing(sqlite3.connect(f"file:{directory / 'uploads.db'}?mode=ro", uri=True)) as notes:
        names = [name for (name,) in notes.execute("SELECT upload_id FROM uploads WHERE offset = upload_length")]
    return [hashlib.sha256((directory / "uploads" / name).read_bytes()).hexdigest() for name in names]


def lose(directory: Path, digest: str) -> None:
    """Let the server lose a finished object, with what it noted of it."""
    for file in (directory / "uploads").iterdir():
        if hashlib.sha256(file.read_bytes()).hexdigest() == digest:
            file.unlink()
            with closing(sqlite3.connect(directory / "uploads.db")) as notes, notes:
                notes.execute("DELETE FROM uploads WHERE upload_id = ?", (file.name,))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("strict")


@pytest.fixture(scope="module")
def peer(directory: Path) -> Iterator[Peer]:
    with server(sys.executable, PEERS / "strict_tus.py", directory, cwd=directory) as facts:
        yield Peer(str(facts["url"]), lambda: held(directory), ReceiptKind.READBACK)


class TestStrictTus(StoreContract):
    @pytest.fixture
    def place(self, peer: Peer, directory: Path) -> Place:
        return Place(
            open=lambda: tus_store(peer.url),
            open_unreachable=unreachable,
            held=peer.held,
            require=peer.require,
            lose=lambda digest: lose(directory, digest),
            can_find=False,
        )


async def test_an_altered_byte_costs_one_patch_and_no_error(peer: Peer, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, make_bytes(5 * MIB + 77, str(tmp_path)))
    line = Badwan(peer.address, faults=[Fault(Kind.CORRUPT, 3 * MIB)])
    limits = replace(LIMITS, patch_bytes=MIB)
    async with sending(peer, line, shipment, limits) as sender:
        assert sender.is_right(await sender.bring(), peer)
        assert line.tally.struck[Kind.CORRUPT] == 1
        assert line.tally.delivered[Way.UP] <= shipment.size_bytes + MIB + HEADERS_BYTES


async def test_at_a_store_that_keeps_nothing_of_a_cut_patch_an_object_arrives_over_a_line_that_always_breaks(
    peer: Peer, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, make_bytes(12 * MIB + 77, str(tmp_path)))
    line = Badwan(peer.address, faults=[Fault(Kind.CUT, 3 * MIB, every=True)])
    async with sending(peer, line, shipment, replace(LIMITS, patch_bytes=None)) as sender:
        receipt = await sender.bring_at_last(12)
        assert sender.is_right(receipt, peer)
        assert line.tally.struck[Kind.CUT] >= 4


async def test_a_small_object_that_was_altered_is_sent_again_at_once_where_the_store_compares(tmp_path: Path) -> None:
    # The strict server compares digests of PATCHes only; the depot those of what comes with a creation as well.
    shipment = make_shipment(tmp_path, make_bytes(300_000, str(tmp_path)))
    directory = tmp_path / "depot"
    directory.mkdir()
    with depot_peer(directory) as depot:
        line = Badwan(depot.address, faults=[Fault(Kind.CORRUPT, 100_000)])
        async with sending(depot, line, shipment) as sender:
            assert sender.is_right(await sender.bring(), depot)
            assert line.tally.struck[Kind.CORRUPT] == 1
            assert line.tally.delivered[Way.UP] > 2 * shipment.size_bytes
