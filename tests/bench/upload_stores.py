"""The stores that clients are measured against, each started anew with nothing in it: SeaweedFS, and the official tus
server with its file store or, where it is installed, its S3 store on SeaweedFS.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from defusedxml.ElementTree import fromstring

from tests.contracts.s3_server import KEY_ID, REGION, SECRET, S3Server

BUCKET = "bench"
PEERS = Path(__file__).resolve().parents[1] / "peers"
NODE = PEERS / "node_modules" / ".bin" / "node"
S3_KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
_END_S = 20
_XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Store(Protocol):
    """A running store."""

    @property
    def url(self) -> str:
        """Of the bucket, or of the folder of uploads."""
        ...

    def sizes(self, client: str) -> list[int]:
        """Sizes of the finished objects of a client (S3), or of everybody since `clear` (tus); smallest first."""
        ...

    def clear(self) -> None:
        """Forget what was stored, so that no turn pays for the one before it."""
        ...


@dataclass(frozen=True, slots=True)
class S3:
    """SeaweedFS. Nothing is cleared: what is deleted keeps its room until somebody compacts it."""

    server: S3Server
    url: str

    def sizes(self, client: str) -> list[int]:
        return sorted(size for key, size in self.objects() if key.startswith(f"{client}/"))

    def objects(self) -> Iterator[tuple[str, int]]:
        """Keys and sizes of everything in the bucket."""
        answer = self.server.ask("GET", f"{self.url}?list-type=2")
        assert answer.is_success, answer.text
        for entry in fromstring(answer.content).iter(f"{_XML}Contents"):
            yield entry.findtext(f"{_XML}Key", ""), int(entry.findtext(f"{_XML}Size", ""))

    def clear(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class TusFiles:
    """`@tus/server` with files in a folder."""

    folder: Path
    url: str

    def sizes(self, client: str) -> list[int]:  # noqa: ARG002 - the server names uploads, not the client
        notes = [json.loads(note.read_bytes()) for note in self.folder.glob("*.json")]
        found = [((self.folder / note["id"]).stat().st_size, note["size"]) for note in notes]
        return sorted(size for size, wanted in found if size == wanted)

    def clear(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()


@dataclass(slots=True)
class TusOnS3:
    """`@tus/server` with objects in SeaweedFS. `clear` leaves them there and takes no more notice of them."""

    behind: S3
    url: str
    old: set[str] = field(default_factory=set)

    def sizes(self, client: str) -> list[int]:  # noqa: ARG002 - the server names uploads, not the client
        found = dict(self.behind.objects())
        return sorted(size for key, size in found.items() if f"{key}.info" in found and key not in self.old)

    def clear(self) -> None:
        self.old = {key for key, _ in self.behind.objects()}


@contextmanager
def s3_store(root: Path) -> Iterator[S3]:
    """Start SeaweedFS below `root`, which is removed at the end."""
    root.mkdir()
    server = S3Server(root)
    server.up()
    try:
        server.make_bucket(BUCKET)
        yield S3(server, f"{server.origin}/{BUCKET}")
    finally:
        server.down()
        shutil.rmtree(root)


@contextmanager
def tus_store(root: Path) -> Iterator[TusFiles]:
    """Start the tus server with its file store below `root`, which is removed at the end."""
    root.mkdir()
    with _tus_server(root) as url:
        yield TusFiles(root, url)
    shutil.rmtree(root)


def without_tus_on_s3() -> str | None:
    """Why there can be no such server; None when there can."""
    return None if (PEERS / "node_modules" / "@tus" / "s3-store").exists() else "@tus/s3-store is not installed"


@contextmanager
def tus_on_s3_store(root: Path) -> Iterator[TusOnS3]:
    """Start SeaweedFS and the tus server with its S3 store, below `root`, which is removed at the end."""
    with s3_store(root) as behind, _tus_server("s3", behind.server.origin, BUCKET, KEY_ID, SECRET) as url:
        yield TusOnS3(behind, url)


@contextmanager
def _tus_server(*words: str | Path) -> Iterator[str]:
    """A tus server with what its program is told; its URL."""
    command = [NODE, PEERS / "tus_server.mjs", *words]
    with subprocess.Popen(command, cwd=PEERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait(_END_S)
