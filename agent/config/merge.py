"""Joins the main file with `conf.d`: later files win for single values, tables join and lists grow.

Remembers who said what. A list inside one table of a list (the paths of one bay) belongs to that table alone.
"""

from pathlib import Path
from typing import Any

Key = tuple[str | int, ...]


class Merged:
    """The joined tables, and for every key the file that it came from."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.tables: dict[str, Any] = {}
        self._origin: dict[Key, Path] = {}

    def add(self, tables: dict[str, Any], file: Path) -> None:
        """Take over one file's tables."""
        self._join(self.tables, tables, (), file)

    def _join(self, into: dict[str, Any], tables: dict[str, Any], at: Key, file: Path) -> None:
        for name, value in tables.items():
            key = (*at, name)
            known = into.get(name)
            if isinstance(value, dict) and isinstance(known, dict):
                self._join(known, value, key, file)
            elif isinstance(value, list) and isinstance(known, list):
                for number, item in enumerate(value, start=len(known)):
                    self._note(item, (*key, number), file)
                known.extend(value)
            else:
                into[name] = value
                self._note(value, key, file)

    def _note(self, value: object, key: Key, file: Path) -> None:
        self._origin[key] = file
        if isinstance(value, dict):
            for name, inner in value.items():
                self._note(inner, (*key, name), file)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                self._note(inner, (*key, number), file)

    def origin(self, key: Key, main: Path) -> Path:
        """The file that said `key`, or the nearest table around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._origin:
                return self._origin[key[:length]]
        return main
