"""The helper as it is started."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helper.conftest import ROOT, Asker

HEAVY = {"asyncio", "agent.ports", "agent.config", "pydantic", "structlog", "httpx", "typer", "logging"}
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "agent.helper", *sys.argv[2:]])
"""


def test_a_helper_that_systemd_starts_serves_the_socket_it_was_given(config: Path, tmp_path: Path) -> None:
    where = tmp_path / "helper.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(os.fspath(where))
        listening.listen()
        arguments = ["--config", str(config), "--sys", str(tmp_path / "nothing")]
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", LAUNCH, str(listening.fileno()), *arguments],
            cwd=ROOT,
            pass_fds=(listening.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
        )
    with process:
        asker = Asker(where)
        with asker.socket:
            assert asker.ask(id=1, verb="guard") == {"id": 1, "ok": {"guarded": [], "open": []}}
        process.send_signal(signal.SIGTERM)
        _out, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "configuration: 2 bays from 1 files" in said
    assert "guard: ok" in said


def test_a_helper_for_a_trial_makes_a_socket_that_nobody_else_can_use(config: Path, tmp_path: Path) -> None:
    where = tmp_path / "own.sock"
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "agent.helper", "--config", str(config), "--socket", str(where)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        while "serving" not in process.stderr.readline():
            assert process.poll() is None
        assert where.stat().st_mode & 0o777 == 0o600
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize("environment", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}])
def test_without_a_socket_it_says_what_to_do(config: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "agent.helper", "--config", str(config)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 2
    assert "dock-helper.socket" in done.stderr


def test_the_helper_imports_almost_nothing() -> None:
    code = "import sys, agent.helper.__main__; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not HEAVY & loaded
    assert {name for name in loaded if name.startswith("agent.") and not name.startswith("agent.helper")} == {
        "agent.devices",
        "agent.devices.drivers",
        "agent.devices.drivers.mounts",
        "agent.devices.helper_wire",
        "agent.devices.peer",
        "agent.devices.topology",
        "agent.devices.usb_descriptor",
    }
