"""Which disks plain text reaches."""

import pytest

from agent.core.encryption import Layer

DISK, OTHER = Layer("sda"), Layer("sdb")
LUKS = "CRYPT-LUKS2-0123456789abcdef-spool"


def test_a_disk_alone_is_bare() -> None:
    assert DISK.bare == DISK.disks == {"sda"}


@pytest.mark.parametrize("kind", ["LUKS1", "LUKS2", "PLAIN", "TCRYPT", "BITLK", "FVAULT2"])
def test_what_passes_a_layer_that_encrypts_is_covered(kind: str) -> None:
    layer = Layer("dm-1", "LVM-abc", (Layer("dm-0", f"CRYPT-{kind}-0123-spool", (DISK,)),))
    assert layer.bare == frozenset()
    assert layer.disks == {"sda"}


def test_encryption_above_many_disks_covers_them_all() -> None:
    assert Layer("dm-0", LUKS, (Layer("md0", "", (DISK, OTHER)),)).bare == frozenset()


def test_one_plain_leg_is_enough_to_be_read() -> None:
    mirror = Layer("md0", "", (Layer("dm-0", LUKS, (DISK,)), OTHER))
    assert mirror.bare == {"sdb"}
    assert mirror.disks == {"sda", "sdb"}


OVERLAY, HOTZONE = (f"CRYPT-SUBDEV-0123456789abcdef-spool-{part}" for part in ("overlay", "hotzone-forward"))


def test_a_layer_that_is_being_changed_covers_nothing_until_that_has_ended() -> None:
    parts = Layer("dm-1", OVERLAY, (DISK, Layer("dm-2", HOTZONE, (DISK,))))
    changing = Layer("dm-0", LUKS, (parts,))
    assert changing.bare == {"sda"}
    assert "dm-0 is being encrypted, decrypted or encrypted anew" in changing.doubts[0]
    assert Layer("dm-0", LUKS, (DISK,)).doubts == ()


def test_what_a_changing_layer_lies_on_may_encrypt_all_the_same() -> None:
    beneath = Layer("dm-3", LUKS, (DISK,))
    layer = Layer("dm-0", LUKS, (Layer("dm-1", OVERLAY, (beneath,)),))
    assert layer.bare == frozenset()


def test_the_integrity_beneath_a_layer_and_the_parts_of_a_cascade_are_no_change_under_way() -> None:
    assert Layer("dm-0", LUKS, (Layer("dm-1", f"CRYPT-SUBDEV-{LUKS[12:]}_dif", (DISK,)),)).bare == frozenset()
    assert Layer("dm-0", "CRYPT-TCRYPT-x", (Layer("dm-1", "CRYPT-SUBDEV-x_1", (DISK,)),)).bare == frozenset()


def test_a_drive_that_encrypts_by_itself_is_not_believed_from_here() -> None:
    layer = Layer("dm-0", "CRYPT-LUKS2-OPAL-0123456789abcdef-spool", (DISK,))
    assert layer.bare == {"sda"}
    assert "OPAL" in layer.doubts[0]


@pytest.mark.parametrize("uuid", ["CRYPT-VERITY-01-x", "CRYPT-INTEGRITY-x", "CRYPT-SUBDEV-01-x", "LVM-x", "crypt-", ""])
def test_mappings_that_hide_nothing_cover_nothing(uuid: str) -> None:
    assert Layer("dm-0", uuid, (DISK,)).bare == {"sda"}
