"""The record of a commissioning as it lies beside the ledger."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.commissioning import Certificate, Commissioning, Probe, Seen, Verdict
from agent.core.object import ReceiptKind
from agent.stores.probe_record import MAX_BYTES, read_record, record_path, write_record

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
CERTIFICATE = Certificate("aa", "CN=store", "CN=ca", NOW, NOW + timedelta(days=90), "rr", "CN=root")
RECORD = Commissioning(
    store="central",
    place="s3+https://store.example/bucket",
    at=NOW,
    seen=Seen("Store/1.0", CERTIFICATE),
    kinds=frozenset({ReceiptKind.READBACK, ReceiptKind.CHECKSUM}),
    probes=(
        Probe("write", "an object", "200", Verdict.HOLDS),
        Probe("object_lock", "a question", "off", Verdict.ABSENT),
    ),
    left=("bucket/probe/x",),
)


@pytest.mark.parametrize("record", [RECORD, replace(RECORD, seen=Seen(None, None), probes=(), left=())])
def test_what_was_written_is_read_again_whole(tmp_path: Path, record: Commissioning) -> None:
    path = record_path(tmp_path, "central")
    write_record(path, record)
    assert read_record(path) == record
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["central.json"]


def test_where_nothing_was_recorded_there_is_no_record(tmp_path: Path) -> None:
    assert read_record(record_path(tmp_path, "central")) is None


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[1]", "null", json.dumps({"digest": "0"})])
def test_what_is_no_record_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "central.json"
    path.write_text(text)
    assert read_record(path) is None


@pytest.mark.parametrize(("old", "new"), [('"readback"', '"signed"'), ('"holds"', '"ignored"'), ("}", ""), ("200", "")])
def test_a_damaged_record_is_none(tmp_path: Path, old: str, new: str) -> None:
    path = record_path(tmp_path, "central")
    write_record(path, RECORD)
    path.write_text(path.read_text().replace(old, new, 1))
    assert read_record(path) is None


def test_a_record_that_is_far_too_long_is_none(tmp_path: Path) -> None:
    path = record_path(tmp_path, "central")
    write_record(path, RECORD)
    path.write_text(path.read_text() + " " * MAX_BYTES)
    assert read_record(path) is None


def test_a_record_of_a_newer_form_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record_path(tmp_path, "central")
    monkeypatch.setattr("agent.stores.probe_record._FORMAT", 2)
    write_record(path, RECORD)
    monkeypatch.undo()
    assert read_record(path) is None


def test_a_record_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record_path(tmp_path, "central")
    write_record(path, RECORD)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="space"):
        write_record(path, replace(RECORD, kinds=frozenset()))
    assert read_record(path) == RECORD
    assert [each.name for each in path.parent.iterdir()] == ["central.json"]
