"""What people are told of a store: whether it was probed, whether that still holds, and how long certificates last."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.commissioning import Certificate, Commissioning, Seen
from agent.core.object import ReceiptKind
from agent.core.renewal_policy import Subject
from agent.stores.probe_record import record_path, write_record
from agent.stores.standing import Standing, told_of
from tests.stores.certificates import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "s3+https://store.example/bucket"
CERTIFICATE = Certificate("aa", "CN=store", "CN=ca", NOW, NOW + timedelta(days=90), "rr", "CN=root")
RECORD = Commissioning(
    "central", URL, NOW, Seen("Store/1.0", CERTIFICATE), frozenset({ReceiptKind.READBACK, ReceiptKind.CHECKSUM}), ()
)
RUN = "run `dock-agent doctor store central`"


def standing(
    state: Path,
    record: Commissioning | None = RECORD,
    *,
    require: ReceiptKind = ReceiptKind.CHECKSUM,
    seen: Seen | None = None,
    client_cert: Path | None = None,
) -> Standing:
    path = record_path(state, "central")
    if record is not None:
        write_record(path, record)
    made = Standing("central", URL, require, lambda: NOW, path, client_cert)
    made.sighting.last = seen
    return made


def test_of_a_store_that_was_probed_and_is_as_it_was_nothing_is_told(tmp_path: Path) -> None:
    made = standing(tmp_path, seen=RECORD.seen)
    assert told_of([made], 1) == ([], [])
    assert made.gives_checksums()
    assert made.still_gives_checksums()


def test_a_store_that_was_never_probed_gives_no_checksum_receipts_and_the_command_is_named(tmp_path: Path) -> None:
    made = standing(tmp_path, None)
    assert not made.gives_checksums()
    assert not made.still_gives_checksums()
    (notice,) = made.told().notices
    assert RUN in notice
    assert "each object is read back" in notice
    (quieter,) = replace(made, require=ReceiptKind.READBACK).told().notices
    assert RUN in quieter
    assert "read back" not in quieter


@pytest.mark.parametrize(
    ("record", "seen", "words"),
    [
        (replace(RECORD, place="s3+https://old.example/bucket"), RECORD.seen, "url"),
        (RECORD, replace(RECORD.seen, server="Store/2.0"), "version"),
        (RECORD, replace(RECORD.seen, certificate=replace(CERTIFICATE, fingerprint="bb")), "certificate"),
    ],
)
def test_once_url_server_or_certificate_changed_no_checksum_receipt_is_given_until_it_is_probed_again(
    tmp_path: Path, record: Commissioning, seen: Seen, words: str
) -> None:
    made = standing(tmp_path, record, seen=seen)
    assert not made.gives_checksums()
    assert made.still_gives_checksums() is (record.place == URL)  # what was given before the change stays good
    (notice,) = made.told().notices
    assert RUN in notice
    assert words in notice
    write_record(record_path(tmp_path, "central"), replace(RECORD, seen=seen))
    assert made.gives_checksums()
    assert made.told().notices == []


def test_a_probe_that_found_checksums_worthless_ends_those_of_before(tmp_path: Path) -> None:
    made = standing(tmp_path, replace(RECORD, kinds=frozenset({ReceiptKind.READBACK})))
    assert not made.gives_checksums()
    assert not made.still_gives_checksums()
    (notice,) = made.told().notices
    assert "read back instead" in notice


def test_a_demand_that_the_store_was_found_unable_to_meet_is_told(tmp_path: Path) -> None:
    made = standing(tmp_path, require=ReceiptKind.SIGNED)
    problems, notices = told_of([made], 1)
    assert problems == []
    assert "cannot confirm" in notices[0]
    assert "Nothing can ever be confirmed: [confirm] copies = 1" in notices[1]


def test_one_able_store_of_two_is_enough_for_one_copy_and_not_for_two(tmp_path: Path) -> None:
    unable = standing(tmp_path, require=ReceiptKind.SIGNED)
    unprobed = Standing("second", "tus+https://b.example/files/", ReceiptKind.SIGNED, lambda: NOW)
    assert not any("Nothing can ever" in notice for notice in told_of([unable, unprobed], 1)[1])
    assert any("required of central" in notice for notice in told_of([unable, unprobed], 2)[1])


@pytest.mark.parametrize(("days", "pressing", "told"), [(31, False, False), (29, False, True), (6, True, True)])
def test_the_end_of_a_stores_certificate_is_told_before_it_comes(
    tmp_path: Path, days: int, pressing: bool, told: bool
) -> None:
    shown = replace(CERTIFICATE, ends=NOW + timedelta(days=days))
    found = standing(tmp_path, replace(RECORD, seen=Seen(None, shown))).told()
    words = " ".join(found.problems if pressing else found.notices)
    assert ("The certificate of store central ends on" in words) is told
    assert (found.problems if not pressing else found.notices) == []
    assert ("renewed at the store" in words) is told


def test_the_certificate_that_was_seen_last_counts_and_not_the_one_of_the_probe(tmp_path: Path) -> None:
    old = replace(CERTIFICATE, ends=NOW + timedelta(days=2))
    found = standing(tmp_path, replace(RECORD, seen=Seen(None, old)), seen=Seen(None, CERTIFICATE)).told()
    assert found.problems == []


def test_the_end_of_our_own_certificate_is_told_until_its_file_is_replaced(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "forceca")
    certificate, _ = authority.issue("hub7", ends=5)
    made = standing(tmp_path, seen=RECORD.seen, client_cert=certificate)
    (problem,) = made.told().problems
    assert problem.startswith("This station's certificate for store central ends on")
    assert str(certificate) in problem
    authority.issue("hub7", ends=60)
    assert made.told().problems == []


def test_on_the_last_day_a_certificate_stands_first_among_the_problems(tmp_path: Path) -> None:
    shown = replace(CERTIFICATE, ends=NOW + timedelta(days=3))
    own, _ = Authority(tmp_path, "forceca").issue("hub7", begins=-3, ends=-1)
    found = standing(tmp_path, replace(RECORD, seen=Seen(None, shown)), client_cert=own).told()
    urgent, pressing = found.problems
    assert urgent.startswith("URGENT: This station's certificate for store central has ended")
    assert "dock-agent renew central" in urgent
    assert pressing.startswith("The certificate of store central ends on")


def test_of_the_authorities_in_ca_the_one_that_ends_last_counts(tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old").issue("old-root", ends=2)[0], Authority(tmp_path, "new")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(old.read_bytes())
    made = replace(standing(tmp_path, seen=RECORD.seen), ca=ca)
    (problem,) = made.told().problems
    assert problem.startswith("The last authority in the `ca` of store central ends on")
    ca.write_bytes(old.read_bytes() + new.issue("new-root", ends=400)[0].read_bytes())
    assert made.told().problems == []
    ca.write_text("-----BEGIN CERT")
    assert made.endings()[0].subject is Subject.STORE  # what cannot be read now is left to those who use it
    assert len(made.endings()) == 1


def test_a_station_whose_clock_is_behind_is_told_all_the_same(tmp_path: Path) -> None:
    shown = replace(CERTIFICATE, ends=NOW + timedelta(days=3))
    made = standing(tmp_path, replace(RECORD, seen=Seen(None, shown)))
    behind = replace(made, clock=lambda: NOW - timedelta(days=300), passed=NOW)
    (problem,) = behind.told().problems
    assert "clock is wrong" in problem


def test_a_client_certificate_that_cannot_be_read_now_is_left_to_those_who_use_it(tmp_path: Path) -> None:
    (tmp_path / "half.pem").write_text("-----BEGIN CERT")
    for path in (tmp_path / "half.pem", tmp_path / "none.pem"):
        assert told_of([standing(tmp_path, seen=RECORD.seen, client_cert=path)], 1) == ([], [])
