"""What a tus server offers is used where it helps; what it says about it is not believed further than that."""

import hashlib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.core.errors import ObjectRefused, StoreError
from agent.core.object import ReceiptKind
from agent.core.patch_policy import LEAST_LOSSY_BYTES, STEP_BYTES
from agent.stores.abilities import MAX_HEADER_CHARS, Abilities
from agent.stores.answer import Answer, BytesAltered, NotTheStore
from agent.stores.pace import PROOFS, Pace
from agent.stores.uploads import UploadSpoiled
from tests.contracts.store_place import MIB, make_bytes, make_shipment, stopped_halfway
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import LIMITS, Try, adapter, half

CHECKS = "status 204 Tus-Version=1.0.0 Tus-Extension=creation,checksum Tus-Checksum-Algorithm=sha1,sha256"
AT_ONCE = "status 204 Tus-Version=1.0.0 Tus-Extension=creation,creation-with-upload"


def small(attempt: Try) -> bytes:
    data = make_bytes(100_000)
    attempt.shipment = make_shipment(attempt.shipment.file.parent, data)
    return data


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (204, {"tus-extension": "creation, creation-with-upload"}, Abilities(creation_with_upload=True)),
        (200, {"tus-extension": "checksum", "tus-checksum-algorithm": "sha1,sha256"}, Abilities(checksum=True)),
        (204, {"tus-extension": "checksum", "tus-checksum-algorithm": "sha1"}, Abilities()),
        (204, {"tus-extension": "checksum"}, Abilities()),
        (204, {"tus-extension": "checksum-trailer,creation-with-upload2"}, Abilities()),
        (204, {"tus-extension": "creation-with-upload," + "x" * MAX_HEADER_CHARS}, Abilities()),
        (204, {}, Abilities()),
        (405, {"tus-extension": "creation-with-upload"}, Abilities()),
    ],
)
def test_only_what_is_plainly_offered_is_used(status: int, headers: dict[str, str], expected: Abilities) -> None:
    assert Abilities.of(Answer(status, headers)) == expected


async def test_what_a_store_can_do_is_asked_once(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["OPTIONS"] = "status 405"
    await attempt.send()
    attempt.hints.texts.clear()
    await attempt.send()
    assert [asked.method for asked in hostile.asked].count("OPTIONS") == 1


async def test_an_answer_that_may_pass_is_not_kept(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["OPTIONS"] = "status 403"
    await attempt.send()
    hostile.faults["OPTIONS"] = CHECKS
    attempt.hints.texts.clear()
    await attempt.send()
    assert [asked.method for asked in hostile.asked].count("OPTIONS") == 2
    assert "upload-checksum" in hostile.asked[-1].headers


async def test_a_log_in_page_is_not_taken_for_a_store_that_can_do_little(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults["OPTIONS"] = "status 200 Content-Type=text/html"
    await attempt.fail(NotTheStore)
    assert hostile.methods() == []


async def test_a_small_object_takes_one_request(hostile: HostileStore, attempt: Try) -> None:
    data = small(attempt)
    hostile.faults["OPTIONS"] = AT_ONCE
    handle = await attempt.send()
    assert hostile.methods() == ["POST"]
    assert hostile.stored() == [data]
    assert (await attempt.store.prove(attempt.shipment, handle, ReceiptKind.READBACK)).size_bytes == len(data)


async def test_where_the_store_does_not_say_what_it_took_it_is_asked(hostile: HostileStore, attempt: Try) -> None:
    data = small(attempt)
    hostile.faults |= {"OPTIONS": AT_ONCE, "POST": "silent"}
    await attempt.send()
    assert (hostile.methods(), hostile.stored()) == (["POST", "HEAD"], [data])


@pytest.mark.parametrize("fault", ["status 415", "status 400"])
async def test_a_store_that_takes_no_bytes_with_a_creation_after_all_gets_them_as_ever(
    hostile: HostileStore, attempt: Try, fault: str
) -> None:
    data = small(attempt)
    hostile.faults |= {"OPTIONS": AT_ONCE, "POST": fault}
    with pytest.raises(StoreError):
        await attempt.send()
    del hostile.faults["POST"]
    await attempt.send()
    assert (hostile.methods()[-2:], hostile.stored()) == (["POST", "PATCH"], [data])


async def test_a_creation_that_was_cut_is_begun_anew_and_larger_objects_never_go_with_one(
    hostile: HostileStore, attempt: Try
) -> None:
    whole = attempt.shipment
    data = small(attempt)
    hostile.faults |= {"OPTIONS": AT_ONCE, "POST": "reset after body"}
    with pytest.raises(StoreError):
        await attempt.send()
    assert attempt.hints.last is None
    del hostile.faults["POST"]
    await attempt.send()
    assert hostile.stored()[-1] == data
    attempt.shipment = whole
    attempt.hints.texts.clear()
    await attempt.send()
    assert hostile.methods().count("PATCH") > 2


async def test_each_patch_carries_its_digest_where_the_store_can_compare_it(
    hostile: HostileStore, attempt: Try
) -> None:
    hostile.faults["OPTIONS"] = CHECKS
    await attempt.send()
    patches = [asked for asked in hostile.asked if asked.method == "PATCH"]
    assert len(patches) == 4
    for patch in patches:
        digest = b64encode(hashlib.sha256(patch.body).digest()).decode()
        assert patch.headers["upload-checksum"] == f"sha256 {digest}"


async def test_a_store_that_signs_gets_digests_only_once_bytes_were_altered(
    hostile: HostileStore, attempt: Try
) -> None:
    await attempt.use(adapter(hostile, signed=True))
    hostile.faults |= {"OPTIONS": CHECKS, "PATCH": "status 460"}
    await attempt.fail(UploadSpoiled)
    del hostile.faults["PATCH"]
    await attempt.send()
    carried = ["upload-checksum" in asked.headers for asked in hostile.asked if asked.method == "PATCH"]
    assert carried == [False, True, True, True, True]


async def test_bytes_that_are_altered_every_time_end_the_try_and_not_the_upload(
    hostile: HostileStore, attempt: Try
) -> None:
    hostile.faults |= {"OPTIONS": CHECKS, "PATCH": "status 460"}
    await attempt.fail(BytesAltered)
    assert hostile.methods().count("PATCH") == 3
    del hostile.faults["PATCH"]
    await attempt.send()
    assert hostile.methods().count("POST") == 1
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_a_store_that_keeps_what_it_refused_loses_the_upload(hostile: HostileStore, attempt: Try) -> None:
    hostile.faults |= {"OPTIONS": CHECKS, "PATCH": "keep and deny"}
    await attempt.fail(UploadSpoiled)
    hostile.faults.clear()
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_an_upload_that_the_store_forgets_in_mid_way_is_begun_anew_at_once(
    hostile: HostileStore, attempt: Try
) -> None:
    hostile.faults["PATCH"] = "forget"
    assert (await attempt.send()).endswith("/u1")
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


async def test_an_upload_that_would_expire_in_mid_way_is_begun_anew(hostile: HostileStore, attempt: Try) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.expires = datetime.now(UTC) + timedelta(seconds=60)
    attempt.store._pace.rate_bytes_s, attempt.store._pace.extends = 1000.0, False
    await attempt.send()
    assert list(hostile.uploads) == ["u1"]  # the old one was given up there
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]


@pytest.mark.parametrize("extends", [None, True])
async def test_an_upload_whose_expiry_is_put_off_goes_on(
    hostile: HostileStore, attempt: Try, *, extends: bool | None
) -> None:
    attempt.hints = await stopped_halfway(half(hostile), attempt.shipment)
    hostile.expires = datetime.now(UTC) + timedelta(seconds=60)
    attempt.store._pace.rate_bytes_s, attempt.store._pace.extends = 1000.0, extends
    await attempt.send()
    assert hostile.methods().count("POST") == 1


def test_whether_expiry_is_put_off_is_seen_from_two_patches() -> None:
    pace = Pace()
    for seen_s, text, extends in ((0.0, "a", None), (1.0, "b", None), (3.0, "a", False), (6.0, "c", True)):
        pace.saw_expiry("u0", text, seen_s)
        assert pace.extends is extends


def test_a_store_that_loses_cut_patches_gets_small_ones_until_many_arrived() -> None:
    pace = Pace()
    pace.was_cut("u0", 0, 16 * MIB)
    pace.stands("u0", 0)
    ends = []
    for _ in range(2 * PROOFS + 1):
        ends.append(pace.end(0, 1000 * MIB, None))
        pace.arrived(8 * MIB, 1.0)
    assert ends == [8 * MIB] * PROOFS + [16 * MIB] * PROOFS + [192 * MIB]


def test_a_store_is_said_to_lose_cut_patches_from_when_it_was_seen_to() -> None:
    pace = Pace(signed=True)
    pace.was_cut("u0", 0, 16 * MIB)
    assert (pace.loses_cuts, pace.wants_checksum) == (False, False)
    pace.stands("u0", 0)
    assert (pace.loses_cuts, pace.wants_checksum) == (True, True)


def test_a_store_that_kept_a_part_of_a_cut_patch_loses_nothing() -> None:
    pace = Pace()
    pace.was_cut("u0", 0, 16 * MIB)
    pace.stands("u0", 5)
    assert not pace.loses_cuts


async def test_a_fixed_size_is_kept_whatever_is_measured(hostile: HostileStore, attempt: Try) -> None:
    await attempt.use(adapter(hostile, replace(LIMITS, patch_bytes=2 * MIB)))
    await attempt.send()
    assert hostile.methods().count("PATCH") == 2


@pytest.mark.parametrize("most_bytes", [MIB - 1, 300_000])
async def test_a_store_that_takes_only_small_patches_gets_small_ones(
    hostile: HostileStore, attempt: Try, most_bytes: int
) -> None:
    hostile.most_bytes = most_bytes
    await attempt.send()
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]
    refused = [asked for asked in hostile.asked if len(asked.body) > most_bytes]
    assert 1 <= len(refused) <= 2
    assert len(hostile.uploads) == 1


async def test_bytes_too_large_to_go_with_the_creation_of_their_upload_follow_in_patches(
    hostile: HostileStore, attempt: Try
) -> None:
    hostile.faults["OPTIONS"] = AT_ONCE
    hostile.most_bytes = 300_000
    data = make_bytes(600_000)
    attempt.shipment = make_shipment(attempt.shipment.file.parent, data)
    await attempt.send()
    assert hostile.stored() == [data]


def test_a_store_that_takes_no_patch_at_all_is_tried_with_larger_ones_later() -> None:
    """What refuses the least of them speaks of something else than their size: a quota, or a disk that is full."""
    pace = Pace()
    refused = pace.end(0, 1 << 40, None)
    while pace.was_too_large(refused):
        refused = pace.end(0, 1 << 40, None)
    assert refused == LEAST_LOSSY_BYTES
    assert pace.end(0, 1 << 40, None) == STEP_BYTES


async def test_a_store_that_takes_no_patch_at_all_is_told_of(hostile: HostileStore, attempt: Try) -> None:
    hostile.most_bytes = 1000
    error = await attempt.fail(ObjectRefused)
    assert "larger than the store accepts" in str(error)
