"""`python -m tests.bench.narrow_sink BYTES_PER_S`: a tus store behind a narrow line, which forgets what it takes.

Prints {"port": ...} once it listens, then {"clip": ..., "at": ...} when the first byte of a body arrives: the clip that
the upload's label names, and the monotonic clock of this machine. All connections share the line, in small portions, as
they would share a real one; little is buffered on the way. Ends when its standard input is closed.
"""

import base64
import json
import re
import socket
import sys
import threading
import time
from itertools import count

_PORTION_BYTES = 4096
_BUFFER_BYTES = 32_768
_END = b"\r\n\r\n"
_NUMBER = re.compile(rb"\r\n(content-length|upload-length|upload-offset): *(\d+)", re.IGNORECASE)
_CLIP = re.compile(rb"\r\nupload-metadata:[^\r]*?\bclip ([A-Za-z0-9+/=]+)", re.IGNORECASE)


class Line:
    """What all connections together may take."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def pass_on(self, size_bytes: int) -> None:
        """Wait until so many bytes have come through the line."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size_bytes / self._bytes_per_s
            free_at = self._free_at
        time.sleep(max(0.0, free_at - time.monotonic()))


class Upload:
    """One upload, of which only the newest request may add bytes."""

    def __init__(self, clip: str, size_bytes: int) -> None:
        self.clip, self.size_bytes = clip, size_bytes
        self.offset = 0
        self.request = 0


class Sink:
    """The store."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._uploads: dict[bytes, Upload] = {}
        self._numbers = count(1)
        self._say = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        """Answer requests until the client goes."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while (head := _head(connection)) is not None:
                connection.sendall(self._answer(connection, head))

    def _answer(self, connection: socket.socket, head: bytes) -> bytes:
        method, target, _ = head.split(b" ", 2)
        numbers = {name.lower(): int(value) for name, value in _NUMBER.findall(head)}
        if method == b"POST":
            found = _CLIP.search(head)
            path = b"/files/%d" % next(self._numbers)
            self._uploads[path] = Upload(
                base64.b64decode(found[1]).decode() if found else "", numbers[b"upload-length"]
            )
            return b"HTTP/1.1 201 \r\nTus-Resumable: 1.0.0\r\nContent-Length: 0\r\nLocation: %s" % path + _END
        upload = self._uploads.get(target)
        if upload is None:
            return b"HTTP/1.1 404 \r\nContent-Length: 0" + _END
        upload.request += 1
        if method == b"PATCH":
            self._take(connection, upload, numbers[b"content-length"])
        facts = b"Upload-Offset: %d\r\nUpload-Length: %d" % (upload.offset, upload.size_bytes)
        status = b"HTTP/1.1 %d \r\nTus-Resumable: 1.0.0\r\n" % (204 if method == b"PATCH" else 200)
        return status + (b"" if method == b"PATCH" else b"Content-Length: 0\r\n") + facts + _END

    def _take(self, connection: socket.socket, upload: Upload, left: int) -> None:
        request, first = upload.request, True
        while left and (got := connection.recv(min(left, _PORTION_BYTES))):
            if first:
                first = False
                with self._say:
                    print(json.dumps({"clip": upload.clip, "at": time.monotonic()}), flush=True)
            if upload.request != request:
                return
            upload.offset += len(got)
            left -= len(got)
            self._line.pass_on(len(got))


def _head(connection: socket.socket) -> bytes | None:
    """A request's head, byte by byte so that nothing of its body is taken with it; None when the client has gone."""
    taken = b""
    while not taken.endswith(_END):
        try:
            more = connection.recv(1)
        except OSError:
            return None
        if not more:
            return None
        taken += more
    return taken


def _serve(sink: Sink, connection: socket.socket) -> None:
    try:
        sink.serve(connection)
    except OSError:
        return  # the client broke off in the middle, as it should


def main() -> None:
    """Serve until standard input ends."""
    sink = Sink(Line(float(sys.argv[1])))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)  # before a connection can offer more
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(sink, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
