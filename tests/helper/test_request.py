"""What counts as a question to the helper."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.helper_wire import PACKET_BYTES
from agent.helper.refusal import Refusal
from agent.helper.request import VERBS, Request, id_of, is_bay_name, request_of

LET_IN: dict[str, object] = {"verb": "authorise", "bay": "1", "device": "1-1.3", "number": "5", "on": True}
GOOD: list[dict[str, object]] = [
    {"verb": "guard"},
    {"verb": "blank"},
    {**LET_IN},
    {**LET_IN, "bay": "port-1-1.3", "number": "127", "on": False},
    {"verb": "authorise_hub", "device": "1-1"},
    {"verb": "hub", "device": "1-1"},
    {"verb": "mount", "bay": "1", "block": "sda", "fs": "vfat"},
    {"verb": "mount", "bay": "left.top_1", "block": "sdaa15", "fs": "ext4"},
    {"verb": "window", "bay": "1"},
    {"verb": "renew", "bay": "1"},
    {"verb": "unmount", "bay": "1"},
    {"verb": "power", "bay": "1", "to": "cycle"},
    {"verb": "reader", "bay": "1", "kind": "storage"},
    {"verb": "reader", "bay": "1", "kind": "usb", "device": "1-1.3"},
    {"verb": "end_reader", "bay": "1"},
]

MOUNT: dict[str, object] = {"verb": "mount", "bay": "1", "block": "sda1", "fs": "vfat"}
BAD_VALUES: dict[str, list[object]] = {
    "bay": [
        "",
        ".",
        "..",
        "../1",
        "a/b",
        "-1",
        "1\n",
        "1 ",
        "\xe9",
        "x" * 65,
        "%n",
        "1@2",
        "*",
        "1\0",
        "\u0661",
        1,
        None,
        ["1"],
    ],
    "block": ["", "sda0", "sda01", "sda1234", "../sda1", "/dev/sda1", "sda1\n", "SDA", "dm-0", 5, None, {"a": 1}],
    "fs": ["", "ntfs", "ext4,rw", "vfat ", "fuse", None, ["vfat"]],
}
OTHER_DISKS = ("nvme0n1", "vda1", "loop0", "sr0", "mmcblk0p1")
BAD_DEVICES: list[object] = ["usb1", "1-1.3:1.0", "../1-1", "1-1.3\n", "\u0661-1", "", 1, None]

BAD: list[dict[str, object]] = [
    {},
    {"verb": None},
    {"verb": ["mount"]},
    {"verb": "format", "bay": "1"},
    {"verb": "MOUNT", "bay": "1", "block": "sda1", "fs": "vfat"},
    {"verb": "guard", "bay": "1"},
    {"verb": "window"},
    {**MOUNT, "options": "suid"},
    {"verb": "authorise", "bay": "1", "device": "1-1.3", "number": "5"},
    {"verb": "authorise", "bay": "1", "device": "1-1.3", "on": True},
    {"verb": "reader", "bay": "1", "kind": "root"},
    {"verb": "reader", "bay": "1", "kind": "usb"},
    {"verb": "reader", "bay": "1", "kind": "storage", "device": "1-1.3"},
]
BAD += [{**MOUNT, name: value} for name, bad in BAD_VALUES.items() for value in bad]
BAD += [{**MOUNT, "block": name} for name in OTHER_DISKS]
BAD += [{**LET_IN, "device": device} for device in BAD_DEVICES]
BAD += [{"verb": "hub", "device": device} for device in BAD_DEVICES]
BAD += [{**LET_IN, "number": number} for number in ("", "0", "05", "1000", "-1", "5\n", "\u0665", 5, True, None)]
BAD += [{**LET_IN, "on": on} for on in (1, 0, "true", None)]
BAD += [{"verb": "power", "bay": "1", "to": to} for to in ("", "OFF", "1", True, None)]


def packet(message: object) -> bytes:
    return json.dumps(message).encode()


@pytest.mark.parametrize("message", GOOD, ids=str)
def test_a_question_with_exactly_the_fields_of_its_verb_is_taken(message: dict[str, object]) -> None:
    request = request_of(packet({"id": 7, **message}))
    assert request.id == 7
    assert {name: getattr(request, name) for name in message} == message


def test_every_verb_is_among_the_good_questions() -> None:
    assert {message["verb"] for message in GOOD} == set(VERBS)


@pytest.mark.parametrize("message", BAD, ids=ascii)
def test_a_question_of_any_other_form_is_refused_whole(message: dict[str, object]) -> None:
    with pytest.raises(Refusal) as refused:
        request_of(packet({"id": 7, **message}))
    assert refused.value.code == "bad_request"
    assert refused.value.text.isprintable()
    assert refused.value.text.isascii()
    assert len(refused.value.text) < 200


@pytest.mark.parametrize("number", [None, -1, 1.5, True, "1", 1 << 60, [1]])
def test_a_question_without_a_proper_number_is_refused(number: object) -> None:
    asked = packet({"id": number, "verb": "guard"})
    assert id_of(asked) is None
    with pytest.raises(Refusal, match="no number"):
        request_of(asked)


@pytest.mark.parametrize(
    "noise", [b"", b"\0", b"[]", b"7", b'"mount"', b"{", b"[" * 4000, b"\xff\xfe", b'{"id": NaN}', b'{"a":' * 600]
)
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(Refusal):
        request_of(noise)


def test_a_packet_that_was_cut_is_refused_even_if_its_beginning_would_do() -> None:
    with pytest.raises(Refusal, match=str(PACKET_BYTES)):
        request_of(packet({"id": 1, "verb": "guard"}), whole=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["id", "verb", "bay", "device", "number", "block", "fs", "kind", "to", "on", "path"])
LIKELY = st.sampled_from([*VERBS, "1", "sda1", "vfat", "1-1.3", "usb", "off", "..", "a/b", "sda1\n"])


@given(st.binary(max_size=64) | st.dictionaries(FIELDS, JSON | LIKELY, max_size=6).map(packet))
def test_whatever_comes_is_a_harmless_request_or_a_refusal(asked: bytes) -> None:
    try:
        request = request_of(asked)
    except Refusal:
        return
    for text in (request.bay, request.device, request.number, request.block, request.fs, request.kind, request.to):
        assert "/" not in text
        assert text.isprintable()
        assert text not in {".", ".."}


def test_the_log_names_what_a_request_is_about() -> None:
    assert str(Request(1, "mount", bay="3", block="sda1", fs="vfat")) == "mount bay=3 block=sda1 fs=vfat"
    shut_out = Request(1, "authorise", bay="3", device="1-1", number="9")
    assert str(shut_out) == "authorise bay=3 device=1-1 number=9 on=0"
    assert str(Request(1, "blank")) == "blank"


@pytest.mark.parametrize("name", ["1", "A-1", "port-1-1.3", "x" * 64])
def test_a_name_of_a_bay_is_safe_as_a_file_and_as_an_instance(name: str) -> None:
    assert is_bay_name(name)
