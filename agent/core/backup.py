"""What a backup holds, as its manifest says it: the first file of the archive, JSON.

Rules: nothing that the manifest does not name is taken from an archive, every name stays inside its part, and a digest
that does not fit spoils the whole. A backup holds the station's secrets and no footage.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from agent.core.errors import AgentError, Remedy

FORMAT = "bwv-backup/1"
MANIFEST, LEDGER, LOG = "manifest.json", "ledger.sqlite", "custody.jsonl"
CONFIG, STATE, STORES = "config", "state", "stores"
"""Parts of an archive: what lies beside the configuration, and the stores' folder in the state directory."""
MAX_MANIFEST_BYTES = 4 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HINT = "Take another backup; this one was altered, cut off, or made by something else. Nothing was changed here."


class BackupUnusable(AgentError):
    """An archive is no whole backup."""

    code, remedy, hint = "backup.unusable", Remedy.HALT, _HINT


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup. `secret`: nobody but the service may read it."""

    name: str
    size: int
    sha256: str
    secret: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole backup: of which station, how far its custody log had come, and every file."""

    station: str
    agent: str
    made_at: str  # ISO, UTC
    schema: int
    events: int
    head: str
    files: tuple[Kept, ...]

    def text(self) -> str:
        """As it stands in the archive."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @property
    def made(self) -> datetime:
        """`made_at` as a moment."""
        return datetime.fromisoformat(self.made_at)

    def named(self, name: str) -> Kept:
        """One file. Raises BackupUnusable when it is not there."""
        found = next((kept for kept in self.files if kept.name == name), None)
        if found is None:
            raise BackupUnusable(f"The backup has no {name}.")
        return found

    def in_part(self, part: str) -> list[tuple[str, Kept]]:
        """The files of a part, with their paths in it."""
        head = f"{part}/"
        return [(kept.name.removeprefix(head), kept) for kept in self.files if kept.name.startswith(head)]


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest that anybody may have written. Raises BackupUnusable."""
    try:
        told = json.loads(raw)
        if not isinstance(told, dict) or told.pop("format", None) != FORMAT:
            raise BackupUnusable("This is no backup of a station, or one of a newer agent.")
        files = tuple(_kept(each) for each in told.pop("files"))
        manifest = Manifest(**told, files=files)
        has_zone = manifest.made.tzinfo is not None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BackupUnusable("The backup's manifest cannot be read.") from error
    texts = (manifest.station, manifest.agent, manifest.head)
    has_texts = has_zone and all(isinstance(text, str) for text in texts)
    if not has_texts or not _counts([manifest.schema, manifest.events]):
        raise BackupUnusable("The backup's manifest cannot be read.")
    if len({kept.name for kept in files}) < len(files):
        raise BackupUnusable("The backup's manifest names a file twice.")
    manifest.named(LEDGER)
    manifest.named(LOG)
    return manifest


def _kept(told: dict[str, Any]) -> Kept:
    kept = Kept(**told)
    sound = _DIGEST.fullmatch(kept.sha256) is not None and _counts([kept.size]) and may_keep(kept.name)
    if not sound or kept.secret not in (True, False):
        raise BackupUnusable(f"The backup's manifest names a file that it may not: {kept.name!r}.")
    return kept


def _counts(numbers: Sequence[object]) -> bool:
    return all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)


def may_keep(name: object) -> bool:
    """Whether a backup may have a file of this name.

    These are the two files at the top, what lies in the configuration's folder or below, and what lies in the stores'
    folder of the state directory. No part of a name begins with a dot: such files are temporary ones of our own.
    """
    if not isinstance(name, str) or "\0" in name:
        return False
    if name in (LEDGER, LOG):
        return True
    head, *rest = name.split("/")
    if not rest or any(part == "" or part.startswith(".") for part in rest):
        return False
    return head == CONFIG or (head == STATE and rest[0] == STORES and len(rest[1:]) == 1)
