from pathlib import Path

import pytest

from agent.config import load_config, notices
from agent.config.notices import processor_notices, spool_notices, swap_notices

SLOW = "processor\t: 0\nmodel name\t: Intel(R) Celeron(R) J1900\nflags\t\t: fpu sse4_2 aes\n"


@pytest.mark.parametrize("line", ["flags\t\t: fpu aes sha_ni avx2", "Features\t: fp asimd aes sha1 sha2 crc32"])
def test_a_processor_with_sha_instructions_is_nothing_to_speak_of(tmp_path: Path, line: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\n")
    assert processor_notices(cpuinfo) == []


@pytest.mark.parametrize("text", [SLOW, SLOW.replace("aes", "sha512"), "Features\t: fp asimd aes sha1 sha512\n"])
def test_a_processor_without_them_is_told(tmp_path: Path, text: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(text)
    (notice,) = processor_notices(cpuinfo)
    assert "no SHA instructions" in notice


def test_what_cannot_be_known_is_not_claimed(tmp_path: Path) -> None:
    assert processor_notices(tmp_path / "none") == []


def told_of_spool(tmp_path: Path, key: str, bays: str = "") -> list[str]:
    file = tmp_path / "agent.toml"
    file.write_text(f'[station]\nid = "hub7"\nstate_dir = "state"\n{key}\n{bays}')
    return spool_notices(load_config(file))


def test_a_spool_in_the_clear_is_told_where_no_bay_is_refused_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "why_plain", lambda spool: f"nothing encrypts {spool}")
    usb = '[[bays]]\nname = "1"\npaths = ["pci-0000:00:14.0-usb-0:1.3"]\n'
    (told,) = told_of_spool(tmp_path, "", "")
    assert f"would be refused: nothing encrypts {tmp_path / 'state' / 'spool'}." in told
    (told,) = told_of_spool(tmp_path, "allow_plain_spool = true", usb)
    assert "(allow_plain_spool = true)" in told
    assert told_of_spool(tmp_path, "", usb) == []  # a problem, which the dock tells
    monkeypatch.setattr(notices, "why_plain", lambda _spool: None)
    monkeypatch.setattr(notices, "plain_swaps", list)
    assert told_of_spool(tmp_path, "allow_plain_spool = true", usb) == []


def test_swap_in_the_clear_is_told_beside_a_spool_that_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "why_plain", lambda _spool: None)
    monkeypatch.setattr(notices, "plain_swaps", lambda: ["/dev/sda2: nothing encrypts what goes to sda"])
    (told,) = told_of_spool(tmp_path, "")
    assert "swap is not (/dev/sda2: nothing encrypts what goes to sda)" in told
    assert swap_notices([]) == []
