"""What a reader says, checked: it has parsed a camera's medium and is believed about nothing.

Every function raises ReaderFailed for what the protocol does not allow.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.clip import Entry
from agent.core.errors import ReaderFailed
from agent.devices.drivers.driver import PATH_BYTES
from agent.devices.reader.wire import BATCH_ROWS, message_of
from agent.ports import CameraFacts, Mark, Refused

Answer = dict[str, object]

_MOST = 1 << 63
_REFUSED_PATH_BYTES = PATH_BYTES + 256
"""What is refused for the length of its path stands in a directory whose own path is short enough."""
_REASON = re.compile(r"[a-z_]{1,40}")
_MARK = re.compile(r"[!-~]{1,200}")
_TEXT_CHARACTERS = 200
_FULL_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """The reader could not do what was asked; `code` as in `drivers.driver.DriverError`."""

    code: str
    text: str
    errno: int


@dataclass(frozen=True, slots=True)
class Finish:
    """How a reading ended, by the reader's account."""

    sent_bytes: int
    size_bytes: int
    mtime_ns: int
    mark: Mark


def answer_of(line: bytes) -> tuple[int, Answer | Problem]:
    """Read an answer with the number of its question."""
    try:
        message = message_of(line)
    except ValueError as error:
        raise ReaderFailed("the reader talks nonsense") from error
    number = _number(message, "id")
    match message:
        case {"ok": dict(answer)}:
            return number, answer
        case {"error": {"code": str(code), "text": str(text), "errno": int(errno)}}:
            return number, Problem(code, _shown(text), errno)
        case _:
            raise ReaderFailed("the reader gives an answer that is none")


def _number(answer: Answer, key: str) -> int:
    value = answer.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not -_MOST <= value < _MOST:
        raise ReaderFailed(f"the reader's answer has no usable {key}")
    return value


def _count(answer: Answer, key: str) -> int:
    value = _number(answer, key)
    if value < 0:
        raise ReaderFailed(f"the reader's answer has a negative {key}")
    return value


def _shown(text: str) -> str:
    """Text for a message of ours: one printable line."""
    return "".join(c if c.isprintable() else "?" for c in text[:_TEXT_CHARACTERS])


def _path(value: object, most_bytes: int = PATH_BYTES) -> bytes:
    """A relative path that cannot lead anywhere else."""
    try:
        path = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        path = b""
    if b"\0" in path or len(path) > most_bytes or any(part in (b"", b".", b"..") for part in path.split(b"/")):
        raise ReaderFailed("the reader names a file by a path that no camera can have")
    return path


def _list(answer: Answer, key: str) -> list[object]:
    value = answer.get(key)
    if not isinstance(value, list):
        raise ReaderFailed(f"the reader's answer has no {key}")
    return value


def batch_of(answer: Answer) -> tuple[tuple[Entry | Refused, ...], bool]:
    """Read one batch of a listing, and whether it was the last."""
    rows = _list(answer, "rows")
    done = answer.get("done")
    if len(rows) > BATCH_ROWS or not isinstance(done, bool):
        raise ReaderFailed("the reader gives a batch that the protocol does not allow")
    return tuple(_row(row) for row in rows), done


def _row(row: object) -> Entry | Refused:
    if not isinstance(row, dict):
        raise ReaderFailed("the reader lists something that is no file")
    reason = row.get("reason")
    if reason is None:
        return Entry(_path(row.get("path")), _count(row, "size"), _number(row, "mtime_ns"))
    if not isinstance(reason, str) or not _REASON.fullmatch(reason):
        raise ReaderFailed("the reader refuses a file without a usable reason")
    return Refused(_path(row.get("path"), _REFUSED_PATH_BYTES), reason)


def existing_of(answer: Answer, asked: Sequence[bytes]) -> frozenset[bytes]:
    """Read which of the asked paths exist."""
    found = frozenset(_path(each) for each in _list(answer, "paths"))
    if not found <= frozenset(asked):
        raise ReaderFailed("the reader finds a file that was not asked for")
    return found


def state_of(answer: Answer) -> tuple[int, int]:
    """Read a file's size in bytes and mtime in ns."""
    return _count(answer, "size"), _number(answer, "mtime_ns")


def finish_of(answer: Answer) -> Finish:
    """Read how a reading ended."""
    mark = answer.get("mark")
    if not isinstance(mark, str) or not _MARK.fullmatch(mark):
        raise ReaderFailed("the reader gives no usable mark of the file it read")
    return Finish(_count(answer, "sent"), *state_of(answer), Mark(mark))


def facts_of(answer: Answer) -> tuple[CameraFacts, bool]:
    """Read who the camera is, and whether it can be wiped. What makes no sense is left out."""
    told = answer.get("facts")
    if not isinstance(told, dict):
        raise ReaderFailed("the reader does not say what the camera is")

    def text(key: str) -> str | None:
        value = told.get(key)
        if not isinstance(value, str):
            return None
        # Half a surrogate pair breaks whoever stores or shows it, and for SQLite a NUL ends the text.
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")

    def number(key: str, most: int) -> int | None:
        value = told.get(key)
        usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        return value if usable else None

    facts = CameraFacts(
        serial=text("serial"),
        model=text("model"),
        firmware=text("firmware"),
        battery_percent=number("battery_percent", _FULL_PERCENT),
        label=text("label"),
        file_system=text("file_system"),
        capacity_bytes=number("capacity_bytes", _MOST - 1),
    )
    return facts, answer.get("can_wipe") is True
