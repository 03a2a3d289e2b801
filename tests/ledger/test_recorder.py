"""What every custody event carries, and the chain as a whole."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.custody import line_digest
from agent.ledger import custody
from agent.ledger.custody import Recorder, from_us, to_us, tool_version, utc_now
from tests.ledger.stage import CAMERA, Stage


def test_an_event_says_where_when_and_by_what_it_was_written(stage: Stage) -> None:
    zone = timezone(timedelta(hours=2))
    recorder = Recorder("hub7", "dock-agent 1.0", clock=lambda: datetime(2026, 7, 1, 14, 0, 0, 5, zone), boot="b")
    seq = stage.do(lambda tx: recorder.record(tx, "camera.seen", {"x": 1}, camera=CAMERA))
    row = stage.sql("SELECT event, clip, camera, at_us, line, digest FROM events WHERE seq = ?", seq)[0]
    line = json.loads(row[4])
    assert line["at"] == "2026-07-01T12:00:00.000005Z"
    assert (line["boot"], line["station"], line["tool"], line["camera"], line["x"]) == (
        "b",
        "hub7",
        "dock-agent 1.0",
        CAMERA,
        1,
    )
    assert line["monotonic_us"] > 0
    assert "clip" not in line
    assert row[:4] == ("camera.seen", None, CAMERA, to_us(datetime(2026, 7, 1, 12, 0, 0, 5, UTC)))
    assert row[5] == line_digest(row[4])


def test_the_chain_of_a_lived_in_ledger_holds_and_its_lines_are_those_of_the_table(peopled: Stage) -> None:
    lines = peopled.do(lambda tx: list(custody.lines(tx)))
    report = peopled.do(custody.verify)
    assert (report.events, report.fault) == (len(lines), None)
    assert report.head == line_digest(lines[-1])


def test_verifying_believes_the_lines_and_not_the_columns_beside_them(peopled: Stage) -> None:
    peopled.sql("DROP TRIGGER events_same")
    peopled.sql("UPDATE events SET line = replace(line, 'hub7', 'hub8') WHERE seq = 3")
    report = peopled.do(custody.verify)
    assert report.fault is not None
    assert (report.fault.seq, report.events) == (4, 3)


def test_this_boot_has_its_own_name() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    assert Recorder("hub7", "test").boot == boot


def test_a_machine_that_does_not_tell_its_boot_still_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_self: Path, _encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert Recorder("hub7", "test").boot == "unknown"


def test_the_tool_version_names_agent_python_and_kernel() -> None:
    assert tool_version("1.2").startswith("dock-agent 1.2 (python 3.")
    assert ", linux " in tool_version("1.2")


def test_the_wall_clock_is_aware() -> None:
    assert utc_now().tzinfo is UTC


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - made aware
def test_a_moment_survives_the_ledger_to_the_microsecond(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment
