"""Where the running service listens, read leniently: a mistake elsewhere in the files must not hide the service.

The service goes on with the configuration that it has taken over, and so must be within reach of people's decisions
whatever has become of the files since.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from agent.config.load import config_files, read_config_file
from agent.config.merge import Merged

_TABLES = re.compile(r"^(?=[ \t]*\[)", re.MULTILINE)


def find_socket(path: Path) -> Path | None:
    """The socket that `path` and `conf.d/*.toml` beside it speak of, or None where they cannot tell. Never raises."""
    path = path.absolute()
    merged = Merged()
    for file in config_files(path):
        try:
            merged.add(_tables(read_config_file(file).decode("utf-8")), file)
        except (OSError, UnicodeDecodeError):
            continue
    socket, state_dir = _text(merged.tables, "api", "socket"), _text(merged.tables, "station", "state_dir")
    if socket is not None:
        return path.parent / socket
    return None if state_dir is None else path.parent / state_dir / "api.sock"


def _tables(text: str) -> dict[str, Any]:
    """The whole file, or where it is not TOML: `[station]` and `[api]` as far as they are."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found: dict[str, Any] = {}
    for part in _TABLES.split(text):
        try:
            tables = tomllib.loads(part)
        except tomllib.TOMLDecodeError:
            continue
        found |= {name: value for name, value in tables.items() if name in ("station", "api")}
    return found


def _text(tables: dict[str, Any], table: str, key: str) -> str | None:
    values = tables.get(table)
    value = values.get(key) if isinstance(values, dict) else None
    return value if isinstance(value, str) else None
