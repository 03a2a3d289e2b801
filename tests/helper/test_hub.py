"""What a hub says about the power of its ports. That it can really be asked is tried in the lab."""

from pathlib import Path

import pytest

from agent.helper.hub import characteristics, characteristics_in
from agent.helper.refusal import Refusal

USB_2, USB_3 = 0x29, 0x2A


def test_the_two_bytes_are_taken_from_the_answer() -> None:
    assert characteristics_in(bytes([9, USB_2, 4, 0xA9, 0x01]), USB_2) == 0x01A9
    assert characteristics_in(bytes([12, USB_3, 4, 0x09, 0x00]), USB_3) == 9


@pytest.mark.parametrize("raw", [b"", bytes([9, USB_2, 4, 9]), bytes([9, 1, 4, 9, 0])])
def test_what_is_no_hub_descriptor_is_not_read(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no hub descriptor"):
        characteristics_in(raw, USB_2)


def test_a_node_that_is_no_usb_device_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "002").write_bytes(b"")
    for name in ("002", "003"):
        with pytest.raises(Refusal, match="does not say what it can do") as refused:
            characteristics(tmp_path / name, 1)
        assert refused.value.code == "failed"
