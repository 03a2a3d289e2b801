"""Commands in the guest, as the host sees them."""

import base64
import shlex
import signal
from collections.abc import Callable

from tests.lab.channel import Channel, Message

TIMED_OUT = 124
SLACK_S = 20.0
"""How much longer the host waits than the guest: the guest's answer says more."""


class CommandFailed(Exception):
    """A command in the guest did not end well; the text has all that it printed."""


class Job:
    """A command that goes on in the guest, its lines streaming out. Standard output and error are one."""

    def __init__(self, channel: Channel, number: int, command: str) -> None:
        """`number` is the agent's, and the process's id in the guest."""
        self.pid = number
        self.command = command
        self._channel = channel
        self._taken = 0

    def _told(self) -> list[Message]:
        return [message for message in self._channel.seen if message.get("job") == self.pid]

    @property
    def lines(self) -> list[str]:
        """All lines until now."""
        with self._channel.changed:
            return [message["line"] for message in self._told() if "line" in message]

    def wait_line(self, fits: Callable[[str], bool], timeout: float = 30.0) -> str:
        """The next line that fits, after the one that the last call returned. Raises TimeoutError, CommandFailed."""

        def look() -> str | None:
            lines = self.lines
            for at in range(self._taken, len(lines)):
                if fits(lines[at]):
                    self._taken = at + 1
                    return lines[at]
            if any("code" in message for message in self._told()):
                raise CommandFailed(f"{self.command!r} ended without the line; it said:\n" + "\n".join(lines[-40:]))
            return None

        try:
            return self._channel.wait(look, timeout, f"a line of {self.command!r}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said until now:\n" + "\n".join(self.lines[-40:])) from None

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code, once it has ended. Raises TimeoutError."""

        def look() -> int | None:
            return next((message["code"] for message in self._told() if "code" in message), None)

        return self._channel.wait(look, timeout, f"the end of {self.command!r}")

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to it and all that it started."""
        self._channel.ask({"op": "kill", "job": self.pid, "signal": int(number)}, SLACK_S)


class Guest:
    """Runs commands in the guest as root."""

    def __init__(self, channel: Channel) -> None:
        """`channel` leads to the guest's command agent."""
        self._commands = channel

    def _ask(self, within_s: float, **question: object) -> Message:
        answer = self._commands.ask(question, within_s)
        if "failed" in answer:
            raise CommandFailed(f"the guest could not {question['op']}: {answer['failed']}")
        return answer

    def wait_boot(self, timeout: float) -> None:
        """Return once the guest's command agent has started. Raises TimeoutError."""
        self._commands.wait(
            lambda: next((True for m in self._commands.seen if "hello" in m), None), timeout, "the guest to boot"
        )

    def run(self, *argv: str, timeout: float = 60.0, check: bool = True, stdin: str = "") -> str:
        """Run one program and return what it wrote to standard output.

        Raises CommandFailed when it ends with another code than 0 or not in time, unless `check` is off.
        """
        answer = self._ask(timeout + SLACK_S, op="run", argv=argv, timeout=timeout, stdin=stdin)
        if check and answer["code"] != 0:
            how = f"did not end within {timeout:g} s" if answer["code"] == TIMED_OUT else f"ended with {answer['code']}"
            raise CommandFailed(f"in the guest, {shlex.join(argv)} {how}:\n{answer['out']}{answer['err']}")
        return str(answer["out"])

    def sh(self, command: str, timeout: float = 60.0, *, check: bool = True) -> str:
        """Run a line of shell, as `run`."""
        return self.run("/bin/sh", "-c", command, timeout=timeout, check=check)

    def spawn(self, command: str) -> Job:
        """Start a line of shell that goes on."""
        answer = self._ask(SLACK_S, op="spawn", argv=("/bin/sh", "-c", command))
        return Job(self._commands, answer["job"], command)

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file, with the folders above it."""
        self._ask(60.0 + SLACK_S, op="put", path=path, bytes=base64.b64encode(data).decode(), mode=mode)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return base64.b64decode(self._ask(60.0 + SLACK_S, op="get", path=path)["bytes"])

    def set_clock(self, seconds: float) -> None:
        """Set the guest's clock, in seconds since 1970, UTC."""
        self._ask(SLACK_S, op="clock", seconds=seconds)
