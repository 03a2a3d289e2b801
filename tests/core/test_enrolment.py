"""Who is vouched for, and that a device cannot vouch for itself by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.enrolment import ENTRY_MAX_CHARS, Enrolment, exact, usb_id_of
from agent.core.profile import UsbId

OURS, OTHER = UsbId(0x1209, 0xBC01), UsbId(0x1209, 0xBC02)


@pytest.mark.parametrize(
    ("entry", "serial", "usb", "vouched"),
    [
        ("BWC1", "BWC1", None, True),
        ("BWC1", "BWC1", OTHER, True),
        ("BWC1", "BWC12", OURS, False),
        ("BWC*", "BWC12", OURS, True),
        ("bwc*", "BWC12", OURS, False),
        ("1209:bc01/BWC*", "BWC12", OURS, True),
        ("1209:bc01/BWC*", "BWC12", OTHER, False),
        ("1209:bc01/BWC*", "BWC12", None, False),
        ("1209:bc01/BWC*", "1209:bc01/BWC1", None, False),  # a serial in a marker file cannot pose as an id
        ("1209:BC01/X", "1209:BC01/X", None, True),  # upper case: no id
        ("B[[]x]", "B[x]", None, True),
    ],
)
def test_an_entry_means_serials_under_an_id(entry: str, serial: str, usb: UsbId | None, *, vouched: bool) -> None:
    read = Enrolment.parse(entry)
    assert read.vouches_for(serial, usb) is vouched
    assert str(read) == entry


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * (ENTRY_MAX_CHARS + 1), "a\x1b[2J"])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        Enrolment.parse(text)


@pytest.mark.parametrize(
    ("entry", "serial"), [("BWC1", "BWC1"), ("BWC*", None), ("B[WX]", None), ("B[*]1", "B*1"), ("1209:bc01/X", "X")]
)
def test_an_entry_without_a_pattern_is_one_serial(entry: str, serial: str | None) -> None:
    assert Enrolment.parse(entry).serial == serial


printable = st.characters(exclude_categories=("C", "Z"))
serials = st.text(printable, min_size=1, max_size=60) | st.from_regex(r"1209:bc01/[X*?\[\]]{1,3}", fullmatch=True)


@given(serials, st.sampled_from([None, OURS]))
def test_an_entry_that_was_written_down_still_means_that_camera_alone(serial: str, usb: UsbId | None) -> None:
    entry = exact(serial, usb)
    assert Enrolment.parse(str(entry)) == entry
    assert entry.serial == serial
    assert entry.vouches_for(serial, usb)


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_serial_taken_from_a_camera_means_that_camera_alone(serial: str, other: str) -> None:
    entry = exact(serial, OURS)
    assert entry.vouches_for(serial, OURS)
    assert entry.serial == serial
    assert entry.vouches_for(other, OURS) is (other == serial)
    assert exact("*").vouches_for(other, None) is (other == "*")


@pytest.mark.parametrize(
    ("text", "usb"), [("1209:bc01", OURS), ("1209:BC01", OURS), ("1209:bc1", None), ("", None), (None, None), (5, None)]
)
def test_a_usb_id_is_read_or_not(text: object, usb: UsbId | None) -> None:
    assert usb_id_of(text) == usb


def test_the_longest_serial_of_marks_alone_can_be_enrolled() -> None:
    """A device may call itself anything that USB allows; what is written must be readable again."""
    serial = "*" * 126
    entry = exact(serial, UsbId(0x1209, 0xBC01))
    assert Enrolment.parse(str(entry)) == entry
    assert entry.vouches_for(serial, UsbId(0x1209, 0xBC01))


@pytest.mark.parametrize(
    ("entry", "everyone"),
    [("*", True), ("**", True), ("X*", False), ("?", False), ("[*]", False), ("1209:bc01/*", False)],
)
def test_only_a_bare_star_vouches_for_everyone(entry: str, everyone: bool) -> None:
    assert Enrolment.parse(entry).is_everyone is everyone
