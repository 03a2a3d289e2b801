"""JSON lines to and from a QEMU process over a socket pair, with questions, answers and events.

A thread reads. Whoever waits is woken by what comes, and by the end of the process, which every wait turns into
`MachineEnded`. So nothing here ever polls.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Message = dict[str, Any]
T = TypeVar("T")


class MachineEnded(Exception):
    """QEMU has ended, or closed the channel; the text has what it said last."""


class Channel:
    """One socket to QEMU: its monitor, or the command agent in the guest."""

    def __init__(self, ours: socket.socket, name: str, last_words: Callable[[], str]) -> None:
        """`last_words` is asked when the other end has gone."""
        self.seen: list[Message] = []
        """Everything that was no answer, in its order."""
        self.changed = threading.Condition()
        self._socket = ours
        self._name = name
        self._last_words = last_words
        self._answers: dict[int, Message] = {}
        self._asked = 0
        self._ended = False
        self._thread = threading.Thread(target=self._read, name=f"lab {name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    message = json.loads(line)
                    with self.changed:
                        if "id" in message:
                            self._answers[message["id"]] = message
                        else:
                            self.seen.append(message)
                        self.changed.notify_all()
        except (OSError, ValueError):
            pass  # torn off in the middle of a line: the end all the same
        with self.changed:
            self._ended = True
            self.changed.notify_all()

    def ask(self, question: Message, within_s: float) -> Message:
        """Ask and wait for the answer. Raises TimeoutError, MachineEnded."""
        with self.changed:
            self._asked += 1
            number = self._asked
        try:
            self._socket.sendall(json.dumps({**question, "id": number}).encode() + b"\n")
        except OSError as error:
            raise MachineEnded(f"{self._name} is closed; {self._last_words()}") from error
        return self.wait(lambda: self._answers.pop(number, None), within_s, f"the answer to {str(question)[:200]}")

    def wait(self, look: Callable[[], T | None], within_s: float, what: str) -> T:
        """Wait until `look` finds something. Raises TimeoutError, MachineEnded."""
        until = time.monotonic() + within_s
        with self.changed:
            while (found := look()) is None:
                if self._ended:
                    raise MachineEnded(f"{self._name} was closed while waiting for {what}; {self._last_words()}")
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{self._name}: waited {within_s:g} s for {what}")
                self.changed.wait(left)
        return found

    def close(self) -> None:
        """Give up the channel; idempotent."""
        with suppress(OSError):  # the other end was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
