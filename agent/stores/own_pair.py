"""The station's certificate and key for one store, on disk: exchanged together, so that they always fit each other.

Two files cannot be exchanged at once, one link can. So both lie in a folder of their own for each generation, and the
two configured names are links that lead through `current`, which is itself a link:

    client.pem -> identity-central/current/certificate.pem
    client.key -> identity-central/current/key.pem
    identity-central/current -> 2

Rules: whenever this is cut off, both names lead to a pair that fits, the old one or the new one. Files that were there
before become the first generation, unchanged, before their names become links. Generations that are over are removed,
because an old private key is good for nothing but misuse. The key of a request waits in `next.key`. Blocks.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.files.durable import DurablePart, make_directory, sync_directory

_CERTIFICATE, _KEY, _CURRENT, _NEXT = "certificate.pem", "key.pem", "current", "next.key"
_FOLDER_MODE, _CERTIFICATE_MODE, _KEY_MODE = 0o755, 0o644, 0o600

Give = Callable[[Path], None]
"""Lets the service's user own a file that is not published yet."""


@dataclass(frozen=True, slots=True)
class OwnPair:
    """The configured names of a certificate and its key.

    `store` is the one that they are for, or the first of those that share them. Methods raise OSError.
    """

    store: str
    certificate: Path
    key: Path

    @property
    def folder(self) -> Path:
        """Where the generations lie."""
        return self.certificate.parent / f"identity-{self.store}"

    @property
    def waiting_key(self) -> Path:
        """The key whose certificate has been requested."""
        return self.folder / _NEXT

    def waiting(self) -> bytes | None:
        """That key; None where no request is open."""
        try:
            return self.waiting_key.read_bytes()
        except FileNotFoundError:
            return None

    def stage(self, key: bytes) -> None:
        """Keep a key until its certificate comes; an earlier one ends."""
        make_directory(self.folder, _FOLDER_MODE)
        fresh = self.folder / f".{_NEXT}.new"
        fresh.unlink(missing_ok=True)
        _write(fresh, key, _KEY_MODE)
        fresh.replace(self.waiting_key)
        sync_directory(self.folder)

    def generation(self, certificate: bytes, key: bytes, give: Give) -> Path:
        """Write a new generation and return its folder; nothing leads there yet."""
        make_directory(self.folder, _FOLDER_MODE)
        made = self.folder / str(max(self._generations(), default=0) + 1)
        make_directory(made, _FOLDER_MODE)
        _write(made / _CERTIFICATE, certificate, _CERTIFICATE_MODE, give)
        _write(made / _KEY, key, _KEY_MODE, give)
        return made

    def install(self, made: Path, give: Give) -> None:
        """Let both names lead to a generation, from one moment to the next; the key no longer waits."""
        names = {self.certificate: _CERTIFICATE, self.key: _KEY}
        if not all(self._leads_there(path, name) for path, name in names.items()):
            if self.certificate.exists() and self.key.exists():
                before = self.generation(self.certificate.read_bytes(), self.key.read_bytes(), give)
                self._lead_to(before)  # the same bytes, whichever of the names are links already
            else:
                self._lead_to(made)
            for path, name in names.items():
                if not self._leads_there(path, name):
                    _link(path, self._through(path, name))
        self._lead_to(made)
        self.waiting_key.unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """Remove every generation but the one that is in use."""
        with suppress(FileNotFoundError):
            current = (self.folder / _CURRENT).readlink()
            for number in self._generations():
                if str(number) != str(current):
                    shutil.rmtree(self.folder / str(number))
            sync_directory(self.folder)

    def _generations(self) -> list[int]:
        return [int(each.name) for each in self.folder.iterdir() if each.name.isdecimal()]

    def _through(self, path: Path, name: str) -> Path:
        """As the kernel will follow it, which knows nothing of the links on the way to the name."""
        return Path(os.path.relpath(self.folder.resolve() / _CURRENT / name, path.parent.resolve()))

    def _leads_there(self, path: Path, name: str) -> bool:
        return path.is_symlink() and path.readlink() == self._through(path, name)

    def _lead_to(self, made: Path) -> None:
        _link(self.folder / _CURRENT, Path(made.name))


def _link(path: Path, target: Path) -> None:
    """Let a name be a link, in the place of whatever it was."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)
    sync_directory(path.parent)


def _write(path: Path, content: bytes, mode: int, give: Give | None = None) -> None:
    part_path = path.with_name(f".{path.name}.part")
    part_path.unlink(missing_ok=True)  # of a run that was killed
    with DurablePart(part_path) as part:
        part.write(content)
        if give is not None:
            give(part_path)
        part.publish(path, mode)
