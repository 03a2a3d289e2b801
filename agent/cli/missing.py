"""What a lost station had announced and never brought, by camera: the cameras that people must dock again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.cli.terminal import show, table
from agent.cli.wording import count, moment, safe, shown, size
from agent.core.errors import AgentError, Remedy

MAX_BYTES = 256 << 20
_WANTED: Mapping[str, Any] = {
    "camera": str | dict | None,
    "size": int,
    "event": bool | None,
    "started_at": str | dict | None,
}
"""What a row must have, and of which kind."""

Row = Mapping[str, Any]


class ReportUnreadable(AgentError):
    """The list of a depot cannot be used."""

    code, remedy = "cli.report_unreadable", Remedy.HALT
    hint = (
        "Make it with `dock-agent depot replace OLD NEW --json`, or with `dock-agent depot ls --station OLD --missing"
        " --json`."
    )


def read_missing(file: Path, old: str) -> list[Row]:
    """Read what the depot wrote with --json, by either command. Raises ReportUnreadable, OSError."""
    with file.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    try:
        found = json.loads(raw)
        rows = found["missing"] if isinstance(found, dict) else found
    except (ValueError, KeyError, RecursionError) as error:
        raise ReportUnreadable(f"{file} is not the list of a depot.") from error
    if not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise ReportUnreadable(f"{file} is not the list of a depot.")
    others = sorted({str(row.get("station")) for row in rows} - {old})
    if others or (isinstance(found, dict) and found.get("old") != old):
        raise ReportUnreadable(f"{file} is not about {old} alone.")
    return rows


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and all(key in row and isinstance(row[key], kind) for key, kind in _WANTED.items())


def by_camera(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One object for each camera: camera, clips, bytes, events (how many are marked), since. Marked ones first."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        camera = shown(row["camera"])
        one = found.setdefault(camera, {"camera": camera, "clips": 0, "bytes": 0, "events": 0, "since": None})
        one["clips"] += 1
        one["bytes"] += row["size"]
        one["events"] += bool(row["event"])
        begun = row["started_at"]
        if isinstance(begun, str) and (one["since"] is None or begun < one["since"]):
            one["since"] = begun
    return sorted(found.values(), key=lambda one: (-one["events"], -one["clips"], one["camera"]))


def say_missing(old: str, rows: Sequence[Row]) -> None:
    """Tell people which cameras to dock."""
    if rows:
        what = f"{count(len(rows), 'clip')} that {safe(old)} had announced"
        print(f"{what} never came. Dock these cameras, at any station:")
        show(table(("camera", "clips", "size", "marked", "since"), map(_cells, by_camera(rows))))
    else:
        print(f"All that {safe(old)} had announced is here.")
    print(
        f"What {safe(old)} had not announced yet, nobody knows: dock every camera that was there since it last reached"
        " the store. Cameras keep what no store has confirmed."
    )


def _cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (one["camera"], str(one["clips"]), size(one["bytes"]), str(one["events"]), _moment(one["since"]))


def _moment(at: str | None) -> str:
    try:
        return "-" if at is None else moment(at)
    except ValueError:
        return safe(at or "")
