"""Answers the host's commands inside the lab's guest, as JSON lines over a virtio-serial port.

  {"id", "op": "run", "argv", "stdin"?, "timeout"}  -> {"id", "code", "out", "err"}   text; code 124 after the time
  {"id", "op": "spawn", "argv"}                      -> {"id", "job"}, later {"job", "line"} ... {"job", "code"}
  {"id", "op": "kill", "job", "signal"}              -> {"id"}
  {"id", "op": "put", "path", "bytes", "mode"}       -> {"id"}                         bytes as base64
  {"id", "op": "get", "path"}                        -> {"id", "bytes"}
  {"id", "op": "clock", "seconds"}                   -> {"id"}                         sets the clock: UTC, since 1970

What fails is answered as {"id", "failed": why}. Each question has a thread of its own, so a slow one holds up no other.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PORT = "/dev/virtio-ports/lab.command"
TIMED_OUT = 124

Message = dict[str, Any]


class Agent:
    """Serves one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writing = threading.Lock()
        self._jobs: dict[int, subprocess.Popen[bytes]] = {}

    def say(self, message: Message) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._writing:
            while line:
                line = line[os.write(self._port, line) :]

    def serve(self) -> None:
        rest = b""
        while True:
            data = os.read(self._port, 1 << 16)
            if not data:  # nobody is at the other end yet, and the port tells no other way
                time.sleep(0.05)
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(None, lines):
                threading.Thread(target=self._answer, args=(json.loads(line),), daemon=True).start()

    def _answer(self, asked: Message) -> None:
        try:
            answer = getattr(self, f"do_{asked['op']}")(asked)
        except (OSError, KeyError, ValueError, AttributeError) as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        self.say({"id": asked["id"], **answer})

    def do_run(self, asked: Message) -> Message:
        process = subprocess.Popen(  # noqa: S603 - what the test says
            asked["argv"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        code = None
        try:
            out, err = process.communicate(asked.get("stdin", "").encode(), timeout=asked["timeout"])
        except subprocess.TimeoutExpired as late:
            # What sleeps uninterruptibly cannot be waited for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, err, code = late.stdout or b"", late.stderr or b"", TIMED_OUT
        return {
            "code": process.returncode if code is None else code,
            "out": out.decode(errors="replace"),
            "err": err.decode(errors="replace"),
        }

    def do_spawn(self, asked: Message) -> Message:
        process = subprocess.Popen(  # noqa: S603 - what the test says
            asked["argv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._jobs[process.pid] = process
        threading.Thread(target=self._stream, args=(process,), daemon=True).start()
        return {"job": process.pid}

    def _stream(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            self.say({"job": process.pid, "line": line.decode(errors="replace").rstrip("\n")})
        self.say({"job": process.pid, "code": process.wait()})

    def do_kill(self, asked: Message) -> Message:
        os.killpg(self._jobs[asked["job"]].pid, asked["signal"])
        return {}

    def do_put(self, asked: Message) -> Message:
        path = Path(asked["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(asked["bytes"]))
        path.chmod(asked["mode"])
        return {}

    def do_get(self, asked: Message) -> Message:
        return {"bytes": base64.b64encode(Path(asked["path"]).read_bytes()).decode()}

    def do_clock(self, asked: Message) -> Message:
        time.clock_settime(time.CLOCK_REALTIME, asked["seconds"])
        return {}


if __name__ == "__main__":
    agent = Agent(os.open(PORT, os.O_RDWR))
    agent.say({"hello": os.uname().release})
    agent.serve()
