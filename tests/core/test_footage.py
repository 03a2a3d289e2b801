from zoneinfo import ZoneInfo

import pytest

from agent.config.load import bundled_profiles
from agent.config.settings import FALLBACK_PROFILE
from agent.core.footage import LARGE_BYTES, MEDIA_SUFFIXES, looks_like_footage
from agent.core.profile import Role, classify
from agent.devices.profiles import load_profiles


@pytest.mark.parametrize(
    "name", ["0003.mts", "0006.WEBM", "a.lrv", "a.amr", "a.png", "a.HEIC", "a.265", "a.mjpeg", "a.m2ts", "a.thm"]
)
def test_a_small_file_with_an_ending_of_media_looks_like_footage(name: str) -> None:
    assert looks_like_footage(b"DCIM/200/" + name.encode(), 1)


@pytest.mark.parametrize("name", [b"DCIM/notes.txt", b"mp4", b"\xff\xfe", b"video.mp4.log"])
def test_another_file_looks_like_footage_from_a_mebibyte_on(name: bytes) -> None:
    assert not looks_like_footage(name, LARGE_BYTES - 1)
    assert looks_like_footage(name, LARGE_BYTES)


def test_the_profile_for_any_folder_takes_exactly_what_the_agent_calls_footage() -> None:
    loaded = load_profiles(bundled_profiles(), station_zone=ZoneInfo("UTC"))
    (everything,) = [profile for profile in loaded.profiles if profile.name == FALLBACK_PROFILE]
    text = (bundled_profiles() / "any-folder.toml").read_text()
    globs = {each for each in text.split("[clips]")[1].split("]")[0].split('"') if each.startswith("**/*.")}
    assert globs == {f"**/*{suffix.decode()}" for suffix in MEDIA_SUFFIXES}
    assert len(everything.clips) == len(MEDIA_SUFFIXES)
    for suffix in MEDIA_SUFFIXES:
        assert classify(everything, b"a/b" + suffix.upper()) is Role.CLIP
