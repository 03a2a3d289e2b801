"""Patterns over the raw bytes of a path whose work is bounded, whatever a camera names its files.

Rules: matching never raises and never hangs; what could make it slow is refused when a pattern is compiled.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NAME_MAX_BYTES = 255  # POSIX NAME_MAX; a longer component cannot come from a real medium
PATTERN_MAX_CHARS = 500
PATTERN_MAX_WORK = 70_000  # ways to split one name (two open repeats): the worst name costs some milliseconds
_PIECE = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P<|\(\?:|\(\?|[()|/]|[*+?][+?]?|\{\d*,?\d*\}[+?]?|.", re.DOTALL
)
_REPEAT = re.compile(r"[*+?{]")
_BACK_REFERENCE = re.compile(r"\\[1-9]")


@dataclass(frozen=True, slots=True)
class Glob:
    """A path pattern: `*` and `?` stay inside a component, `**` is any components, `[` is itself."""

    text: str
    ignore_case: bool
    expression: re.Pattern[bytes] = field(compare=False, repr=False)

    def fits(self, path: bytes) -> bool:
        """Match a whole path."""
        return self.expression.fullmatch(folded(path, ignore_case=self.ignore_case) + b"/") is not None


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
    return Glob(text, ignore_case, _expression(parts))


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


def _expression(parts: Sequence[bytes]) -> re.Pattern[bytes]:
    """Write a glob as an expression over a path that ends in a slash, whose work grows with the path's length only.

    Only the last run of anything is ever widened: what an earlier one could take, the last one can take as well. So all
    others take as little as they can and, being atomic, never try again.
    """
    runs: list[list[bytes]] = [[]]
    for part in parts:
        if part == b"**":
            runs.append([])
        else:
            runs[-1].append(_component(part) + b"/")
    return re.compile(_widened((b"".join(run) for run in runs), b"(?:[^/]*+/)"))


def _component(pattern: bytes) -> bytes:
    pieces = (b"[^/]".join(map(re.escape, piece.split(b"?"))) for piece in pattern.split(b"*"))
    return _widened(pieces, b"[^/]")


def _widened(pieces: Iterable[bytes], unit: bytes) -> bytes:
    """Put any number of `unit` between the pieces."""
    first, *others = pieces
    if not others:
        return first
    *middle, last = others
    return first + b"".join(b"(?>" + unit + b"*?" + piece + b")" for piece in middle if piece) + unit + b"*" + last
