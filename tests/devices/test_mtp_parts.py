"""The parts of the MTP driver that need no camera."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.mtp import battery_percent
from agent.devices.drivers.mtp_length import LengthGuard
from agent.devices.drivers.mtp_names import AMBIGUOUS, UNUSABLE, Child, children, own_state

GIB = 1 << 30


@pytest.mark.parametrize(
    ("told", "percent"),
    [("50%", 50), ("100 %", 100), ("0%", 0), ("7", 7), ("101%", None), ("Low", None), ("", None), (None, None)],
)
def test_a_charge_is_a_percentage_or_unknown(told: str | None, percent: int | None) -> None:
    assert battery_percent(told) == percent


def box(kind: bytes, length: int) -> bytes:
    """A box's head; its bytes are left to the caller."""
    if length >= 1 << 32:
        return struct.pack(">I4sQ", 1, kind, length)
    return struct.pack(">I4s", length, kind)


def shown(content: bytes, size_bytes: int, cuts: list[int]) -> None:
    guard = LengthGuard(size_bytes)
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(content)}), len(content)]
    for begin, end in pairwise(places):
        guard.look(memoryview(content)[begin:end])


FILE = box(b"ftyp", 20) + bytes(12) + box(b"free", 8) + box(b"moov", 40) + bytes(32)


@given(st.lists(st.integers(1, len(FILE) + 30)))
def test_a_box_beyond_4_gib_is_noticed_however_the_bytes_come(cuts: list[int]) -> None:
    size_bytes = len(FILE) + 16 + 100
    honest = FILE + box(b"mdat", 116)[:8] + bytes(108)
    shown(honest, size_bytes, cuts)
    cut_short = FILE + box(b"mdat", 5 * GIB) + bytes(100)
    with pytest.raises(DriverError, match="size_untrusted"):
        shown(cut_short, size_bytes, cuts)


@pytest.mark.parametrize("size_bytes", [0, 3, 16, 1000])
@given(content=st.binary(max_size=200), cuts=st.lists(st.integers(1, 200)))
def test_what_is_no_recording_is_left_alone(size_bytes: int, content: bytes, cuts: list[int]) -> None:
    shown(b"RIFF" + content, size_bytes, cuts)
    shown(b"\0\0\0\1\xff\xff\xff\xff" + content, size_bytes, cuts)


def test_a_damaged_recording_is_no_longer_one() -> None:
    """A camera that lost power leaves a box that reaches behind the end of the file, but not behind 4 GiB."""
    shown(FILE + box(b"mdat", 3 * GIB) + bytes(100), len(FILE) + 116, [])
    shown(FILE + box(b"mdat", 0) + bytes(100), len(FILE) + 108, [])


def test_a_recording_whose_size_is_told_right_may_be_as_long_as_it_likes() -> None:
    shown(FILE + box(b"mdat", 5 * GIB) + bytes(100), len(FILE) + 5 * GIB, [])


def test_names_are_sorted_as_bytes_and_folders_stand_among_files() -> None:
    assert [child.name for child in children(["b", "é"], ["a", "Z", "c"])] == ["Z", "a", "b", "c", "é"]


def test_only_names_that_lead_to_one_object_are_used() -> None:
    found = children(["100", "100BWC", "x"], ["A.MP4", "A.MP4.sha", "B", "B", "..", "a/b", "x.txt", "\udcff"])
    reasons = {child.name: child.reason for child in found}
    assert reasons == {
        "100": AMBIGUOUS, "100BWC": None, "x": AMBIGUOUS, "A.MP4": None, "A.MP4.sha": None, "B": AMBIGUOUS,
        "..": UNUSABLE, "a/b": UNUSABLE, "x.txt": None, "\udcff": UNUSABLE,
    }  # fmt: skip


def test_a_name_with_endless_longer_ones_is_refused_unseen() -> None:
    first, *_ = children([], ["a" * length for length in range(1, 200)])
    assert first.reason == AMBIGUOUS
    assert len(first.longer) < 20


@given(
    st.sets(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=12).flatmap(
        lambda names: st.tuples(st.permutations(sorted(names)), st.lists(st.integers(0, 2), min_size=12, max_size=12))
    )
)
def test_a_file_that_is_used_is_its_own_whatever_order_the_camera_has(case: tuple[list[str], list[int]]) -> None:
    """`order` is that of the objects in the library, which gives the first whose name begins with what is asked for."""
    order, sizes = case
    states = {name: (size, 0) for name, size in zip(order, sizes, strict=False)}

    def library(asked: str) -> str:
        return next(name for name in order if name.startswith(asked))

    for child in children([], order):
        try:
            state = own_state(child, lambda asked: states[library(asked)])
        except DriverError:
            continue
        assert library(child.name) == child.name
        assert state == states[child.name]


def test_a_name_that_begins_no_other_is_never_refused() -> None:
    assert own_state(Child("a", is_folder=False), lambda _: (1, 2)) == (1, 2)
