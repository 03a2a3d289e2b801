"""The probes of a directory store, in a folder of their own beside `objects`. Everything here blocks."""

import os
import secrets
from pathlib import Path

from agent.core.commissioning import Verdict, all_hold
from agent.core.errors import StoreUnreachable
from agent.core.object import ReceiptKind
from agent.files.durable import make_directory, sync_directory
from agent.files.kernel import DURABLE_FILE_SYSTEMS, file_system_of
from agent.stores.mount import NETWORK_FILE_SYSTEMS
from agent.stores.part import StoredPart
from agent.stores.probes.findings import Findings
from agent.stores.probes.scratch import SMALL_BYTES, WORD


class DirectoryProbe:
    """One run. `run` may be called once; `clean` belongs after it, whatever happened."""

    def __init__(self, name: str, root: Path) -> None:
        """Nothing is touched yet."""
        self._name, self._root = name, root
        self._folder = root / f"{WORD}-{secrets.token_hex(8)}"
        self.system: str | None = None
        self.findings = Findings()

    def run(self) -> frozenset[ReceiptKind]:
        """Try everything; the kinds of receipts that the store can give. Raises StoreUnreachable."""
        try:
            self._look()
            self._try()
        except OSError as error:
            text = f"store {self._name}: probing {self._root}: {error.strerror}"
            raise StoreUnreachable(text, hint=f"Check that the store is mounted on {self._root}.") from error
        proved = all_hold(self.findings.probes, ("write", "read_back"))
        return frozenset({ReceiptKind.READBACK} if proved else ())

    def clean(self) -> None:
        """Remove the folder and what is in it."""
        try:
            for path in self._folder.iterdir():
                path.unlink()
            self._folder.rmdir()
            sync_directory(self._root)
        except FileNotFoundError:
            pass
        except OSError:
            self.findings.left.append(str(self._folder))

    def _look(self) -> None:
        self.system = file_system_of(self._root)
        if self.system in DURABLE_FILE_SYSTEMS:
            verdict = Verdict.HOLDS
        else:
            verdict = Verdict.UNKNOWN if self.system in NETWORK_FILE_SYSTEMS else Verdict.IGNORED
        self.findings.add("file_system", "a look at the file system", self.system, verdict)

    def _try(self) -> None:
        data, path = secrets.token_bytes(SMALL_BYTES), self._folder / "object"
        make_directory(self._folder)
        with StoredPart(self._folder / "part") as part:
            part.write(data)
            part.publish(path)
        self.findings.add("write", "a file, synced, under a new name", "done", Verdict.HOLDS)
        self._read_back(path, data)
        self._write_again(path)

    def _read_back(self, path: Path, data: bytes) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            found = os.read(fd, len(data) + 1)
        finally:
            os.close(fd)
        same = found == data
        words = "the same bytes" if same else "other bytes"
        verdict = Verdict.HOLDS if same else Verdict.IGNORED
        self.findings.add("read_back", "the file, opened and read again", words, verdict)

    def _write_again(self, path: Path) -> None:
        sent = "another file for the same name"
        with StoredPart(self._folder / "part") as part:
            part.write(secrets.token_bytes(SMALL_BYTES))
            try:
                part.publish(path)
            except FileExistsError:
                self.findings.add("no_overwrite", sent, "refused", Verdict.HOLDS)
            else:
                self.findings.add("no_overwrite", sent, "replaced", Verdict.IGNORED)
