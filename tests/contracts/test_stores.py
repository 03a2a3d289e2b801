"""The store contract against real other sides: the depot, the official tus server, a directory."""

import base64
import hashlib
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.core.object import ReceiptKind
from agent.depot.command import enrol, list_uploads
from agent.stores.credential import Credential
from agent.stores.directory import DirectoryStore
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus import TusStore
from tests.contracts.store_contract import StoreContract
from tests.contracts.store_place import MIB, Place

PEERS = Path(__file__).resolve().parents[1] / "peers"
LIMITS = TusLimits(connect_s=3.0, stall_s=10.0, answer_s=10.0, control_s=15.0, patch_bytes=MIB + 1000)


@contextmanager
def server(*command: str | Path, cwd: Path) -> Iterator[dict[str, Any]]:
    """A server process that says one JSON line when it is ready."""
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"{command[0]} ended before it was ready"
            yield json.loads(line)
        finally:
            process.terminate()
            process.wait(20)


def unused_port() -> int:
    """A port that answers "refused": bound by nobody at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tus_store(
    url: str, token: str | None = None, keys: ReceiptKeys | None = None, limits: TusLimits = LIMITS
) -> TusStore:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    remote = Remote("central", Endpoint.of(url), "hub7", lambda: datetime.now(UTC), tls, Credential(token))
    return TusStore(remote, keys, limits)


def unreachable() -> TusStore:
    return tus_store(f"http://127.0.0.1:{unused_port()}/files/")


def digests(directory: Path, pattern: str = "*") -> list[str]:
    """The digests of the files as they lie there, by content."""
    files = [path for path in directory.glob(pattern) if path.suffix != ".json"]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def finished(directory: Path) -> list[str]:
    """The digests of what the tus server's file store holds whole, by its own notes."""
    notes = [json.loads(path.read_bytes()) for path in directory.glob("*.json")]
    files = [(directory / note["id"], note["size"]) for note in notes]
    return [d for path, size in files if path.stat().st_size == size for d in digests(directory, path.name)]


def forget(directory: Path, digest: str) -> None:
    """Let the tus server's file store lose a finished object."""
    for note in directory.glob("*.json"):
        file = directory / json.loads(note.read_bytes())["id"]
        if digest in digests(directory, file.name):
            file.unlink()
            note.unlink()


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("depot")
    command = (sys.executable, "-m", "agent.depot", "--dir", directory, "--listen", "127.0.0.1:0", "--json")
    with server(*command, cwd=directory) as facts:
        token = enrol(directory, "hub7")
        keys = ReceiptKeys.load(Path(facts["receipt_key"]))
        yield Place(
            open=lambda: tus_store(facts["url"], token, keys),
            open_unreachable=unreachable,
            held=lambda: digests(directory / "objects"),
            require=ReceiptKind.SIGNED,
            lose=lambda digest: (directory / "objects" / digest).unlink(),
            announced=lambda: [
                row["announced"]["sha256"] for row in list_uploads(directory) if isinstance(row["announced"], dict)
            ],
        )


class TestDepot(StoreContract):
    @pytest.fixture
    def place(self, depot: Place) -> Place:
        return depot


@pytest.fixture(scope="module")
def tus_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tus")


@pytest.fixture(scope="module")
def tus_url(tus_directory: Path) -> Iterator[str]:
    """The official server."""
    node = PEERS / "node_modules" / ".bin" / "node"
    assert node.exists(), "the test servers are not installed: run scripts/peers"
    with server(node, PEERS / "tus_server.mjs", tus_directory, cwd=PEERS) as facts:
        yield str(facts["url"])


class TestTusServer(StoreContract):
    @pytest.fixture
    def place(self, tus_url: str, tus_directory: Path) -> Place:
        return Place(
            open=lambda: tus_store(tus_url),
            open_unreachable=unreachable,
            held=lambda: finished(tus_directory),
            require=ReceiptKind.READBACK,
            lose=lambda digest: forget(tus_directory, digest),
            can_find=False,
        )

    def test_a_wrong_checksum_is_accepted_so_no_answer_of_tus_proves_anything(self, tus_url: str) -> None:
        body = b"not what was announced"
        wrong = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
        tus = {"Tus-Resumable": "1.0.0"}
        with httpx.Client(trust_env=False) as client:
            made = client.post(tus_url, headers={**tus, "Upload-Length": str(len(body))})
            headers = {
                **tus,
                "Upload-Offset": "0",
                "Upload-Checksum": f"sha256 {wrong}",
                "Content-Type": "application/offset+octet-stream",
            }
            answer = client.patch(made.headers["location"], headers=headers, content=body)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(body)))


class TestDirectory(StoreContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        root = tmp_path / "nas"
        root.mkdir()

        def at(path: Path) -> DirectoryStore:
            return DirectoryStore("nas", path, lambda: datetime.now(UTC), stall_s=10.0, allow_unsafe=True)

        return Place(
            open=lambda: at(root),
            open_unreachable=lambda: at(tmp_path / "not mounted"),
            held=lambda: digests(root / "objects"),
            require=ReceiptKind.READBACK,
            lose=lambda digest: (root / "objects" / digest).unlink(),
            announced=lambda: [
                each["sha256"]
                for file in (root / "announced").glob("*.json")
                for each in json.loads(file.read_bytes())["objects"]
            ],
        )
