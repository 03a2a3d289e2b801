"""The decisions over a camera profile, on made-up profiles and arbitrary bytes."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.path_pattern import PATTERN_MAX_CHARS, PATTERN_MAX_WORK, compile_glob, compile_pattern
from agent.core.profile import (
    IDENTITY_GROUPS,
    NAME_GROUPS,
    Access,
    Identity,
    IdentitySource,
    Match,
    NameFacts,
    NameGrammar,
    Profile,
    Role,
    UsbId,
    choose_profile,
    classify,
    clip_stem,
    for_usb,
    is_event,
    marked_stems,
    matches,
    read_identity,
    read_name,
    sidecar_of,
)
from agent.core.sidecars import Events, SidecarRule

LONDON = ZoneInfo("Europe/London")
NAME = (
    r"(?:(?P<camera>[^_]{4})_)?(?P<officer>[^_]{1,10})_(?P<started_at>[^_.-]{1,15})"
    r"(?:-(?P<sequence>[^_.!]{1,19}))?"
)


def make(
    *, name: str = "a", ignore_case: bool = True, markers: tuple[str, ...] = ("DCIM",), priority: int = 0
) -> Profile:
    pattern, depth = compile_pattern(NAME + r"(?P<event>!)?\.mp4", groups=NAME_GROUPS, ignore_case=ignore_case)
    return Profile(
        name=name,
        maker="m",
        description="d",
        access=Access.FOLDER,
        match=Match(tuple(compile_glob(f"{m}/**", ignore_case=ignore_case) for m in markers), priority=priority),
        clips=(compile_glob("DCIM/**/*.mp4", ignore_case=ignore_case),),
        ignore_case=ignore_case,
        ignored=(compile_glob("**/.*", ignore_case=ignore_case),),
        grammar=NameGrammar(pattern, depth, "%Y%m%d%H%M%S", LONDON),
        sidecars=(
            SidecarRule(compile_glob("**/*.gps", ignore_case=ignore_case), b".gps"),
            SidecarRule(compile_glob("**/NMEA_*.txt", ignore_case=ignore_case)),
        ),
        events=Events((compile_glob("**/RO/*", ignore_case=ignore_case),), b".mark"),
    )


def dated(pattern: str, time_format: str) -> Profile:
    compiled, depth = compile_pattern(pattern, groups=NAME_GROUPS, ignore_case=False)
    grammar = NameGrammar(compiled, depth, time_format, LONDON)
    return Profile("d", "m", "d", Access.FOLDER, Match(), clips=(), grammar=grammar)


def identified(pattern: str | None) -> Profile:
    compiled = pattern and compile_pattern(pattern, groups=IDENTITY_GROUPS, ignore_case=False)[0]
    identity = Identity(IdentitySource.LABEL, None, compiled or None)
    return Profile("i", "m", "d", Access.FOLDER, Match(), clips=(), identity=identity)


PROFILE = make()
paths = st.one_of(
    st.binary(max_size=600),
    st.lists(
        st.sampled_from([b"DCIM", b"dcim", b"/", b"RO", b".mp4", b".gps", b"\xff", b"\n", b"\x1b[2J", b"_", b"2026"]),
        max_size=12,
    ).map(b"".join),
)


# ---- arbitrary bytes -------------------------------------------------------------------------------------


@given(paths, st.booleans())
@example(b"", True)
@example(b"DCIM/" * 900, True)
@example(b"\n/\x1b[2J/\xff\xfe.mp4", False)
def test_no_path_makes_a_decision_raise(path: bytes, fold: bool) -> None:
    profile = make(ignore_case=fold)
    assert isinstance(classify(profile, path), Role)
    facts = read_name(profile, path)
    for text in (facts.camera, facts.officer):
        assert text is None or text.isprintable()
    is_event(profile, path, facts, marked_stems(profile, [path]))
    sidecar_of(profile, path)
    read_identity(identified("(?P<camera>.{1,20})"), path)
    choose_profile([profile], [path])


@given(paths)
def test_a_path_below_dcim_that_ends_in_mp4_is_a_clip(middle: bytes) -> None:
    assert classify(PROFILE, b"dcim/" + middle + b".MP4") is Role.CLIP


@given(st.binary(max_size=40), st.text("ab*?", max_size=6).filter(lambda t: t and "**" not in t))
def test_a_glob_agrees_with_a_plain_recursive_definition(path: bytes, pattern: str) -> None:
    letters = bytes(b"ab/"[byte % 3] for byte in path)

    def fits(pat: bytes, text: bytes) -> bool:
        if not pat:
            return not text
        if pat[:1] == b"*":
            return fits(pat[1:], text) or (text[:1] not in {b"", b"/"} and fits(pat, text[1:]))
        return bool(text) and pat[:1] in {b"?", text[:1]} and text[:1] != b"/" and fits(pat[1:], text[1:])

    assert compile_glob(pattern, ignore_case=False).fits(letters) is fits(pattern.encode(), letters)


@given(st.lists(st.sampled_from(["**", "a", "b", "*"]), min_size=1, max_size=5), st.text("ab", max_size=6))
def test_double_stars_take_any_components(pattern: list[str], letters: str) -> None:
    def fits(want: list[str], have: list[str]) -> bool:
        if not want:
            return not have
        if want[0] == "**":
            return fits(want[1:], have) or (bool(have) and fits(want, have[1:]))
        return bool(have) and want[0] in {"*", have[0]} and fits(want[1:], have[1:])

    have = list(letters or "a")
    glob = compile_glob("/".join(pattern), ignore_case=False)
    assert glob.fits("/".join(have).encode()) is fits(pattern, have)


# ---- choosing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ([b"DCIM"], True),
        ([b"dcim/100/a.mp4"], True),
        ([b"DCIMX"], False),
        ([b"x/DCIM"], False),
        ([], False),
    ],
)
def test_a_marker_is_met_by_itself_and_by_what_lies_below(existing: list[bytes], expected: bool) -> None:
    assert matches(PROFILE, existing) is expected


def test_every_marker_is_needed_and_none_at_all_never_matches() -> None:
    two = make(markers=("DCIM", "MISC"))
    assert not matches(two, [b"DCIM"])
    assert matches(two, [b"DCIM", b"MISC"])
    assert not matches(make(markers=()), [b"DCIM"])


def test_the_most_specific_profile_is_chosen_whatever_the_order() -> None:
    plain, two = make(name="plain"), make(name="two", markers=("DCIM", "MISC"))
    first, twin = make(name="first", priority=1), make(name="aplain")
    existing = [b"DCIM", b"MISC"]
    for order in ([plain, two], [two, plain]):
        assert choose_profile(order, iter(existing)) is two
        assert choose_profile([*order, first], existing) is first
    assert choose_profile([plain, twin], existing) is choose_profile([twin, plain], existing) is twin
    assert choose_profile([plain], [b"Movie"]) is None


# ---- roles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (b"DCIM/a.MP4", Role.CLIP),
        (b"DCIM/.hidden.mp4", Role.CLIP),  # no list hides a clip
        (b"DCIM/x/y/a.gps", Role.SIDECAR),
        (b"nmea_1.TXT", Role.SIDECAR),
        (b"x/.DS_Store", Role.IGNORED),
        (b"a.mp4", Role.OTHER),
        (b"DCIM/a.mp4/b", Role.OTHER),
    ],
)
def test_classify(path: bytes, role: Role) -> None:
    assert classify(PROFILE, path) is role


def test_case_counts_when_the_profile_does_not_ignore_it() -> None:
    exact = make(ignore_case=False)
    assert classify(exact, b"DCIM/a.MP4") is Role.OTHER
    assert classify(exact, b"DCIM/a.mp4") is Role.CLIP
    assert clip_stem(exact, b"DCIM/A.MP4") == b"DCIM/A"
    assert sidecar_of(exact, b"DCIM/A.gps") == b"DCIM/A"
    assert sidecar_of(exact, b"DCIM/A.GPS") is None


# ---- names -----------------------------------------------------------------------------------------------


def test_a_name_gives_all_its_claims() -> None:
    facts = read_name(PROFILE, b"DCIM/BWC1_j.doe_20260115143000-0012!.MP4")
    assert (facts.camera, facts.officer, facts.sequence, facts.event) == ("BWC1", "j.doe", 12, True)
    assert facts.started_at is not None
    assert facts.started_at.local == "2026-01-15T14:30:00"
    assert facts.started_at.zone == "Europe/London"
    assert facts.started_at.utc == datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
    assert not facts.started_at.ambiguous
    assert not facts.started_at.skipped


@pytest.mark.parametrize(
    ("stamp", "utc", "ambiguous", "skipped"),
    [
        ("20260715143000", datetime(2026, 7, 15, 13, 30, tzinfo=UTC), False, False),
        ("20261025013000", None, True, False),  # shown twice
        ("20260329013000", None, False, True),  # never shown
        ("19700101000000", datetime(1969, 12, 31, 23, 0, tzinfo=UTC), False, False),  # British standard time
    ],
)
def test_summer_time_is_marked_and_never_guessed(
    stamp: str, utc: datetime | None, ambiguous: bool, skipped: bool
) -> None:
    claim = read_name(PROFILE, f"o_{stamp}.mp4".encode()).started_at
    assert claim is not None
    assert (claim.utc, claim.ambiguous, claim.skipped) == (utc, ambiguous, skipped)


@pytest.mark.parametrize(
    "stamp", [b"20260230120000", b"20261301000000", b"00000101000000", b"x", b"\xff", "\uff12026".encode()]
)
def test_an_impossible_date_is_no_claim(stamp: bytes) -> None:
    facts = read_name(PROFILE, b"o_" + stamp + b".mp4")
    assert facts.officer == "o"
    assert facts.started_at is None


def test_a_moment_outside_the_calendar_is_no_claim() -> None:
    profile = dated(r"(?P<started_at>\d{14})", "%Y%m%d%H%M%S")
    assert profile.grammar is not None
    grammar = NameGrammar(profile.grammar.pattern, 1, profile.grammar.time_format, ZoneInfo("Asia/Tokyo"))
    early = Profile("d", "m", "d", Access.FOLDER, Match(), clips=(), grammar=grammar)
    assert read_name(early, b"00010101000000") == NameFacts()


@pytest.mark.parametrize("officer", [b"\xff\xfe", b"a\nb", b"\x1b[2J"])
def test_text_that_cannot_be_printed_is_no_claim(officer: bytes) -> None:
    facts = read_name(PROFILE, officer + b"_20260115143000.mp4")
    assert facts.officer is None
    assert facts.started_at is not None


@pytest.mark.parametrize("number", [b"x1", "\u0663".encode(), b"1" * 19])
def test_a_sequence_that_is_no_number_is_no_claim(number: bytes) -> None:
    assert read_name(PROFILE, b"o_20260115143000-" + number + b".mp4").sequence is None


def test_a_date_may_stand_in_a_folder_and_an_end_before_the_start_is_no_claim() -> None:
    profile = dated(r"(?P<date>\d{4}-\d\d-\d\d)/(?P<started_at>[\d.]{8})-(?P<ended_at>[\d.]{8})", "%Y-%m-%d %H.%M.%S")
    facts = read_name(profile, b"any/where/2026-01-15/14.30.45-14.31.12")
    assert facts.started_at is not None
    assert facts.ended_at is not None
    assert (facts.started_at.local, facts.ended_at.local) == ("2026-01-15T14:30:45", "2026-01-15T14:31:12")
    night = read_name(profile, b"2026-01-15/23.59.50-00.00.20")
    assert night.started_at is not None
    assert night.ended_at is None
    assert read_name(profile, b"14.30.45-14.31.12") == NameFacts()


def test_a_name_without_grammar_without_match_or_too_long_claims_nothing() -> None:
    bare = Profile("n", "m", "d", Access.FOLDER, Match(), clips=())
    assert read_name(bare, b"o_20260115143000.mp4") == NameFacts()
    assert read_name(PROFILE, b"IMG_1.jpg") == NameFacts()
    long = dated(r"(?P<officer>.{1,300})", "%Y")
    assert read_name(long, b"x" * 255).officer == "x" * 255
    assert read_name(long, b"x" * 256) == NameFacts()


def test_a_time_without_a_format_is_no_claim() -> None:
    compiled, depth = compile_pattern(r"(?P<started_at>\d+)", groups=NAME_GROUPS, ignore_case=False)
    grammar = NameGrammar(compiled, depth, None, LONDON)
    profile = Profile("d", "m", "d", Access.FOLDER, Match(), clips=(), grammar=grammar)
    assert read_name(profile, b"20260115") == NameFacts()


# ---- identity, sidecars, events --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "serial"),
    [
        (None, b" CAM01 \n", "CAM01"),
        (None, b"\n\xff\nCAM02", "CAM02"),
        (r"id=(?P<camera>\d{1,8})", b"model=x\r\nid=007\r\n", "007"),
        (r"id=(?P<camera>\d{1,8})", b"id=x", None),
        (None, b"", None),
        (None, b"\n" * 5000 + b"CAM03", None),
    ],
)
def test_the_serial_is_the_first_line_that_fits(pattern: str | None, text: bytes, serial: str | None) -> None:
    assert read_identity(identified(pattern), text) == serial


def test_a_sidecar_shares_the_key_of_its_clip() -> None:
    assert sidecar_of(PROFILE, b"DCIM/A.GPS") == clip_stem(PROFILE, b"DCIM/a.mp4") == b"dcim/a"
    assert sidecar_of(PROFILE, b"NMEA_1.txt") is None
    assert clip_stem(PROFILE, b"x.y/.mp4") == b"x.y/.mp4"
    assert clip_stem(PROFILE, b"x.y/plain") == b"x.y/plain"


def test_an_event_is_marked_by_name_folder_or_sidecar() -> None:
    assert is_event(PROFILE, b"DCIM/a.mp4", NameFacts(event=True))
    assert is_event(PROFILE, b"DCIM/ro/a.mp4", NameFacts())
    assert not is_event(PROFILE, b"DCIM/ro/x/a.mp4", NameFacts())
    marked = marked_stems(PROFILE, [b"DCIM/A.MARK", b"DCIM/b.mp4.mark", b"DCIM/c.mp4"])
    assert marked == {b"dcim/a", b"dcim/b.mp4"}
    assert is_event(PROFILE, b"DCIM/a.mp4", NameFacts(), marked)
    assert is_event(PROFILE, b"DCIM/B.mp4", NameFacts(), marked)
    assert not is_event(PROFILE, b"DCIM/c.mp4", NameFacts(), marked)
    assert marked_stems(identified(None), [b"a.mark"]) == frozenset()


# ---- what is refused when a pattern is compiled ----------------------------------------------------------


@pytest.mark.parametrize("text", ["", "/a", "a//b", "a/", "./a", "a/../b", "a**", "a\0b"])
def test_a_glob_that_is_not_a_relative_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"relative|alone"):
        compile_glob(text, ignore_case=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(a+)+", "repeated"),
        ("(?:a|a){2,9}", "repeated"),
        ("(?:ab){3}", "repeated"),
        ("(?=a)", "groups"),
        (r"(a)\1", "references"),
        ("(?P<camera>a)(?P=camera)", "references"),
        ("(?i)a", "groups"),
        (".+.+.+", "ways"),
        (".*.*.?", "ways"),
        ("a{2,}a{,300}", "ways"),
        ("|".join("a" * 18), "ways"),
        ("(", "not a regular expression"),
        ("[a", "not a regular expression"),
        ("a{99999999999}", "not a regular expression"),
        ("(?P<cam>a)", "unknown group cam"),
        ("é", "ASCII"),
        ("a" * (PATTERN_MAX_CHARS + 1), "at most"),
    ],
)
def test_a_pattern_that_could_hang_or_means_nothing_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        compile_pattern(text, groups=NAME_GROUPS, ignore_case=False)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (r"(?:a+)?", 1),
        (r"[^/]+/\d{2,4}\/x", 3),
        (r"[)]+\(+", 1),
        ("a{3}b{2}", 1),
        ("a{200,455}b{200,455}", 1),
        ("[]+]{1,9}", 1),
        ("a{}", 1),
    ],
)
def test_a_safe_pattern_is_taken_and_its_components_counted(text: str, depth: int) -> None:
    assert compile_pattern(text, groups=NAME_GROUPS, ignore_case=False)[1] == depth


@pytest.mark.parametrize("text", ["[ab]{1,36}" * 3 + "!", "a?" * 15 + "a{15}!", ".+(?:a|b)?.{1,64}!"])
def test_the_slowest_patterns_allowed_end_soon(text: str) -> None:
    pattern, _ = compile_pattern(text, groups=NAME_GROUPS, ignore_case=False)
    started = time.perf_counter()
    assert pattern.fullmatch(b"a" * 255) is None
    assert pattern.fullmatch(b"a" * 60) is None
    assert time.perf_counter() - started < 2.0, f"bound {PATTERN_MAX_WORK} is too generous"


# ---- USB -------------------------------------------------------------------------------------------------


def test_a_usb_id_leaves_the_profiles_that_name_it() -> None:
    one, other = UsbId(0x1209, 0xBC01), UsbId(0x1209, 0xBC02)
    both = [replace(make(name="a"), match=Match(usb=(one,))), replace(make(name="b"), match=Match(usb=(one, other)))]
    assert [p.name for p in for_usb(both, one)] == ["a", "b"]
    assert [p.name for p in for_usb(both, other)] == ["b"]
    assert for_usb(both, UsbId(1, 1)) == ()
    assert for_usb(both, None) == tuple(both)


def test_without_markers_a_profile_fits_only_by_its_usb_id() -> None:
    bare = replace(make(name="bare"), match=Match(usb=(UsbId(0x1209, 0xBC01),)))
    assert choose_profile([bare], [b"DCIM"]) is None
    assert choose_profile([bare], [b"DCIM"], by_usb=True) == bare
    assert choose_profile([bare, PROFILE], [b"DCIM"], by_usb=True) == PROFILE
    assert choose_profile([bare, PROFILE], [b"Movie"], by_usb=True) == bare


def test_a_usb_id_is_written_as_people_know_it() -> None:
    assert str(UsbId(0x1209, 0xBC)) == "1209:00bc"
