"""What a device says about itself, read from bytes that it chose."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.devices.usb_descriptor import DESCRIPTORS_MAX_BYTES, interfaces_of, is_only_hub

STORAGE = (8, 6, 0x50)
KEYBOARD = (3, 1, 1)
HUB = (9, 0, 1)
VENDOR = (0xFF, 0xBC, 1)


def device(triple: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    return bytes([18, 1, 0, 2, *triple, 64, 9, 0x12, 1, 0xBC, 0, 1, 1, 2, 3, 1])


def interface(triple: tuple[int, int, int], number: int = 0, alternate: int = 0) -> bytes:
    return bytes([9, 4, number, alternate, 0, *triple, 0])


def endpoint() -> bytes:
    return bytes([7, 5, 0x81, 2, 0, 2, 0])


def configuration(*parts: bytes, total: int | None = None) -> bytes:
    body = b"".join(parts)
    return bytes([9, 2, *(total or 9 + len(body)).to_bytes(2, "little"), 1, 1, 0, 0x80, 50]) + body


DISK = device() + configuration(interface(STORAGE), endpoint(), endpoint())


def test_a_disk_shows_one_interface() -> None:
    assert interfaces_of(DISK) == {"08:06:50"}


def test_every_interface_of_every_setting_and_configuration_counts() -> None:
    raw = device((0xEF, 2, 1)) + configuration(
        bytes([8, 11, 0, 2, 8, 6, 0x50, 0]),  # an interface association
        interface(STORAGE),
        endpoint(),
        interface((8, 6, 0x62), alternate=1),
        interface(VENDOR, number=1),
        bytes([6, 48, 0, 0, 0, 0]),  # a companion of an endpoint
    )
    raw += configuration(interface(KEYBOARD), bytes([9, 33, 0x11, 1, 0, 1, 34, 63, 0]))
    assert interfaces_of(raw) == {"08:06:50", "08:06:62", "ff:bc:01", "03:01:01"}


@pytest.mark.parametrize("triple", [(9, 0, 1), (0xE0, 1, 1), (0xEF, 3, 1)])
def test_a_class_of_the_device_itself_counts_as_well(triple: tuple[int, int, int]) -> None:
    assert interfaces_of(device(triple) + configuration(interface(STORAGE))) == {"08:06:50", bytes(triple).hex(":")}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "device descriptor"),
        (device()[:17], "device descriptor"),
        (b"\x12\x02" + device()[2:], "device descriptor"),
        (device(), "no configuration"),
        (device() + b"\x09", "no configuration descriptor"),
        (device() + interface(STORAGE), "no configuration descriptor"),
        (device() + configuration(), "no interface"),
        (device() + configuration(interface(STORAGE), total=8), "claims 8 bytes"),
        (device() + configuration(interface(STORAGE), total=19), "claims 19 bytes of 18"),
        (device() + configuration(interface(STORAGE), total=10) + b"\0" * 20, "claims 9 bytes"),
        (device() + configuration(interface(STORAGE), b"\0\0"), "claims 0 bytes"),
        (device() + configuration(interface(STORAGE), b"\x01"), "claims 1 bytes"),
        (device() + configuration(interface(STORAGE), b"\x05\x24\0"), "claims 5 bytes"),
        (device() + configuration(b"\x08\x04\0\0\0\x08\x06\x50"), "too short"),
        (DISK + b"\0", "no configuration descriptor"),
        (bytes(DESCRIPTORS_MAX_BYTES + 1), "longer than"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        interfaces_of(raw)


@given(st.binary(max_size=300) | st.binary(max_size=80).map(lambda tail: DISK[:27] + tail))
@example(DISK[:-1])
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    try:
        found = interfaces_of(raw)
    except ValueError:
        return
    assert found


triples = st.tuples(*[st.integers(0, 255)] * 3)


@given(st.lists(st.lists(triples, min_size=1, max_size=5), min_size=1, max_size=3))
def test_nothing_that_a_device_shows_is_overlooked(shown: list[list[tuple[int, int, int]]]) -> None:
    raw = device() + b"".join(configuration(*(interface(t) + endpoint() for t in triples)) for triples in shown)
    assert interfaces_of(raw) == {bytes(t).hex(":") for triples in shown for t in triples}


ONE_SETTING = configuration(interface((9, 0, 0)), endpoint())
TWO_SETTINGS = configuration(
    interface((9, 0, 1)), endpoint(), interface((9, 0, 2), alternate=1), endpoint()
)  # with a translator for each port


@pytest.mark.parametrize("raw", [device(HUB) + ONE_SETTING, device((9, 0, 2)) + TWO_SETTINGS])
def test_a_hub_is_only_a_hub(raw: bytes) -> None:
    assert is_only_hub(raw)


@pytest.mark.parametrize(
    "raw",
    [
        DISK,
        device() + ONE_SETTING,  # it does not call itself a hub
        device(HUB) + configuration(interface(KEYBOARD)),
        device(HUB) + configuration(interface((9, 0, 0)), endpoint(), interface(KEYBOARD, number=1)),
        device(HUB) + configuration(interface((9, 0, 0)), endpoint(), interface((9, 0, 0), number=1)),
        device(HUB) + configuration(interface((9, 0, 0)), interface(KEYBOARD, alternate=1)),
        device(HUB) + configuration(interface((9, 0, 0), number=1)),
        device(HUB) + configuration(*(interface((9, 0, 0), alternate=each) for each in range(3))),
        device(HUB)[:-1] + b"\2" + ONE_SETTING + configuration(interface(KEYBOARD)),
        device(HUB)[:-1] + b"\2" + ONE_SETTING,  # it keeps one for itself
        device(HUB) + ONE_SETTING + ONE_SETTING,
        device(HUB),
        b"",
        (device(HUB) + ONE_SETTING)[:-1],
    ],
)
def test_what_is_more_than_a_hub_or_cannot_be_read_is_not_only_a_hub(raw: bytes) -> None:
    assert not is_only_hub(raw)


@given(raw=st.binary(max_size=200), begun=st.booleans())
@example(raw=ONE_SETTING, begun=True)
def test_whatever_is_taken_for_a_hub_shows_nothing_else(raw: bytes, begun: bool) -> None:
    raw = device(HUB) + raw if begun else raw
    if is_only_hub(raw):
        assert {each[:2] for each in interfaces_of(raw)} == {"09"}
