"""What an audit makes of a report."""

from datetime import date
from typing import Any

import pytest

from tests.audit.advisories import PROOF, Accepted, Pin, acceptances, judge, once_each, pins

TODAY = date(2027, 1, 10)
SIX = Pin("six", "1.0")
WHERE = {SIX: ["runtime.txt", "dev.txt"]}
KNOWN = {"name": PROOF[0], "version": PROOF[1], "vulns": [{"id": "PYSEC-1"}]}
ADVISORY = {"id": "GHSA-x", "aliases": ["CVE-2027-1"], "fix_versions": ["1.1"]}


def report(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(rows)}


def six(*advisories: dict[str, Any]) -> dict[str, Any]:
    return {"name": "Six", "version": "1.0", "vulns": list(advisories)}


def test_a_lock_pins_names_as_services_write_them() -> None:
    lock = "# six==9\nSix_A==1.0 ; python_version < '3' \\\n    --hash=sha256:00\nb.c==2.0.post1 \\\n"
    assert pins(lock) == {Pin("six-a", "1.0"), Pin("b-c", "2.0.post1")}


def test_a_library_in_two_versions_is_asked_about_twice() -> None:
    other = Pin("six", "2.0")
    assert once_each([other, Pin("a", "1"), SIX]) == [[Pin("a", "1"), SIX], [other]]


def test_no_advisory_is_good_news_only_of_a_service_that_knows_some() -> None:
    good = judge(report(KNOWN, six()), WHERE, {}, TODAY)
    assert (good.unasked, good.concerns) == ([], [])
    for empty in (six(), {**KNOWN, "vulns": []}, {"name": PROOF[0], "skip_reason": "not found"}):
        assert judge(report(six(), empty), WHERE, {}, TODAY).unasked == [
            "it knows no advisory of jinja2 2.10, which has some"
        ]


def test_a_library_that_the_service_leaves_out_is_not_taken_for_a_good_one() -> None:
    left_out = judge(report(KNOWN, {"name": "six", "skip_reason": "not found"}), WHERE, {}, TODAY)
    assert left_out.unasked == ["it says nothing of six 1.0"]


def test_an_advisory_is_told_with_its_locks_and_what_mends_it() -> None:
    verdict = judge(report(KNOWN, six(ADVISORY)), WHERE, {}, TODAY)
    assert verdict.concerns == ["six 1.0 in dev.txt, runtime.txt: GHSA-x, mended in 1.1"]


@pytest.mark.parametrize("name", ["GHSA-x", "CVE-2027-1"])
def test_an_accepted_advisory_is_accepted_until_its_day(name: str) -> None:
    rows = report(KNOWN, six(ADVISORY))
    assert judge(rows, WHERE, {name: Accepted(TODAY, "why")}, TODAY).concerns == []
    (over,) = judge(rows, WHERE, {name: Accepted(date(2027, 1, 9), "why")}, TODAY).concerns
    assert "(accepted until 2027-01-09)" in over


def test_what_is_accepted_and_concerns_nothing_has_to_go() -> None:
    accepted = {"GHSA-old": Accepted(TODAY, "why")}
    (told,) = judge(report(KNOWN, six()), WHERE, accepted, TODAY).concerns
    assert told.startswith("GHSA-old in config/advisories.txt concerns nothing")


def test_an_acceptance_has_a_day_and_a_reason() -> None:
    assert acceptances("# why\n\nGHSA-x 2027-03-31 never reached\n") == {
        "GHSA-x": Accepted(date(2027, 3, 31), "never reached")
    }
    with pytest.raises(ValueError, match="line 1: it needs"):
        acceptances("GHSA-x 2027-03-31\n")
    with pytest.raises(ValueError, match="line 1: soon is no day"):
        acceptances("GHSA-x soon why\n")
