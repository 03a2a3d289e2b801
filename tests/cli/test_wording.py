import pytest

from agent.cli.wording import count, duration, safe, shown, size


@pytest.mark.parametrize(
    ("size_bytes", "written"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (18_400_000_000, "18.4 GB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes_are_written_in_decimal_units(size_bytes: int, written: str) -> None:
    assert size(size_bytes) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(-1, "0 s"), (59.4, "59 s"), (190, "3 min 10 s"), (3600, "1 h 0 min"), (7290, "2 h 1 min")]
)
def test_times_are_as_exact_as_a_person_needs(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_a_name_that_is_not_utf8_is_shown_as_hex() -> None:
    assert shown({"hex": "fffe2e4d5034"}) == "hex:fffe2e4d5034"


@pytest.mark.parametrize(
    ("hostile", "written"),
    [
        ("\x1b[2Jclear", "\\x1b[2Jclear"),
        ("two\nlines", "two\\nlines"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("half\udcffbyte", "half\\udcffbyte"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_no_name_can_put_a_control_character_on_a_terminal(hostile: str, written: str) -> None:
    assert shown(hostile) == safe(hostile) == written


def test_nothing_is_shown_as_a_dash() -> None:
    assert shown(None) == "-"


def test_a_number_agrees_with_its_noun() -> None:
    assert [count(n, "clip") for n in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
