"""An evidence store on the host, which the guest reaches through one forwarded port."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class LabDepot:
    """A depot in a process of its own; it may be stopped and started again, on the same port."""

    def __init__(self, directory: Path) -> None:
        """Nothing runs yet."""
        self.directory = directory
        self.port = 0
        self.receipt_key = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        words = ["--dir", str(self.directory), "--listen", f"127.0.0.1:{self.port}", "--json"]
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-m", "agent.depot", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        facts: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.port = int(facts["url"].split(":")[2].split("/")[0])
        self.receipt_key = Path(facts["receipt_key"])

    def stop(self) -> None:
        """Kill it; harmless when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    def held(self) -> set[str]:
        """The digests of all objects, each compared with its bytes as they lie on disk."""
        folder = self.directory / "objects"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in found:
            with path.open("rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == path.name
        return {path.name for path in found}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
