"""Patterns over the raw bytes of a path whose work is bounded, whatever a camera names its files.

Rules: matching never raises and never hangs; what could make it slow is refused when a pattern is compiled.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

NAME_MAX_BYTES = 255  # POSIX NAME_MAX; a longer component cannot come from a real medium
PATTERN_MAX_CHARS = 500
PATTERN_MAX_WORK = 70_000  # ways to split one name (two open repeats): the worst name costs some milliseconds
_PIECE = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P<|\(\?:|\(\?|[()|/]|[*+?][+?]?|\{\d*,?\d*\}[+?]?|.", re.DOTALL
)
_REPEAT = re.compile(r"[*+?{]")
_BACK_REFERENCE = re.compile(r"\\[1-9]")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Glob:
    """A path pattern: `*` and `?` stay inside a component, `**` is any components, `[` is itself."""

    text: str
    parts: tuple[bytes, ...]
    ignore_case: bool

    def fits(self, path: bytes) -> bool:
        """Match a whole path."""
        parts = folded(path, ignore_case=self.ignore_case).split(b"/")
        return _fits(self.parts, parts, b"**", _component_fits)


def folded(path: bytes, *, ignore_case: bool) -> bytes:
    """Fold ASCII letters, as far as cameras' file systems and bytes without a known encoding allow."""
    return path.lower() if ignore_case else path


def compile_glob(text: str, *, ignore_case: bool) -> Glob:
    """Read a glob. Raises ValueError, with a reason for an operator, if it is not a relative pattern."""
    parts = tuple(folded(text.encode(), ignore_case=ignore_case).split(b"/"))
    if any(part in {b"", b".", b".."} or b"\0" in part for part in parts):
        raise ValueError("must be a relative path without empty, '.' or '..' components")
    if any(b"**" in part and part != b"**" for part in parts):
        raise ValueError("'**' must stand alone between slashes")
    return Glob(text, parts, ignore_case)


def compile_pattern(text: str, *, groups: frozenset[str], ignore_case: bool) -> tuple[re.Pattern[bytes], int]:
    """Compile a regular expression that cannot hang; also give the number of path components it spans.

    Raises ValueError, with a reason for an operator, if it is no expression, repeats a group, could split a
    name in too many ways, or names a group outside `groups`.
    """
    if len(text) > PATTERN_MAX_CHARS or not text.isascii():
        raise ValueError(f"must be at most {PATTERN_MAX_CHARS} ASCII characters")
    depth = _refuse_slow(text)
    try:
        pattern = re.compile(text.encode(), re.IGNORECASE if ignore_case else re.NOFLAG)
    except (re.error, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    unknown = sorted(set(pattern.groupindex) - groups)
    if unknown:
        raise ValueError(f"unknown group {', '.join(unknown)}; known: {', '.join(sorted(groups))}")
    return pattern, depth


def _refuse_slow(text: str) -> int:
    """Refuse what may backtrack without a small bound; return the number of components.

    The bound is the product of what each repeat and each alternative leaves open. It holds because a group
    may be optional but never repeated: repeats do not nest.
    """
    work, depth, previous = 1, 1, ""
    for piece in _PIECE.findall(text):
        if piece == "(?" or _BACK_REFERENCE.match(piece):
            raise ValueError("only plain, (?:...) and (?P<name>...) groups are allowed, no references")
        if _REPEAT.match(piece):
            if previous == ")" and piece[0] != "?":
                raise ValueError("a group must not be repeated (nested repeats can hang)")
            work *= _choices(piece)
        elif piece == "|":
            work *= 2
        elif piece in {"/", r"\/"}:
            depth += 1
        previous = piece
    if work > PATTERN_MAX_WORK:
        raise ValueError(f"can split a name in {work} ways, more than {PATTERN_MAX_WORK}: use {{1,n}}, not +")
    return depth


def _choices(repeat: str) -> int:
    """Count the lengths that a repeat may take; one without an upper bound ends with the name."""
    if repeat[0] == "?":
        return 2
    low, comma, high = repeat.strip("{}+?").partition(",")
    if repeat[0] == "{" and not comma:
        return 1
    return int(high) - int(low or 0) + 1 if high else NAME_MAX_BYTES


def _component_fits(pattern: bytes, component: bytes) -> bool:
    return _fits(pattern, component, ord("*"), lambda want, got: want in {got, ord("?")})


def _fits(pattern: Sequence[_T], items: Sequence[_T], star: _T, same: Callable[[_T, _T], bool]) -> bool:
    """Match items against a pattern in which `star` is any run of items, in at most len * len steps.

    Only the last star is ever widened: what an earlier one could take, the later one can take as well.
    """
    at = item = resume = 0
    after_star = -1
    while item < len(items):
        if at < len(pattern) and pattern[at] == star:
            at += 1
            after_star, resume = at, item
        elif at < len(pattern) and same(pattern[at], items[item]):
            at += 1
            item += 1
        elif after_star >= 0:
            resume += 1
            at, item = after_star, resume
        else:
            return False
    return all(left == star for left in pattern[at:])
