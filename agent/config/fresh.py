"""A station's first configuration, written from a few answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HEAD = (
    "# Written by `dock-agent setup`. Change it as you like; `dock-agent check` tells mistakes with file and key.\n"
    "# Every key that can stand here: agent.example.toml, which came with the agent.\n"
)


@dataclass(frozen=True, slots=True)
class FreshStore:
    """The one store of a first configuration; paths as they are to stand in the file."""

    name: str
    url: str
    require: str
    receipt_key: str | None = None
    credential: str | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class FreshBay:
    """A bay that is a folder."""

    name: str
    folder: str


@dataclass(frozen=True, slots=True)
class FreshConfig:
    """What was answered. Nothing secret is among it: a credential is named by its file."""

    station: str
    state_dir: Path
    time_zone: str | None = None
    store: FreshStore | None = None
    bays: Sequence[FreshBay] = ()
    must_be_mount: bool = True
    trial: bool = False
    allow_unsafe_spool: bool = False
    allow_plain_spool: bool = False

    def text(self) -> str:
        """The file. Wiping is off in it, whatever was answered: turning it on is a decision of its own."""
        station: dict[str, str | bool | None] = {
            "id": self.station,
            "state_dir": str(self.state_dir),
            "time_zone": self.time_zone,
        }
        trials: dict[str, str | bool | None] = {
            "trial": self.trial or None,
            "allow_unsafe_spool": self.allow_unsafe_spool or None,
            "allow_plain_spool": self.allow_plain_spool or None,
        }
        tables = [_table("[station]", station | trials)]
        tables += [
            _table("[[bays]]", {"name": bay.name, "folder": bay.folder, "must_be_mount": self.must_be_mount})
            for bay in self.bays
        ]
        if self.store is not None:
            keys = ("name", "url", "require", "receipt_key", "credential", "ca")
            tables.append(_table("[[stores]]", {key: getattr(self.store, key) for key in keys}))
        return "\n".join([HEAD, *tables, _table("[wipe]", {"enabled": False})])


def _table(head: str, values: Mapping[str, str | bool | None]) -> str:
    """One table, without the keys that have no value; a text in JSON's form is one in TOML's."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items() if value is not None]
    return f"{head}\n{''.join(lines)}"
