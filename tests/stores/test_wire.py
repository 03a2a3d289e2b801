"""Small things on the wire: labels, hints, waiting times."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.object import EMPTY_DIGEST
from agent.ports import ClipLabel, Shipment
from agent.stores.answer import retry_after_s
from agent.stores.hint import FORGOTTEN, Hint
from agent.stores.metadata import MAX_HEADER_BYTES, upload_metadata
from tests.contracts.store_place import make_shipment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def parsed(header: str) -> dict[str, bytes]:
    pairs = (pair.partition(" ") for pair in header.split(","))
    return {key: base64.b64decode(value, validate=True) for key, _, value in pairs}


def test_the_label_carries_every_fact_and_the_names_raw_bytes(tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, b"x", path=b"DCIM/\xff\xfe.MP4")
    label = replace(shipment.label, officer="PC 7", event=True, ended_at="2026-01-02T03:05:00")
    found = parsed(upload_metadata(replace(shipment, label=label)))
    assert found == {
        "clip": b"c0123456789abcdef0123",
        "camera": b"CAM-7",
        "bay": b"1",
        "station": b"hub7",
        "role": b"clip",
        "event": b"1",
        "started_at": b"2026-01-02T03:04:05",
        "ended_at": b"2026-01-02T03:05:00",
        "officer": b"PC 7",
        "sha256": shipment.sha256.encode(),
        "filetype": b"video/mp4",
        "filename": "\ufffd\ufffd.MP4".encode(),
        "name": b"DCIM/\xff\xfe.MP4",
    }


def test_unknown_facts_have_no_key(tmp_path: Path) -> None:
    assert "officer" not in parsed(upload_metadata(make_shipment(tmp_path, b"x")))


@given(path=st.binary(min_size=1, max_size=9000), text=st.text(max_size=3000))
def test_the_label_is_bounded_plain_ascii_and_says_what_was_cut(path: bytes, text: str) -> None:
    whole = ClipLabel(
        clip=ClipId(text),
        camera=CameraId(text),
        bay=BayName(text),
        station=text,
        path=path,
        role=text,
        event=False,
        started_at=text,
        ended_at=text,
        officer=text,
    )
    header = upload_metadata(Shipment(EMPTY_DIGEST, 0, Path("x"), whole))
    assert header.isascii()
    assert len(header) <= MAX_HEADER_BYTES
    found = parsed(header)
    assert found["sha256"].decode() == EMPTY_DIGEST
    cut = found.get("cut", b"").decode().split()
    assert (found["name"] == path) != ("name" in cut)
    assert (found["clip"] == text.encode("utf-8", "replace")) != ("clip" in cut)


def test_a_camera_name_with_commas_and_lines_cannot_break_the_header(tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, b"x")
    nasty = replace(shipment.label, camera=CameraId("a,b c\r\nX-Evil: 1"))
    header = upload_metadata(replace(shipment, label=nasty))
    assert parsed(header)["camera"] == b"a,b c\r\nX-Evil: 1"
    assert "\n" not in header


@pytest.mark.parametrize("sent", [0, 17, None])
def test_a_hint_comes_back_as_it_was_kept(sent: int | None) -> None:
    assert Hint.parse(Hint("http://h/files/u", sent).text()) == Hint("http://h/files/u", sent)


@given(st.text() | st.sampled_from([FORGOTTEN, "[]", '"x"', '{"url": 1}', "null", "[" * 30, None]))
def test_no_text_breaks_the_reading_of_hints(text: str | None) -> None:
    assert Hint.parse(text) is None or (text or "").startswith("http") or "url" in (text or "")


@pytest.mark.parametrize("sent", ["-1", "true", '"9"', "1.5"])
def test_a_hint_with_a_count_that_is_none_knows_only_the_address(sent: str) -> None:
    assert Hint.parse(f'{{"url": "http://h/u", "sent": {sent}}}') == Hint("http://h/u", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17", 17.0),
        (" 0 ", 0.0),
        ("315360000", 315360000.0),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("-5", None),
        ("1e9", None),
        ("soon", None),
        ("9" * 5000, None),
        ("Fri, 99 Jan 2026 03:04:35 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_a_waiting_time_is_read_or_ignored(text: str | None, expected: float | None) -> None:
    assert retry_after_s(text, NOW) == expected


@given(st.text())
def test_no_waiting_time_breaks_the_reading(text: str) -> None:
    seconds = retry_after_s(text, NOW)
    assert seconds is None or seconds >= 0
