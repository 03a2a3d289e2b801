"""The gate before a wipe or a purge, against truth tables written without looking at its code."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clip import Copy, Custody
from agent.core.disposal_policy import (
    MEDIUM_REFUSALS,
    REFUSALS,
    Allow,
    CopyFacts,
    Proof,
    PurgeFacts,
    Refuse,
    count_proofs,
    is_confirmed,
    may_purge,
    may_wipe,
)
from agent.core.object import Digest, Receipt, ReceiptKind

OURS = Digest("a" * 64)
OTHER = Digest("b" * 64)
SIZE = 1000
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROOF = Proof(1, {"central": ReceiptKind.SIGNED})


def receipt(
    store: str = "central", kind: ReceiptKind = ReceiptKind.SIGNED, sha256: Digest = OURS, size_bytes: int = SIZE
) -> Receipt:
    return Receipt(store, kind, sha256, size_bytes, "handle", NOW, "proof")


SAFE = CopyFacts(
    wiping_enabled=True,
    role_may_be_wiped=True,
    camera_seized=False,
    camera_claimed=True,
    serial_on_two_bays=False,
    custody=Custody.CONFIRMED,
    copy=Copy.PRESENT,
    hold=None,
    sha256=OURS,
    size_bytes=SIZE,
    doubt=None,
    stores_asked=True,
    last_look=OURS,
)


@dataclass(frozen=True, slots=True)
class Danger:
    """One fact that forbids a wipe, in all its shapes, with the reason an operator must read."""

    reason: str
    shapes: tuple[dict[str, object], ...]
    receipts: tuple[Receipt, ...] | None = None


DANGERS = (
    Danger("camera_seized", ({"camera_seized": True},)),
    Danger("wiping_off", ({"wiping_enabled": False},)),
    Danger("ledger_unaudited", ({"doubt": "ledger_unaudited"},)),
    Danger("ledger_damaged", ({"doubt": "ledger_damaged"},)),
    Danger("ledger_rolled_back", ({"doubt": "ledger_rolled_back"},)),
    Danger("not_in_profile", ({"role_may_be_wiped": False},)),
    Danger("camera_unclaimed", ({"camera_claimed": False},)),
    Danger("serial_on_two_bays", ({"serial_on_two_bays": True},)),
    Danger("on_hold", ({"hold": "case 12"}, {"hold": ""})),
    Danger("copy_not_present", tuple({"copy": copy} for copy in Copy if copy is not Copy.PRESENT)),
    Danger("not_confirmed", tuple({"custody": each} for each in Custody if each is not Custody.CONFIRMED)),
    Danger("receipts_not_enough", ({},), receipts=()),
    Danger("stores_not_asked", ({"stores_asked": False},)),
    Danger("not_looked_at", ({"last_look": None},)),
)


def test_a_wipe_is_allowed_only_when_no_danger_is_present() -> None:
    for present in product([False, True], repeat=len(DANGERS)):
        dangers = [danger for danger, here in zip(DANGERS, present, strict=True) if here]
        unproved = any(danger.receipts is not None for danger in dangers)
        receipts = () if unproved else (receipt(),)
        for shapes in product(*(danger.shapes for danger in dangers)):
            facts = SAFE
            for shape in shapes:
                facts = replace(facts, **shape)  # type: ignore[arg-type]
            answer = may_wipe(facts, receipts, PROOF)
            if dangers:
                assert isinstance(answer, Refuse), facts
                assert answer.reason in {danger.reason for danger in dangers}, facts
            else:
                assert answer == Allow()


@pytest.mark.parametrize("danger", DANGERS, ids=lambda danger: danger.reason)
def test_each_danger_alone_is_refused_by_its_own_name(danger: Danger) -> None:
    for shape in danger.shapes:
        facts = replace(SAFE, **shape)  # type: ignore[arg-type]
        assert may_wipe(facts, (receipt(),) if danger.receipts is None else danger.receipts, PROOF) == Refuse(
            danger.reason
        )


def test_a_seized_camera_is_named_before_every_other_reason() -> None:
    assert may_wipe(replace(SAFE, camera_seized=True, wiping_enabled=False), (), PROOF) == Refuse("camera_seized")


def test_a_confirmed_clip_without_a_digest_is_not_confirmed() -> None:
    assert may_wipe(replace(SAFE, sha256=None, last_look=None), (receipt(),), PROOF) == Refuse("not_confirmed")


def test_a_camera_whose_bytes_differ_keeps_them() -> None:
    assert may_wipe(replace(SAFE, last_look=OTHER), (receipt(),), PROOF) == Refuse("camera_bytes_differ")


TOO_LITTLE = {
    "wrong digest": receipt(sha256=OTHER),
    "wrong size": receipt(size_bytes=SIZE + 1),
    "wrong store": receipt(store="elsewhere"),
    "too weak": receipt(kind=ReceiptKind.READBACK),
}


@pytest.mark.parametrize("poor", TOO_LITTLE.values(), ids=TOO_LITTLE.keys())
def test_a_receipt_that_does_not_fit_opens_nothing(poor: Receipt) -> None:
    assert not is_confirmed(OURS, SIZE, [poor], PROOF)
    assert may_wipe(SAFE, [poor], PROOF) == Refuse("receipts_not_enough")


def test_receipts_that_each_lack_something_do_not_add_up() -> None:
    assert count_proofs(OURS, SIZE, TOO_LITTLE.values(), PROOF) == 0


@given(st.lists(st.sampled_from([receipt(), receipt("second"), receipt(sha256=OTHER)])), st.integers(-3, 0))
def test_no_receipts_ever_confirm_for_zero_copies(receipts: list[Receipt], copies: int) -> None:
    assert not is_confirmed(OURS, SIZE, receipts, Proof(copies, {"central": ReceiptKind.CHECKSUM}))


@given(
    receipts=st.lists(
        st.builds(
            receipt,
            st.sampled_from(["a", "b", "c", "unknown"]),
            st.sampled_from(list(ReceiptKind)),
            st.sampled_from([OURS, OURS, OTHER]),
            st.sampled_from([SIZE, SIZE, SIZE - 1]),
        )
    ),
    copies=st.integers(1, 4),
    require=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(ReceiptKind))),
)
def test_confirmed_means_that_so_many_stores_each_gave_enough(
    receipts: list[Receipt], copies: int, require: dict[str, ReceiptKind]
) -> None:
    proved = 0
    for store, weakest in require.items():
        strengths = [int(r.kind) for r in receipts if (r.store, r.sha256, r.size_bytes) == (store, OURS, SIZE)]
        proved += bool(strengths) and max(strengths) >= int(weakest)
    assert count_proofs(OURS, SIZE, receipts, Proof(copies, require)) == proved
    assert is_confirmed(OURS, SIZE, receipts, Proof(copies, require)) == (proved >= copies)
    wiped = may_wipe(SAFE, receipts, Proof(copies, require)) == Allow()
    assert wiped == (proved >= copies)


def test_one_store_that_proves_twice_is_one_copy() -> None:
    twice = [receipt(), receipt(kind=ReceiptKind.READBACK), receipt()]
    assert not is_confirmed(OURS, SIZE, twice, Proof(2, {"central": ReceiptKind.CHECKSUM}))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("custodies", [(), (Custody.CONFIRMED,), *((each,) for each in Custody), tuple(Custody)])
@pytest.mark.parametrize("holds", [(), ("case 12",)])
@pytest.mark.parametrize("since", [None, timedelta(0), HOUR - timedelta(microseconds=1), HOUR, 2 * HOUR])
@pytest.mark.parametrize("proved", [True, False])
def test_a_purge_needs_confirmed_clips_no_hold_the_whole_hold_time_and_receipts_that_still_prove(
    custodies: tuple[Custody, ...], holds: tuple[str, ...], since: timedelta | None, proved: bool
) -> None:
    wanted = {
        "no_clip": len(custodies) == 0,
        "not_confirmed": set(custodies) - {Custody.CONFIRMED} != set(),
        "on_hold": len(holds) > 0,
        "hold_time": since not in (HOUR, 2 * HOUR),
        "receipts_not_enough": not proved,
    }
    reasons = [reason for reason, true in wanted.items() if true]
    answer = may_purge(PurgeFacts(custodies, holds, since, HOUR, None, proved))
    assert answer == (Refuse(reasons[0]) if reasons else Allow())


@pytest.mark.parametrize("custody", [each for each in Custody if each is not Custody.CONFIRMED])
def test_one_unconfirmed_sighting_keeps_the_object_in_the_spool(custody: Custody) -> None:
    facts = PurgeFacts((Custody.CONFIRMED, custody, Custody.CONFIRMED), (), 2 * HOUR, HOUR, None, proved=True)
    assert may_purge(facts) == Refuse("not_confirmed")


@pytest.mark.parametrize("doubt", ["ledger_unaudited", "ledger_damaged", "ledger_rolled_back"])
def test_a_ledger_in_doubt_purges_nothing(doubt: str) -> None:
    assert may_purge(PurgeFacts((Custody.CONFIRMED,), (), 2 * HOUR, HOUR, doubt, proved=True)) == Refuse(doubt)


def test_every_reason_has_a_sentence_for_operators_and_no_sentence_is_idle() -> None:
    reachable = {danger.reason for danger in DANGERS} | {"camera_bytes_differ", "no_clip", "hold_time"}
    assert set(REFUSALS) == reachable
    assert not reachable & set(MEDIUM_REFUSALS)  # found by trying, not decided
