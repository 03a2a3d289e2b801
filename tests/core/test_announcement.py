"""What a station tells a store before the bytes come: the same text for the same objects, and nothing else is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.announcement import MAX_BYTES, MAX_OBJECTS, Announced, Announcement
from agent.core.clip import CameraId
from agent.core.object import Digest

ONE = Announced(
    Digest("ab" * 32), 734003200, CameraId("X60A0001"), b"DCIM/0001.MP4", "2026-03-01T08:00:00Z", False, True
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
objects = st.builds(
    Announced,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64).map(Digest),
    size_bytes=st.integers(0, (1 << 63) - 1),
    camera=texts.map(CameraId),
    path=st.binary(min_size=1, max_size=4096),
    started_at=st.none() | texts,
    event=st.booleans(),
    urgent=st.booleans(),
)


@given(st.lists(objects, min_size=1, max_size=20))
def test_what_was_announced_is_read_as_it_was_meant(some: list[Announced]) -> None:
    announcement = Announcement.of("hub7", some)
    assert Announcement.parse(announcement.text()) == announcement
    assert announcement.objects == tuple(some[: len(announcement.objects)])


def test_the_text_is_the_documented_one() -> None:
    assert json.loads(Announcement.of("hub7", [ONE]).text()) == {
        "format": "bwv-announcement/1",
        "station": "hub7",
        "objects": [
            {
                "sha256": "ab" * 32,
                "size": 734003200,
                "camera": "X60A0001",
                "path": "DCIM/0001.MP4",
                "started_at": "2026-03-01T08:00:00Z",
                "event": False,
                "priority": "urgent",
            }
        ],
    }


@pytest.mark.parametrize("path", [b"\x00" * 4096, b"\xff" * 4096, b"DCIM/1.MP4"], ids=["controls", "no text", "usual"])
def test_as_many_as_fit_are_told_at_once_and_at_least_one(path: bytes) -> None:
    many = [Announced(ONE.sha256, 1, CameraId("\U0001f4f7" * 200), path, "t" * 64, True, False)] * (MAX_OBJECTS + 5)
    told = Announcement.of("h" * 64, many)
    assert 1 <= len(told.objects) <= MAX_OBJECTS
    assert len(told.text()) <= MAX_BYTES
    more = Announcement("h" * 64, (*told.objects, many[0]))
    assert len(more.text()) > MAX_BYTES or len(told.objects) == MAX_OBJECTS


def test_of_small_objects_no_more_are_told_than_a_reader_takes() -> None:
    small = Announced(ONE.sha256, 1, CameraId("C"), b"a", None, False, False)
    told = Announcement.of("h", [small] * (MAX_OBJECTS + 1))
    assert len(told.text()) <= MAX_BYTES
    assert Announcement.parse(told.text()) == told


def test_nothing_is_no_announcement() -> None:
    with pytest.raises(ValueError, match="nothing to announce"):
        Announcement.of("hub7", [])


def test_text_that_cannot_be_written_or_is_too_long_is_told_as_far_as_it_can() -> None:
    odd = Announced(ONE.sha256, 1, CameraId("CAM\udcff"), b"a", "9" * 100, False, False)
    (told,) = Announcement.parse(Announcement.of("hub7", [odd]).text()).objects
    assert (told.camera, told.started_at) == ("CAM?", "9" * 64)
    empty = Announced(ONE.sha256, 1, CameraId("CAM"), b"a", "", False, False)
    assert Announcement.parse(Announcement.of("hub7", [empty]).text()).objects[0].started_at is None


def body(**changes: Any) -> bytes:
    view = {**ONE.view(), **changes}
    return json.dumps({"format": "bwv-announcement/1", "station": "hub7", "objects": [view]}).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 60_000,
        b" " * (MAX_BYTES + 1),
        b'{"format": "bwv-announcement/1", "station": "hub7", "objects": []}',
        b'{"format": "bwv-announcement/1", "station": "hub7", "objects": 7}',
        b'{"format": "bwv-announcement/2", "station": "hub7", "objects": [1]}',
        b'{"format": "bwv-announcement/1", "station": "hub7", "objects": [1]}',
        json.dumps({"format": "bwv-announcement/1", "station": "h", "objects": [{}] * 501}).encode(),
        body(more=1),
        body(sha256="AB" * 32),
        body(sha256=7),
        body(size=-1),
        body(size=True),
        body(size=1.0),
        body(size=1 << 63),
        body(camera=""),
        body(camera="c" * 201),
        body(camera="\ud800"),
        body(path=""),
        body(path="\ud800"),
        body(path="p" * 4097),
        body(path={"hex": "zz"}),
        body(path={"hex": 7}),
        body(path={"hex": "00", "more": 1}),
        body(path=7),
        body(started_at=7),
        body(started_at="t" * 65),
        body(event=1),
        body(priority="soon"),
        body(priority=[]),
        body().replace(b'"hub7"', b"7"),
    ],
)
def test_whatever_is_no_announcement_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what is wrong differs, that it is refused does not
        Announcement.parse(text)


def test_the_body_of_these_tests_is_one() -> None:
    assert Announcement.parse(body()).objects == (ONE,)
