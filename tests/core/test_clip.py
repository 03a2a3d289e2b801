"""The two state machines of a clip, and how its hostile name is shown."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.clip import (
    COPY_MOVES,
    MOVES,
    CameraId,
    Clip,
    ClipId,
    Copy,
    Custody,
    Entry,
    SessionId,
    display_name,
    one_line,
)

# Written from the design's table, not from the code.
CUSTODY_TABLE = {
    "listed": {"spooled", "quarantined", "lost"},
    "spooled": {"confirmed", "quarantined", "listed"},
    "confirmed": set(),
    "quarantined": {"spooled", "listed"},
    "lost": {"listed"},
}
COPY_TABLE = {
    "present": {"wipe_intended", "missing"},
    "wipe_intended": {"gone", "present"},
    "gone": set(),
    "missing": {"present"},
}
HOSTILE = [
    b"DCIM/\x1b[2J.MP4",
    b"a\nb",
    b"\r\x00\x7f",
    "\u202egpj.exe".encode(),
    "\u2028\u2029\u200b\ufeff".encode(),
    b"\xff\xfe/\x80",
    "\U000e0001tag".encode(),
    b"<script>alert(1)</script>",
]


@pytest.mark.parametrize("was", Custody)
@pytest.mark.parametrize("becomes", Custody)
def test_custody_moves_are_those_of_the_design(was: Custody, becomes: Custody) -> None:
    assert ((was, becomes) in MOVES) == (becomes.value in CUSTODY_TABLE[was.value])


@pytest.mark.parametrize("was", Copy)
@pytest.mark.parametrize("becomes", Copy)
def test_moves_of_the_camera_copy_are_those_of_the_design(was: Copy, becomes: Copy) -> None:
    assert ((was, becomes) in COPY_MOVES) == (becomes.value in COPY_TABLE[was.value])


def test_what_a_store_holds_or_what_was_wiped_never_moves_again() -> None:
    assert not [move for move in MOVES if move[0] is Custody.CONFIRMED]
    assert not [move for move in COPY_MOVES if move[0] is Copy.GONE]


def test_gone_is_only_reached_through_a_recorded_intent() -> None:
    assert {was for was, becomes in COPY_MOVES if becomes is Copy.GONE} == {Copy.WIPE_INTENDED}


@pytest.mark.parametrize(("event", "requested"), [(False, False), (True, False), (False, True), (True, True)])
def test_marked_and_requested_clips_are_urgent(event: bool, requested: bool) -> None:
    clip = Clip(
        id=ClipId("c" + "0" * 20),
        camera=CameraId("CAM"),
        session=SessionId(1),
        entry=Entry(b"a", 1, 2),
        role="clip",
        event=False,
        requested=False,
        custody=Custody.LISTED,
        copy=Copy.PRESENT,
        sha256=None,
        hold=None,
        problem=None,
        read_in=None,
        looked_in=None,
        unlinked_in=None,
    )
    assert replace(clip, event=event, requested=requested).urgent == (event or requested)


@given(st.binary())
@example(b"\xff")
@example("Ünï/é.mp4".encode())
def test_a_displayed_name_gives_back_the_exact_bytes(path: bytes) -> None:
    shown = display_name(path)
    match shown:
        case str():
            assert shown.encode() == path
        case {"hex": digits}:
            assert bytes.fromhex(digits) == path
            assert set(shown) == {"hex"}
            with pytest.raises(UnicodeDecodeError):
                path.decode()
        case _:
            pytest.fail(f"neither text nor hex: {shown!r}")


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
@example(HOSTILE[0])
@example(HOSTILE[3])
@example(HOSTILE[4])
@example(HOSTILE[5])
def test_a_name_on_one_line_moves_no_cursor_and_turns_no_text_round(path: bytes) -> None:
    shown = one_line(path)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_a_plain_name_is_shown_as_it_is() -> None:
    assert one_line("DCIM/100 Ärger/ÉVÉ_0001.MP4".encode()) == "DCIM/100 Ärger/ÉVÉ_0001.MP4"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a\nb", "a\\nb"),
        (b"\x1b[2J", "\\x1b[2J"),
        ("\u202egpj".encode(), "\\u202egpj"),
        (b"\xff.mp4", "\\xff.mp4"),
        ("\U000e0001".encode(), "\\U000e0001"),
    ],
)
def test_what_is_not_plainly_printable_is_escaped(path: bytes, shown: str) -> None:
    assert one_line(path) == shown
