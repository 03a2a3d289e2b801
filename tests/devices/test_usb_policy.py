"""Who is let in: tables for people, and one property that must hold for whatever a device shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.profile import Access, Match, Profile, Unlock, UsbId, UsbRules
from agent.devices.usb_policy import REASONS, STORAGE, Admit, Refuse, Seen, admit, clean_serial

OPEN, LOCKED, STRANGE = UsbId(0x1209, 0xBC01), UsbId(0x1209, 0xBC00), UsbId(0x046D, 0xC31C)
DISK, UAS, PTP, VENDOR, KEYS = "08:06:50", "08:06:62", "06:01:01", "ff:bc:01", "03:01:01"
UNLOCK = Unlock(LOCKED, 0x40, 0x51, 0, 0, b"")


def profile(
    name: str = "p",
    access: Access = Access.MASS_STORAGE,
    usb: tuple[UsbId, ...] = (OPEN,),
    interfaces: tuple[str, ...] = (DISK,),
    unlock: Unlock | None = None,
) -> Profile:
    rules = UsbRules(frozenset(interfaces), unlock)
    return Profile(name, "m", "d", access, Match(usb=usb), clips=(), usb=rules)


PLAIN = profile()
WITH_VENDOR = profile("v", interfaces=(DISK, VENDOR))
MTP = profile("m", Access.MTP, interfaces=(PTP,))
SWITCHED = profile("s", interfaces=(DISK, VENDOR), unlock=UNLOCK)
SAME_ID = profile("same", interfaces=(DISK, VENDOR), unlock=Unlock(OPEN, 0x40, 0x51, 0, 0, b""))
FOLDER = profile("f", Access.FOLDER, interfaces=())


def seen(*interfaces: str, usb: UsbId = OPEN) -> Seen:
    return Seen(usb, frozenset(interfaces))


@pytest.mark.parametrize(
    ("shown", "profiles", "answer"),
    [
        (seen(DISK), [PLAIN], Admit(Access.MASS_STORAGE, (PLAIN,))),
        (seen(DISK), [PLAIN, WITH_VENDOR], Admit(Access.MASS_STORAGE, (PLAIN, WITH_VENDOR))),
        (seen(DISK, VENDOR), [PLAIN, WITH_VENDOR], Admit(Access.MASS_STORAGE, (WITH_VENDOR,))),
        (seen(PTP), [MTP, PLAIN], Admit(Access.MTP, (MTP,))),
        (seen(DISK), [MTP, PLAIN], Admit(Access.MASS_STORAGE, (PLAIN,))),
        (seen(VENDOR, usb=LOCKED), [SWITCHED], Admit(Access.MASS_STORAGE, (SWITCHED,), UNLOCK)),
        (seen(DISK, usb=LOCKED), [SWITCHED], Admit(Access.MASS_STORAGE, (SWITCHED,), UNLOCK)),
        (seen(DISK), [SWITCHED], Admit(Access.MASS_STORAGE, (SWITCHED,))),
        (seen(VENDOR), [SAME_ID], Admit(Access.MASS_STORAGE, (SAME_ID,), SAME_ID.usb.unlock)),
        (seen(DISK), [SAME_ID], Admit(Access.MASS_STORAGE, (SAME_ID,))),
        (seen(DISK, usb=STRANGE), [PLAIN], Refuse("unknown_device")),
        (seen(DISK), [], Refuse("unknown_device")),
        (seen(DISK), [FOLDER], Refuse("unknown_device")),
        (Seen(OPEN, None), [PLAIN], Refuse("bad_descriptor")),
        (seen("09:00:00"), [PLAIN], Refuse("is_hub")),
        (seen(DISK, "09:00:01"), [PLAIN], Refuse("is_hub")),
        (seen("09:00:00", usb=STRANGE), [PLAIN], Refuse("is_hub")),
        (seen(DISK, KEYS), [PLAIN], Refuse("extra_interfaces", (KEYS,))),
        (seen(DISK, KEYS, VENDOR), [PLAIN, WITH_VENDOR], Refuse("extra_interfaces", (KEYS,))),
        (seen(VENDOR, KEYS, usb=LOCKED), [SWITCHED], Refuse("extra_interfaces", (KEYS,))),
        (seen(VENDOR), [WITH_VENDOR], Refuse("no_storage")),
        (seen(), [PLAIN], Refuse("no_storage")),
        (
            seen(DISK, PTP),
            [profile("a", interfaces=(DISK, PTP)), profile("b", Access.MTP, interfaces=(DISK, PTP))],
            Refuse("conflicting_access"),
        ),
        (
            seen(VENDOR, usb=LOCKED),
            [SWITCHED, profile("t", interfaces=(VENDOR,), unlock=Unlock(LOCKED, 0x40, 0x52, 0, 0, b""))],
            Refuse("conflicting_access"),
        ),
        (seen(DISK, usb=LOCKED), [SWITCHED, profile("u", usb=(LOCKED,))], Refuse("conflicting_access")),
    ],
)
def test_a_device_is_let_in_or_refused(shown: Seen, profiles: list[Profile], answer: Admit | Refuse) -> None:
    assert admit(shown, profiles) == answer


def test_every_refusal_has_a_sentence_and_names_what_is_too_much() -> None:
    assert all(Refuse(reason, (KEYS,)).told() for reason in REASONS)
    said = Refuse("extra_interfaces", ("01:01:00", KEYS, "77:00:00", "fe:01:01")).told()
    assert said.startswith(
        "it also brings a microphone or loudspeaker (01:01:00), a keyboard (03:01:01),"
        " something unknown (77:00:00), a port for new firmware (fe:01:01), which"
    )


ids = st.sampled_from([OPEN, LOCKED, STRANGE])
some = st.frozensets(st.sampled_from([DISK, UAS, PTP, VENDOR, KEYS, "09:00:00", "ff:ff:00"]))
unlocks = st.none() | st.builds(Unlock, ids, st.just(0x40), st.integers(0, 1), st.just(0), st.just(0), st.just(b""))
any_profile = st.builds(
    lambda access, usb, interfaces, unlock: profile("x", access, usb, tuple(interfaces), unlock),
    st.sampled_from(Access),
    st.lists(ids, max_size=2).map(tuple),
    some,
    unlocks,
)


@given(st.builds(Seen, ids, st.none() | some), st.lists(any_profile, max_size=4))
def test_nothing_is_let_in_that_the_chosen_profiles_do_not_allow(shown: Seen, profiles: list[Profile]) -> None:
    answer = admit(shown, profiles)
    if isinstance(answer, Refuse):
        assert answer.reason in REASONS
        assert answer.told()
        return
    assert shown.interfaces
    assert answer.profiles
    assert "09:00:00" not in shown.interfaces
    for chosen in answer.profiles:
        assert chosen in profiles
        assert shown.interfaces <= chosen.usb.interfaces
        assert chosen.access is answer.access
        assert shown.usb in chosen.match.usb or answer.unlock == chosen.usb.unlock
    assert answer.unlock is not None or shown.interfaces & STORAGE[answer.access]


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        ("BWC1", "BWC1"), (" BWC 1  ", "BWC 1"), ("Zähler", "Zähler"), ("x" * 126, "x" * 126),
        (None, None), ("", None), ("   ", None), ("x" * 127, None), ("a\nb", None), ("a\x1b[2J", None), ("a\x00", None),
        ("a\u202eb", None), ("\ud800", None),
    ],
)  # fmt: skip
def test_a_serial_is_plain_text_or_none(text: str | None, serial: str | None) -> None:
    assert clean_serial(text) == serial
