"""The reader's side of the control socket: takes one request at a time and gives one answer to each.

Imports almost nothing: a station starts one such process per camera. The other side is trusted, the camera is not.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from os import close as close_fd

from agent.devices.drivers.driver import BLOCK_BYTES, Driver, DriverError, Found, Source
from agent.devices.drivers.registry import open_driver
from agent.devices.reader.wire import BATCH_BYTES, BATCH_ROWS, BATCH_S, LINE_BYTES, line_of, message_of

Answer = dict[str, object]
_TEXT_CHARACTERS = 200
_MOST_FDS = 4


def _row(found: tuple[bytes, int, int] | tuple[bytes, str]) -> Answer:
    if len(found) == 2:  # noqa: PLR2004 - path and reason
        return {"path": found[0].hex(), "reason": found[1]}
    return {"path": found[0].hex(), "size": found[1], "mtime_ns": found[2]}


def _path(request: Answer) -> bytes:
    return bytes.fromhex(str(request["path"]))


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise DriverError("failed", "the request lacks a number")
    return value


class Server:
    """Answers requests until the other side hangs up."""

    def __init__(self, control: socket.socket) -> None:
        """`control` is blocking."""
        self._control = control
        self._driver: Driver | None = None
        self._walk: Iterator[Found] | None = None
        self._source: Source | None = None
        self._trouble: DriverError | None = None
        self._sent = 0
        self._begun = ""  # the mark under which the reading began
        self._verbs = {
            "open": self._open, "exists": self._exists, "list": self._list, "more": self._batch,
            "finish": self._finish, "leave": self._leave, "enter": self._enter, "wipe": self._wipe,
        }  # fmt: skip

    def run(self) -> None:
        """Serve; returns when the agent has gone."""
        with suppress(BrokenPipeError, ConnectionResetError):
            for request, pipe in self._requests():
                try:
                    self._serve(request, pipe)
                finally:
                    if pipe is not None:
                        close_fd(pipe)
        self._forget_reading()
        if self._driver is not None:
            self._driver.close()

    def _requests(self) -> Iterator[tuple[Answer, int | None]]:
        buffer = b""
        pipes: list[int] = []
        while True:
            while b"\n" not in buffer:
                block, fds, _flags, _address = socket.recv_fds(self._control, LINE_BYTES, _MOST_FDS)
                if not block:
                    return
                buffer += block
                pipes += fds
            line, _, buffer = buffer.partition(b"\n")
            yield message_of(line), pipes.pop() if pipes else None

    def _serve(self, request: Answer, pipe: int | None) -> None:
        try:
            if request["verb"] == "read" and pipe is not None:
                self._read(request, pipe)
                return
            answer = self._verbs[str(request["verb"])](request)
        except DriverError as error:
            trouble: Answer = {"code": error.code, "text": error.text[:_TEXT_CHARACTERS], "errno": error.number}
            self._send({"id": request["id"], "error": trouble})
        else:
            self._send({"id": request["id"], "ok": answer})

    def _send(self, message: Answer) -> None:
        self._control.sendall(line_of(message))

    def _camera(self) -> Driver:
        driver = self._opened()
        driver.require_present()
        return driver

    def _open(self, request: Answer) -> Answer:
        self._driver = open_driver(str(request["driver"]), bytes.fromhex(str(request["address"])))
        return {"facts": self._driver.facts(), "can_wipe": self._driver.can_wipe}

    def _exists(self, request: Answer) -> Answer:
        camera = self._camera()
        asked = request["paths"]
        names = [str(each) for each in asked] if isinstance(asked, list) else []
        found = [each for each in names if camera.exists(bytes.fromhex(each))]
        camera.require_present()  # a dead mount has nothing, which proves nothing
        return {"paths": found}

    def _list(self, request: Answer) -> Answer:
        self._walk = self._camera().walk()
        return self._batch(request)

    def _batch(self, _request: Answer) -> Answer:
        self._camera()
        if self._walk is None:
            raise DriverError("failed", "no listing has begun")
        rows: list[Answer] = []
        size = 0
        until = time.monotonic() + BATCH_S
        for found in self._walk:
            if found is not None:
                rows.append(_row(found))
                size += 2 * len(found[0]) + 64
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES or time.monotonic() >= until:
                return {"rows": rows, "done": False}
        self._walk = None
        return {"rows": rows, "done": True}

    def _read(self, request: Answer, pipe: int) -> None:
        self._forget_reading()
        source = self._camera().open_source(_path(request), fresh=request.get("fresh") is True)
        self._source = source
        self._begun = source.mark()
        size_bytes, mtime_ns = source.state()
        if "limit" in request:
            if size_bytes > _number(request["limit"]):
                raise DriverError("too_large", "the file is larger than was asked for")
        elif (size_bytes, mtime_ns) != (request["size"], request["mtime_ns"]):
            raise DriverError("changed", "size or time is not what was listed")
        self._send({"id": request["id"], "ok": {"size": size_bytes, "mtime_ns": mtime_ns}})
        self._pour(source, pipe, size_bytes)

    def _pour(self, source: Source, pipe: int, size_bytes: int) -> None:
        """Send until the file's end, but little more than was announced: a file that grows has changed anyway."""
        try:
            while self._sent <= size_bytes:
                count = source.send(pipe, BLOCK_BYTES)
                if not count:
                    return
                self._sent += count
        except BrokenPipeError:
            pass  # the agent has given this reading up
        except DriverError as error:
            self._trouble = error

    def _finish(self, _request: Answer) -> Answer:
        if self._source is None:
            raise DriverError("failed", "no reading has begun")
        try:
            if self._trouble is not None:
                raise self._trouble
            self._camera()
            size_bytes, mtime_ns = self._source.state()
            mark = self._source.mark()
            if mark != self._begun:
                raise DriverError("changed", "it was touched while it was read")
            return {"sent": self._sent, "size": size_bytes, "mtime_ns": mtime_ns, "mark": mark}
        finally:
            self._forget_reading()

    def _forget_reading(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source, self._trouble, self._sent = None, None, 0

    def _opened(self) -> Driver:
        if self._driver is None:
            raise DriverError("failed", "no camera is open")
        return self._driver

    def _leave(self, _request: Answer) -> Answer:
        """Leaving and entering ask nothing of a medium that may have been left before."""
        self._forget_reading()
        self._walk = None
        self._opened().leave()
        return {}

    def _enter(self, request: Answer) -> Answer:
        address = bytes.fromhex(str(request["address"]))
        self._opened().enter(address, writable=request.get("writable") is True)
        return {}

    def _wipe(self, request: Answer) -> Answer:
        self._forget_reading()
        size_bytes, mtime_ns = _number(request["size"]), _number(request["mtime_ns"])
        self._camera().wipe(_path(request), size_bytes, mtime_ns, str(request["mark"]))
        return {}


def serve(control_fd: int) -> None:
    """Serve on an inherited socket until the agent hangs up."""
    with socket.socket(fileno=control_fd) as control:
        control.setblocking(True)  # noqa: FBT003 - the socket's own signature
        Server(control).run()
