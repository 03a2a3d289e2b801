"""Stores that take wrong bytes, sign what they do not have, or name checksums they never computed: all recorded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.core.errors import StoreUnreachable
from agent.core.object import ReceiptKind
from tests.fakes.checking_s3 import CheckingS3
from tests.fakes.hostile_s3 import HostileS3, error
from tests.fakes.hostile_store import HostileStore
from tests.fakes.signs_anything import SignsAnything
from tests.stores.commissioned import credential_file, probed, verdicts

READBACK_ONLY = {ReceiptKind.READBACK}
BOTH = {ReceiptKind.READBACK, ReceiptKind.CHECKSUM}
PROBES_OF_CHECKSUMS = ("checksum_put", "checksum_part", "signed_digest_put", "signed_digest_part")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return credential_file(tmp_path, "key\nsecret\n")


async def test_a_server_that_takes_every_wrong_digest_with_200_is_recorded_as_such(keys: Path) -> None:
    async with CheckingS3() as server:
        record = await probed(f"s3+{server.url}", ReceiptKind.CHECKSUM, credential=keys)
    shown = verdicts(record)
    assert {name: shown[name] for name in PROBES_OF_CHECKSUMS} == dict.fromkeys(PROBES_OF_CHECKSUMS, "ignored")
    assert (shown["checksum_told"], shown["checksum_composite"]) == ("holds", "holds")  # and yet worth nothing
    assert record.kinds == READBACK_ONLY
    assert server.objects == {}


@pytest.mark.parametrize(
    ("checks", "kinds"),
    [({"PUT", "PART"}, BOTH), ({"PUT"}, READBACK_ONLY), ({"PART"}, READBACK_ONLY)],
    ids=["both", "whole objects only", "parts only"],
)
async def test_wrong_checksums_must_be_refused_for_objects_and_for_parts(
    keys: Path, checks: set[str], kinds: set[ReceiptKind]
) -> None:
    async with CheckingS3(*checks) as server:
        record = await probed(f"s3+{server.url}", credential=keys)
    shown = verdicts(record)
    assert shown["checksum_put"] == ("holds" if "PUT" in checks else "ignored")
    assert shown["checksum_part"] == ("holds" if "PART" in checks else "ignored")
    assert record.kinds == kinds


async def test_a_server_that_refuses_wrong_bytes_and_stores_them_all_the_same_is_seen_through(keys: Path) -> None:
    async with CheckingS3("PUT", "PART", keeps_wrong=True) as server:
        record = await probed(f"s3+{server.url}", credential=keys)
    assert (verdicts(record)["checksum_put"], verdicts(record)["checksum_part"]) == ("ignored", "ignored")
    assert record.kinds == READBACK_ONLY
    assert server.objects == {}


@pytest.mark.parametrize(("tells", "told", "verdict"), [(False, None, "absent"), (True, "AAAA", "ignored")])
async def test_a_server_that_names_no_checksum_or_another_one_gives_no_checksum_receipt(
    keys: Path, tells: bool, told: str | None, verdict: str
) -> None:
    async with CheckingS3("PUT", "PART") as server:
        server.tells, server.told = tells, told
        record = await probed(f"s3+{server.url}", credential=keys)
    assert (verdicts(record)["checksum_told"], verdicts(record)["checksum_composite"]) == (verdict, verdict)
    assert record.kinds == READBACK_ONLY


async def test_what_a_store_does_not_let_us_remove_is_named(keys: Path) -> None:
    async with CheckingS3("PUT", "PART") as server:
        server.deletes = False
        record = await probed(f"s3+{server.url}/hub", credential=keys)
        assert {f"/{left}" for left in record.left} == set(server.objects)
    assert all(left.startswith("bucket/hub/probe/") for left in record.left)


async def test_only_the_scratch_place_is_written_to_or_removed_from(keys: Path) -> None:
    async with CheckingS3("PUT", "PART") as server:
        await probed(f"s3+{server.url}/hub", credential=keys)
        changing = [asked.path for asked in server.requests if asked.method not in {"GET", "HEAD"}]
    assert changing
    assert all(path.startswith("/bucket/hub/probe/") for path in changing)


async def test_a_server_that_overwrites_is_recorded(keys: Path) -> None:
    async with CheckingS3("PUT", "PART") as server:
        server.overwrites = True
        record = await probed(f"s3+{server.url}", credential=keys)
    assert (verdicts(record)["no_overwrite"], verdicts(record)["no_overwrite_parts"]) == ("ignored", "ignored")


async def test_a_server_that_answers_wrong_bytes_with_its_own_failure_is_not_taken_for_a_careful_one(
    keys: Path,
) -> None:
    async with CheckingS3("PUT", "PART") as server:
        server.refusal = error(500, "InternalError")
        record = await probed(f"s3+{server.url}", credential=keys)
    assert {probe.name for probe in record.failed} == {"checksum_put", "checksum_part"}
    assert record.kinds == READBACK_ONLY


@pytest.mark.parametrize("what", ["CREATE", "LIST", "COMPLETE"])
async def test_a_server_that_cannot_take_parts_is_recorded_as_such(keys: Path, what: str) -> None:
    async with CheckingS3("PUT", "PART") as server:
        server.faults[what] = error(501, "NotImplemented")
        record = await probed(f"s3+{server.url}", credential=keys)
    assert "in_parts" in {probe.name for probe in record.failed}
    assert record.kinds == READBACK_ONLY


async def test_probes_that_do_not_end_are_given_up_and_tidied_up_after(keys: Path) -> None:
    async with HostileS3() as server:
        server.faults["LIST"] = "drip"
        with pytest.raises(StoreUnreachable):
            await probed(f"s3+{server.url}", credential=keys, longest_s=2.0)
        assert "ABORT" in server.asked


async def test_a_cancelled_run_tidies_up(keys: Path) -> None:
    async with CheckingS3("PUT") as server:
        server.faults["CREATE"] = "silence"
        async with asyncio.TaskGroup() as group:
            running = group.create_task(_swallowing(f"s3+{server.url}", keys))
            async with asyncio.timeout(10):
                while "CREATE" not in server.asked:  # noqa: ASYNC110 - the fake rings no bell
                    await asyncio.sleep(0.01)
            assert server.objects
            running.cancel()
        assert server.objects == {}


async def _swallowing(url: str, keys: Path) -> None:
    with pytest.raises(asyncio.CancelledError):
        await probed(url, credential=keys)


@pytest.fixture
async def liar(tmp_path: Path) -> AsyncIterator[HostileStore]:
    async with HostileStore() as store:
        (tmp_path / "store.pub").write_bytes(store.receipt_key())
        yield store


async def test_a_store_with_right_receipts_gives_signed_ones(liar: HostileStore, tmp_path: Path) -> None:
    record = await probed(f"tus+{liar.url}", ReceiptKind.SIGNED, receipt_key=tmp_path / "store.pub")
    assert (verdicts(record)["receipt"], record.kinds) == (
        "holds",
        frozenset({ReceiptKind.SIGNED, ReceiptKind.READBACK}),
    )


async def test_a_store_that_signs_what_it_was_told_and_not_what_it_has_gives_no_signed_receipts(tmp_path: Path) -> None:
    async with SignsAnything() as store:
        (tmp_path / "store.pub").write_bytes(store.receipt_key())
        record = await probed(f"tus+{store.url}", ReceiptKind.SIGNED, receipt_key=tmp_path / "store.pub")
    shown = verdicts(record)
    assert shown["receipt"] == "holds"
    assert (shown["receipt_unfinished"], shown["receipt_unknown"]) == ("ignored", "ignored")
    assert record.kinds == READBACK_ONLY


@pytest.mark.parametrize("fault", ["forged", "other key", "other nonce", "other size", "edited", "past"])
async def test_a_receipt_that_is_not_right_is_none(liar: HostileStore, tmp_path: Path, fault: str) -> None:
    liar.faults["RECEIPT"] = fault
    record = await probed(f"tus+{liar.url}", ReceiptKind.SIGNED, receipt_key=tmp_path / "store.pub")
    assert verdicts(record)["receipt"] == "failed"
    assert record.kinds == READBACK_ONLY


async def test_a_store_that_hands_out_other_bytes_gives_no_receipt_at_all() -> None:
    async with HostileStore(PATCH="alter") as store:
        record = await probed(f"tus+{store.url}")
    assert verdicts(record)["read_back"] == "ignored"
    assert record.kinds == set()
    assert record.advice() is None
