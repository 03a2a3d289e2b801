"""Joins the main file with `conf.d`: later files win for single keys, lists of tables grow. Remembers who said what."""

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
            elif isinstance(known, list) and _is_tables(value) and _is_tables(known):
                for number, table in enumerate(value, start=len(known)):
                    self._note(table, (*key, number), file)
                known.extend(value)
            else:
                into[name] = value
                self._note(value, key, file)

    def _note(self, value: object, key: Key, file: Path) -> None:
        self._origin[key] = file
        if isinstance(value, dict):
            for name, inner in value.items():
                self._note(inner, (*key, name), file)
        elif _is_tables(value):
            assert isinstance(value, list)  # noqa: S101 - what _is_tables has just found
            for number, inner in enumerate(value):
                self._note(inner, (*key, number), file)

    def origin(self, key: Key, main: Path) -> Path:
        """The file that said `key`, or the nearest table around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._origin:
                return self._origin[key[:length]]
        return main


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
