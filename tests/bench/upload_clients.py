"""Who uploads: the agent's own adapters, and the clients that it is measured against.

Each is called with a folder in which the clips lie and nothing else, and with the store's URL. What each hashes on the
way is part of its figures and stands here: seen on the wire, in the headers of its requests. `start` does all that is
done before the first byte, and ends; it is measured too, and taken off.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.upload_stores import NODE, PEERS, S3_KEYS
from tests.contracts.s3_server import KEY_ID, SECRET

ROOT = Path(__file__).resolve().parents[2]
OWN_BIN = ROOT / ".venv-bench" / "bin"
"""Where scripts/bench installs the clients that are Python packages."""
_PEER = Path(__file__).with_name("peer.py")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be sent: the files below `folder`, to `url`. `state` is the client's own folder, empty at first.

    `faster` is how many times shorter pauses between tries are; only the agent can be told.
    """

    client: str
    url: str
    folder: Path
    state: Path
    faster: int = 1

    @property
    def files(self) -> list[str]:
        return sorted(str(path) for path in self.folder.rglob("*") if path.is_file())

    @property
    def endpoint(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Client:
    """`name` is also the folder in the bucket. `full` means that it goes on by itself after a line was cut."""

    name: str
    command: Callable[[Task], list[str]]
    start: Callable[[Task], list[str]]
    version: Callable[[], str]
    hashes: str
    full: bool = True


def environment() -> dict[str, str]:
    """What a client's process is given: nothing of the machine's own settings for S3 or for proxies."""
    keep = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR", "LANG")}
    return keep | S3_KEYS | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": S3_KEYS["AWS_REGION"]}


def s3_clients() -> list[Client]:
    """The agent first."""
    return [
        Client(
            "agent", _agent, lambda task: _agent(task, start=True), lambda: "", "SHA-256 of object and of each part"
        ),
        Client(
            "rclone",
            lambda task: [*_rclone(), "copy", str(task.folder), _rclone_place(task)],
            lambda _: [*_rclone(), "version"],
            lambda: _first(r"rclone v([\d.]+)", *_rclone(), "version"),
            "MD5 of object and of each part",
        ),
        Client(
            "s5cmd",
            lambda task: [_own("s5cmd"), "--endpoint-url", task.endpoint, "cp", f"{task.folder}/", _s3_place(task)],
            lambda _: [_own("s5cmd"), "version"],
            lambda: _first(r"v?([\d.]+)", _own("s5cmd"), "version"),
            "SHA-256 and MD5 of each part",
        ),
        Client(
            "aws",
            lambda task: [*_aws(task), "s3", "cp", "--quiet", "--recursive", str(task.folder), _s3_place(task)],
            lambda task: [*_aws(task), "--version"],
            lambda: _first(r"aws-cli/([\d.]+)", _own("aws"), "--version"),
            "SHA-256 and CRC-32 of each part",
        ),
        _library("boto3", "SHA-256 and CRC-32 of each part"),
        _library("obstore", "SHA-256 of each part"),
    ]


def tus_clients() -> list[Client]:
    """The agent first."""
    return [
        Client("agent", _agent, lambda task: _agent(task, start=True), lambda: "", "SHA-256 of the object"),
        Client(
            "tus_js",
            lambda task: [*_tus_js(task), *task.files],
            _tus_js,
            lambda: str(json.loads((PEERS / "package.json").read_text())["dependencies"]["tus-js-client"]),
            "nothing",
        ),
        _library("tuspy", "nothing"),
        Client(
            "curl",
            lambda task: ["bash", "-euc", _CURL, "curl", task.url, *task.files],
            lambda _: ["curl", "--version"],
            lambda: _first(r"curl ([\d.]+)", "curl", "--version"),
            "nothing",
            full=False,
        ),
    ]


_CURL = r"""
url=$1; shift
for file in "$@"; do
    place=$(curl -sSf -D - -o /dev/null -X POST -H 'Tus-Resumable: 1.0.0' \
        -H "Upload-Length: $(stat -c %s "$file")" "$url" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -sSf -o /dev/null -X PATCH -H Expect: -H 'Tus-Resumable: 1.0.0' -H 'Upload-Offset: 0' \
        -H 'Content-Type: application/offset+octet-stream' -T "$file" "$place"
done
"""
"""The least that can be called an upload: it makes one and sends it, and never looks back."""


def _agent(task: Task, *, start: bool = False) -> list[str]:
    credential = task.state / "credential"
    if not credential.exists():
        credential.touch(mode=0o600)
        credential.write_text(f"{KEY_ID}\n{SECRET}\n")
    kind, own = ("tus", []) if task.url.endswith("/files/") else ("s3", ["--credential", str(credential)])
    place = f"{kind}+{task.url}" + ("/agent" if kind == "s3" else "")
    workers = os.environ.get("BENCH_WORKERS", "2")
    words = [sys.executable, "-m", "tests.bench.client", "--state", str(task.state), "--at-a-time", workers]
    own += ["--faster", str(task.faster)]
    return [*words, *own, place, *([] if start else task.files)]


def _rclone() -> list[str]:
    return [_own("rclone"), "--config", "/dev/null", "--s3-no-check-bucket", "--low-level-retries", "50"]


def _rclone_place(task: Task) -> str:
    bucket = urlsplit(task.url).path.strip("/")
    settings = f'provider=Other,env_auth=true,force_path_style=true,endpoint="{task.endpoint}"'
    return f":s3,{settings}:{bucket}/rclone"


def _s3_place(task: Task) -> str:
    bucket = urlsplit(task.url).path.strip("/")
    return f"s3://{bucket}/{task.client}/"


def _aws(task: Task) -> list[str]:
    return [_own("aws"), "--endpoint-url", task.endpoint]


def _tus_js(task: Task) -> list[str]:
    return [str(NODE), str(PEERS / "bench.mjs"), task.url, str(task.state / "urls.json"), "4"]


def _library(name: str, hashes: str) -> Client:
    """A client that is a Python package, called by peer.py."""

    def command(task: Task) -> list[str]:
        # -P: the modules beside peer.py are not meant for it.
        place = task.url if name == "tuspy" else f"{task.url}/{name}"
        return [_own("python"), "-P", str(_PEER), name, place, str(task.state)]

    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    return Client(
        name,
        lambda task: [*command(task), *task.files],
        command,
        lambda: _first("(.+)", _own("python"), "-c", ask),
        hashes,
    )


def _own(name: str) -> str:
    return str(OWN_BIN / name)


def _first(pattern: str, *command: str) -> str:
    """What a program says of its version. Raises OSError, subprocess.CalledProcessError when there is none."""
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = re.search(pattern, said)
    return found[1] if found else "unknown"
