"""A repository for stations, made by `scripts/apt-repo` with a key of its own."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.package.container import Container
from tests.package.packages import PROJECT

IN_CONTAINER = "/srv/repo"
KEYRING = "usr/share/keyrings/dock-agent.gpg"


class Key:
    """`with Key() as key`: an OpenPGP key in a folder of its own, where nothing of this machine's is."""

    def __init__(self) -> None:
        """Not made yet."""
        # gpg's agent listens in there, and such a path has to be short.
        self.home = tempfile.mkdtemp(prefix="dock-key-")
        self.environment = {**os.environ, "GNUPGHOME": self.home}
        self.id = "packages@example.org"

    def __enter__(self) -> Self:
        words = ("--quick-gen-key", self.id, "ed25519", "sign", "2d")
        self._run("gpg", "--batch", "--quiet", "--passphrase", "", *words)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("gpgconf", "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, *words: str) -> None:
        subprocess.run(words, env=self.environment, check=True, capture_output=True, timeout=60)  # noqa: S603 - our own


class Repository:
    """A folder of packages, signed with a key."""

    def __init__(self, folder: Path, key: Key) -> None:
        """Nothing is published yet."""
        self.folder = folder
        self.key = key

    def run(self, verb: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Call the script."""
        signed = () if verb == "list" else ("--key", self.key.id)
        return subprocess.run(  # noqa: S603 - our own script
            [PROJECT / "scripts/apt-repo", verb, *words, "--to", self.folder, *signed],
            env=self.key.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def do(self, verb: str, *words: str | Path) -> str:
        """Call it where it must succeed; what it printed."""
        done = self.run(verb, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def listed(self) -> set[tuple[str, str, str, int]]:
        """Suite, package, version and Debian of all that is published."""
        rows: list[dict[str, Any]] = json.loads(self.do("list", "--json"))
        return {(row["suite"], row["package"], row["version"], row["debian"]) for row in rows}

    def bring_to(self, machine: Container) -> None:
        """Put all that a web server would serve into the container, the key where apt finds it, and no other source."""
        place = machine.root / IN_CONTAINER.lstrip("/")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder, place, ignore=shutil.ignore_patterns(".*"))
        shutil.copy(self.folder / "dock-agent.gpg", machine.root / KEYRING)
        machine.sh("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*")


def source(example: str, suite: str) -> str:
    """The example of a source for stations, for a repository in the container."""
    text = example.replace("https://packages.example/dock-agent", f"file:{IN_CONTAINER}")
    return text.replace("Suites: stable", f"Suites: {suite}")
