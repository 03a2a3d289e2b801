from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.core.commissioning import (
    Certificate,
    Commissioning,
    Probe,
    Seen,
    Verdict,
    all_hold,
    chain_moved,
    copies_out_of_reach,
    why_outdated,
)
from agent.core.object import ReceiptKind

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
CERTIFICATE = Certificate("aa", "CN=store", "CN=ca", NOW, NOW + timedelta(days=90), "rr", "CN=root")
SEEN = Seen("Store/1.0", CERTIFICATE)
URL = "s3+https://store.example/bucket"


def record(*kinds: ReceiptKind, **changed: object) -> Commissioning:
    made = Commissioning("central", URL, NOW, SEEN, frozenset(kinds), ())
    return replace(made, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kinds", "require", "met"),
    [
        ((ReceiptKind.SIGNED,), ReceiptKind.CHECKSUM, True),
        ((ReceiptKind.READBACK,), ReceiptKind.READBACK, True),
        ((ReceiptKind.READBACK, ReceiptKind.CHECKSUM), ReceiptKind.SIGNED, False),
        ((), ReceiptKind.CHECKSUM, False),
    ],
)
def test_a_stronger_receipt_meets_a_weaker_demand_and_never_the_other_way_round(
    kinds: tuple[ReceiptKind, ...], require: ReceiptKind, met: bool
) -> None:
    assert record(*kinds).meets(require) is met


def test_the_strongest_kind_is_advised_and_none_where_there_is_none() -> None:
    assert record(ReceiptKind.CHECKSUM, ReceiptKind.READBACK).advice() is ReceiptKind.READBACK
    assert record().advice() is None


def test_probes_that_show_nothing_are_named() -> None:
    good, bad = (Probe(verdict.value, "", "", verdict) for verdict in (Verdict.HOLDS, Verdict.FAILED))
    assert record(probes=(good, bad)).failed == (bad,)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_probes_that_were_made_and_hold_prove_anything(verdict: Verdict) -> None:
    probes = [Probe("write", "", "", Verdict.HOLDS), Probe("checksum_put", "", "", verdict)]
    assert all_hold(probes, ("write", "checksum_put")) is (verdict is Verdict.HOLDS)
    assert not all_hold(probes, ("write", "checksum_part"))


@pytest.mark.parametrize(
    ("place", "seen", "words"),
    [
        (URL, SEEN, None),
        (URL, None, None),
        (URL, replace(SEEN, certificate=replace(CERTIFICATE, subject="the same bytes")), None),
        (URL + "/deeper", SEEN, "url"),
        (URL, replace(SEEN, server="Store/1.1"), "version"),
        (URL, replace(SEEN, server=None), "version"),
        (URL, replace(SEEN, certificate=replace(CERTIFICATE, fingerprint="bb")), "certificate"),
        (URL, replace(SEEN, certificate=None), "certificate"),
    ],
)
def test_a_record_is_about_one_url_one_server_and_one_certificate(
    place: str, seen: Seen | None, words: str | None
) -> None:
    why = why_outdated(record(), place, seen)
    assert why is None if words is None else words in str(why)


@pytest.mark.parametrize(
    ("now", "before", "moved"),
    [
        (CERTIFICATE, CERTIFICATE, False),
        (replace(CERTIFICATE, root="ss"), CERTIFICATE, True),
        (replace(CERTIFICATE, fingerprint="bb"), CERTIFICATE, False),
        (CERTIFICATE, None, False),
        (None, CERTIFICATE, False),
        (replace(CERTIFICATE, root=None), CERTIFICATE, False),
        (CERTIFICATE, replace(CERTIFICATE, root=None), False),
    ],
)
def test_a_chain_moves_only_when_both_ends_were_seen(
    now: Certificate | None, before: Certificate | None, moved: bool
) -> None:
    assert chain_moved(now, before) is moved


@pytest.mark.parametrize(
    ("copies", "known", "out"),
    [
        (1, {"a": (), "b": (ReceiptKind.READBACK,)}, []),
        (2, {"a": (), "b": (ReceiptKind.READBACK,)}, ["a"]),
        (2, {"a": ()}, ["a"]),
        (1, {"a": ()}, []),
        (2, {}, []),
        (2, {"a": (ReceiptKind.SIGNED,), "b": (ReceiptKind.SIGNED,)}, []),
    ],
)
def test_copies_are_out_of_reach_once_too_many_stores_were_found_unable(
    copies: int, known: dict[str, tuple[ReceiptKind, ...]], out: list[str]
) -> None:
    requires = {"a": ReceiptKind.READBACK, "b": ReceiptKind.READBACK}
    assert copies_out_of_reach(copies, requires, {name: record(*kinds) for name, kinds in known.items()}) == out
