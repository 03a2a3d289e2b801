from pathlib import Path

import pytest

from agent.config.notices import processor_notices

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
