"""Globs against a plain reference, and the work that the worst name costs."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.path_pattern import compile_glob

PIECES = st.lists(st.sampled_from(["a", "b", "*", "?", ".", "+", "\n", "[", "\\"]), min_size=1, max_size=6).map("".join)
PARTS = st.lists(st.one_of(st.just("**"), PIECES), min_size=1, max_size=5)
PATHS = st.lists(st.text("ab.+\n[\\", max_size=6), min_size=1, max_size=7).map(lambda parts: "/".join(parts).encode())


def component_fits(pattern: bytes, name: bytes) -> bool:
    """By definition: a star takes any number of bytes, each tried."""
    if not pattern:
        return not name
    if pattern[:1] == b"*":
        return any(component_fits(pattern[1:], name[taken:]) for taken in range(len(name) + 1))
    return bool(name) and pattern[:1] in (b"?", name[:1]) and component_fits(pattern[1:], name[1:])


def fits(pattern: Sequence[bytes], path: Sequence[bytes]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == b"**":
        return any(fits(pattern[1:], path[taken:]) for taken in range(len(path) + 1))
    return bool(path) and component_fits(pattern[0], path[0]) and fits(pattern[1:], path[1:])


@settings(max_examples=300)
@given(PARTS, PATHS)
@example(["**", "a", "**", "a", "**"], b"a/b/a")
@example(["**", "*a*b", "**", "b"], b"aab/ab/b/b")
@example(["*"], b"\n")
@example(["**"], b"/")
def test_a_glob_means_what_its_stars_say(parts: list[str], path: bytes) -> None:
    try:
        glob = compile_glob("/".join(parts), ignore_case=False)
    except ValueError:
        return
    wanted = fits([part.encode() for part in parts], path.split(b"/"))
    assert glob.fits(path) is wanted


@pytest.mark.parametrize(
    "text",
    ["**/*.mp4", "DCIM/**/*a*a*a*a*a*a*.mp4", "**/*a*/**/*a*/**/*a*/**/*a*/**/b", "a*a*a*a*a*a*a*a*a*a*a*b"],
)
@pytest.mark.parametrize("path", [b"a" * 255, b"DCIM/" + b"/".join([b"a" * 100] * 39), b"/".join([b"a"] * 2000)])
@pytest.mark.timeout(10)
def test_no_name_makes_a_glob_hang(text: str, path: bytes) -> None:
    """A glob that tried every split would need longer than the world is old."""
    glob = compile_glob(text, ignore_case=True)
    assert [glob.fits(path) for _ in range(20)] == [False] * 20
