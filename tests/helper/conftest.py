"""A station of files and a helper on it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.devices.helper_wire import PACKET_BYTES, message_of, packet_of
from tests.helper.tree import Tree, port

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 20.0

Answer = dict[str, object]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "sys")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Bays 1 and 2 on the first ports of the dock's hub."""
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    file = folder / "agent.toml"
    bays = (f'[[bays]]\nname = "{number}"\npaths = ["{port(number)}"]\n' for number in (1, 2))
    file.write_text("\n".join(bays), "utf-8")
    file.chmod(0o644)
    return file


class Asker:
    """What an agent does: one connection, questions and answers in packets."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect(os.fspath(path))

    def send(self, **message: object) -> None:
        self.socket.send(packet_of(message))

    def receive(self) -> Answer:
        return message_of(self.socket.recv(PACKET_BYTES))

    def ask(self, **message: object) -> Answer:
        self.send(**message)
        return self.receive()


Start = Callable[..., Path]


@pytest.fixture
def start(tree: Tree, config: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a helper for some users; it is killed at the end, and so is every request that still hangs."""
    started: list[subprocess.Popen[str]] = []

    def begin(*users: int, wait_s: float = ANSWER_S) -> Path:
        where = tmp_path / "helper.sock"
        paths = tree.save_paths(tmp_path / "paths.json")
        arguments = [os.fspath(each) for each in (where, tree.root, paths, config)]
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tests.helper.trial", *arguments, str(wait_s), *map(str, users)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        return where

    yield begin
    for process in started:
        os.killpg(process.pid, 9)
        with process:
            pass


@pytest.fixture
def asker(start: Start) -> Iterator[Asker]:
    asker = Asker(start(os.geteuid()))
    with asker.socket:
        yield asker
