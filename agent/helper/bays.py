"""The bays as the operator has configured them: names and paths from the agent's own configuration files.

Rules: only files that nobody but root can change are read; whoever could add a bay could have any disk mounted. Of
those files only `[[bays]]` is looked at, and what is wrong with the rest is for the agent to complain about. A file
or bay that cannot be used is left out and said in the log; the others are served.
"""

import os
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from agent.devices.topology import UNMAPPED, PortPath, Topology
from agent.helper.refusal import said
from agent.helper.request import is_bay_name

MOST_BYTES = 1 << 20
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

Seen = tuple[tuple[str, int, int, int, int, int], ...]
"""What files there are and a sign of each that changes when it does."""


def say(text: str) -> None:
    """One line for the journal; what others wrote of it can make no second line."""
    sys.stderr.write("".join(each if each.isprintable() else " " for each in text) + "\n")
    sys.stderr.flush()


def fault_of(facts: os.stat_result) -> str | None:
    """Why a file or folder is not to be believed, None when it is. The owner must be root, or who runs this trial."""
    if facts.st_uid not in (0, os.geteuid()):
        return "it belongs to another user; chown root it"
    if facts.st_mode & _OTHERS_WRITE:
        return "others than its owner may write to it; chmod go-w it"
    return None


def _paths_in(bay: dict[str, object]) -> tuple[str, ...]:
    paths = bay.get("paths")
    return tuple(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()


def bays_in(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The bays of one file that have a usable name and paths. Raises ValueError when it is no TOML."""
    listed = tomllib.loads(text).get("bays")
    for bay in listed if isinstance(listed, list) else []:
        if not isinstance(bay, dict):
            continue
        name, paths = bay.get("name"), _paths_in(bay)
        if isinstance(name, str) and paths:
            if is_bay_name(name) and not name.startswith(UNMAPPED):
                yield name, paths
            else:
                say(f"configuration: bay {name!a} is left out: not a name for a bay")


class Bays:
    """The bays of one configuration, read again when its files have changed."""

    def __init__(self, config: Path) -> None:
        """`config` is the main file; `conf.d/*.toml` beside it is read as well."""
        self._config = config
        self._seen: Seen | None = None
        self._topology = Topology({})

    def topology(self) -> Topology:
        """Where the bays are, by the files as they are now."""
        seen = tuple(self._look())
        if seen != self._seen:
            self._topology, self._seen = self._read([Path(each[0]) for each in seen]), seen
        return self._topology

    def _files(self) -> Iterator[Path]:
        yield self._config
        folder = self._config.parent / "conf.d"
        yield from sorted(folder.glob("*.toml"))

    def _look(self) -> Iterator[tuple[str, int, int, int, int, int]]:
        for path in self._files():
            try:
                facts = path.stat()
            except OSError:
                continue
            yield str(path), facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_mode, facts.st_uid

    def _read(self, files: list[Path]) -> Topology:
        paths: dict[str, list[str]] = {}
        for file in files:
            for name, more in self._bays_of(file):
                paths.setdefault(name, []).extend(self._ports(name, more))
        try:
            topology = Topology(paths)
        except ValueError as error:
            say(f"configuration: no bay is served: {error}")
            return Topology({})
        say(f"configuration: {len(paths)} bays from {len(files)} files")
        return topology

    @staticmethod
    def _bays_of(file: Path) -> list[tuple[str, tuple[str, ...]]]:
        try:
            fault = fault_of(file.parent.stat())
            with file.open("rb") as opened:
                fault = fault or fault_of(os.fstat(opened.fileno()))
                text = "" if fault else opened.read(MOST_BYTES + 1).decode("utf-8")
            if fault is None and len(text) > MOST_BYTES:
                fault = "it is too long"
            if fault is None:
                return list(bays_in(text))
        except OSError as error:
            fault = said(error)
        except ValueError as error:  # no TOML, or no UTF-8
            fault = ascii(str(error))
        except RecursionError:
            fault = "it is nested too deep"
        say(f"configuration: {file} is left out: {fault}")
        return []

    @staticmethod
    def _ports(name: str, paths: tuple[str, ...]) -> Iterator[str]:
        for path in paths:
            try:
                PortPath.parse(path)
            except ValueError as error:
                say(f"configuration: a path of bay {name} is left out: {str(error)!a}")
            else:
                yield path
