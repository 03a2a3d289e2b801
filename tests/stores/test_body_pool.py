"""What a body's bytes go through on their way to the socket."""

import socket
from collections.abc import Iterator
from threading import Thread

import httpcore
import httpx

from agent.stores.body_pool import BodyPool
from agent.stores.route import Route
from agent.stores.tls import client_context

MIB = 1 << 20


class Recorder(httpcore.SyncBackend):
    """Connects as usual, and keeps what each connection is given to write."""

    def __init__(self) -> None:
        self.written: list[object] = []

    def connect_tcp(self, *args: object, **kwargs: object) -> httpcore.NetworkStream:
        stream = super().connect_tcp(*args, **kwargs)  # type: ignore[arg-type]
        write = stream.write

        def recorded(buffer: bytes, timeout: float | None = None) -> None:
            self.written.append(buffer)
            write(buffer, timeout)

        stream.write = recorded  # type: ignore[method-assign]
        return stream


def taker(listener: socket.socket, taken: bytearray) -> None:
    """Takes two bodies of one MiB over one connection."""
    line, _ = listener.accept()
    with line:
        for _ in range(2):
            request = bytearray()
            while b"\r\n\r\n" not in request or len(request.partition(b"\r\n\r\n")[2]) < MIB:
                request += line.recv(MIB)
            taken += request.partition(b"\r\n\r\n")[2]
            line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def test_the_socket_is_given_the_very_memory_of_each_piece_and_the_connection_is_used_again() -> None:
    room, taken, recorder = bytearray(b"ab" * (MIB // 2)), bytearray(), Recorder()

    def pieces() -> Iterator[memoryview]:
        yield from (memoryview(room)[start : start + MIB // 4] for start in range(0, MIB, MIB // 4))

    transport = Route().transport(client_context(None, None, None), httpx.Limits(max_connections=1))
    assert isinstance(transport._pool, BodyPool)
    transport._pool._network_backend = recorder
    with socket.create_server(("127.0.0.1", 0)) as listener, httpx.Client(transport=transport, timeout=30) as client:
        thread = Thread(target=taker, args=(listener, taken), daemon=True)
        thread.start()
        for _ in range(2):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            headers = {"Content-Length": str(MIB)}
            content: object = pieces()
            assert client.put(url, content=content, headers=headers).status_code == 204  # type: ignore[arg-type]
        thread.join(30)
    assert taken == room * 2
    views = [each for each in recorder.written if isinstance(each, memoryview)]
    assert [view.obj is room for view in views] == [True] * 8
