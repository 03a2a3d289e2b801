"""Custody events: append-only lines, each bound to the one before it.

A line is one JSON object; `prev` is the SHA-256 of the previous line's exact bytes (the first line's is 64
zeros). Verifiers hash bytes as stored and never re-serialise, so no canonical form is needed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

GENESIS = "0" * 64
JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


def line_head(seq: int, prev: str, event: str) -> str:
    """How the line of an event with other fields begins, so that it can be recognised without being parsed."""
    return f'{{"seq":{seq},"prev":"{prev}","event":"{event}",'


def event_line(seq: int, prev: str, event: str, fields: Mapping[str, JsonValue]) -> str:
    """Write one event as its line, without the newline. `fields` may not use seq, prev or event."""
    own = {"seq": seq, "prev": prev, "event": event}
    if own.keys() & fields.keys():
        message = f"an event's fields may not be named {', '.join(own)}"
        raise ValueError(message)
    body = {**own, **fields}
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def line_digest(line: str) -> str:
    """SHA-256 of a line's bytes: the next line's `prev`."""
    return hashlib.sha256(line.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first place where a chain does not hold."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The outcome of walking a chain: how many lines held, the head's digest, and the first fault."""

    events: int
    head: str
    fault: ChainFault | None


def verify_chain(lines: Iterable[str]) -> ChainReport:
    """Walk lines in order and stop at the first that does not follow from the one before."""
    prev, count = GENESIS, 0
    for expected, line in enumerate(lines, start=1):
        reason = _fault_of(line, expected, prev)
        if reason is not None:
            return ChainReport(count, prev, ChainFault(expected, reason))
        prev, count = line_digest(line), expected
    return ChainReport(count, prev, None)


def _fault_of(line: str, expected_seq: int, prev: str) -> str | None:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return "the line is not JSON"
    if not isinstance(body, dict):
        return "the line is not an object"
    if body.get("seq") != expected_seq:
        return f"its number is {body.get('seq')!r}"
    if body.get("prev") != prev:
        return "it does not follow from the line before"
    return None
