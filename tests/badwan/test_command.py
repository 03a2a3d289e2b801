"""The line as a command for people."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.badwan.amount import NoAmount, bits_per_second, seconds, size_bytes
from tests.badwan.fault import Ending, Kind
from tests.badwan.options import address, faults, parser, shapes
from tests.badwan.shape import Shape, Way

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.badwan", *words]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait(LIMIT_S)


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def told(process: subprocess.Popen[str], text: str) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return said(process)


def test_a_person_gets_a_line_that_cuts_and_statistics_at_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as far:
        to = f"127.0.0.1:{far.getsockname()[1]}"
        with running("--to", to, "--cut-after", "5kB", "--fin", "--json") as process:
            near = socket.create_connection(address(said(process)["listen"]), LIMIT_S)
            arrived, _ = far.accept()
            arrived.settimeout(LIMIT_S)
            near.sendall(bytes(5000))
            got = 0
            while data := arrived.recv(1 << 16):
                got += len(data)
            assert got == 5000
            near.close()
            arrived.close()
            process.send_signal(signal.SIGTERM)
            end = said(process)
            assert process.wait(LIMIT_S) == 0
        assert end["struck"]["cut"] == end["connections"] == 1
        assert end["up"] == {"taken_bytes": 5000, "delivered_bytes": 5000}


def test_the_line_is_changed_by_lines_of_json_and_wrong_ones_change_nothing() -> None:
    with running("--to", "127.0.0.1:1", "--json", "--control") as process:
        said(process)
        assert "no command" in told(process, '{"lag": "1s"}')["error"]
        assert "no time" in told(process, '{"latency": "1 hour"}')["error"]
        assert "one JSON object" in told(process, "[1]")["error"]
        assert "error" in told(process, "{")
        for text in (
            '{"latency": "80ms,1s"}',
            '{"rate": "1mbit"}',
            '{"rate": null}',
            '{"cut": "fin"}',
            '{"stall": "1s"}',
        ):
            assert told(process, text)["connections"] == 0
        told(process, '{"quit": true}')
        assert said(process)["seconds"] > 0
        assert process.wait(LIMIT_S) == 0


def test_an_address_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with running("--to", "127.0.0.1:1", "--listen", place) as process:
            _, errors = process.communicate(timeout=LIMIT_S)
            assert process.returncode == 1
        assert f"cannot listen on {place}: Address already in use" in errors


def test_the_command_line_says_what_the_line_is() -> None:
    words = "--to [::1]:80 --latency 50ms,1s --rate 20mbit --cut-after 12MB --every --fin --stall-after 3MB:10s,down"
    found = parser().parse_args([*words.split(), "--black-hole-after", "5MiB", "--corrupt-at", "7,down"])
    assert found.to == ("::1", 80)
    assert shapes(found) == (Shape(0.05, 20e6), Shape(1.0, 20e6))
    cut, hole, corrupt, stall = faults(found)
    assert (cut.kind, cut.at, cut.way, cut.every, cut.ending) == (Kind.CUT, 12_000_000, Way.UP, True, Ending.FIN)
    assert (hole.kind, hole.at) == (Kind.BLACK_HOLE, 5 << 20)
    assert (corrupt.kind, corrupt.at, corrupt.way) == (Kind.CORRUPT, 7, Way.DOWN)
    assert (stall.kind, stall.at, stall.way, stall.for_s) == (Kind.STALL, 3_000_000, Way.DOWN, 10.0)


@pytest.mark.parametrize(
    "words",
    ["", "--to here", "--to a:b", "--to a:1 --rate 0bit", "--to a:1 --latency 5", "--to a:1 --cut-after 5,left"],
)
def test_a_line_that_makes_no_sense_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words.split())
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("12MB", 12_000_000), ("1.5kB", 1500), ("2KiB", 2048), ("3 mb", 3_000_000), ("7b", 7)],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    assert size_bytes(text) == expected


def test_times_and_rates_are_read() -> None:
    assert [seconds(text) for text in ("50ms", "2min", "1.5s", "10us")] == pytest.approx([0.05, 120.0, 1.5, 1e-5])
    assert [bits_per_second(text) for text in ("20mbit", "512kbit", "1Gbit")] == [20e6, 512e3, 1e9]


@pytest.mark.parametrize("text", ["", "x", "-1", "5 parsecs", "1e9", "12MBit"])
def test_what_is_no_size_is_said(text: str) -> None:
    with pytest.raises(NoAmount, match="no number of bytes"):
        size_bytes(text)
