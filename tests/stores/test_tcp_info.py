"""What the kernel tells of a connection, asked of real ones."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from agent.stores.tcp_info import tcp_info
from tests.stores.certificates import Authority, server_context

SENT_BYTES = 200_000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=10) as near,
        listener.accept()[0] as far,
    ):
        far.settimeout(10)
        yield near, far


def take(far: socket.socket, size_bytes: int) -> None:
    while size_bytes:
        size_bytes -= len(far.recv(min(size_bytes, 1 << 16)))


def acked(connection: socket.socket, at_least: int) -> int:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        info = tcp_info(connection)
        if info is not None and info.acked_bytes >= at_least:
            return info.acked_bytes
        time.sleep(0.01)
    raise AssertionError("never acknowledged")


def test_round_trips_and_acknowledged_bytes_are_the_connections(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    near.sendall(bytes(1000))
    take(far, 1000)
    first = acked(near, 1000)
    near.sendall(bytes(SENT_BYTES))
    take(far, SENT_BYTES)
    assert acked(near, first + SENT_BYTES) == first + SENT_BYTES
    info = tcp_info(near)
    assert info is not None
    assert 0 < info.least_rtt_s <= info.rtt_s < 5


def test_under_tls_the_kernel_is_asked_all_the_same(pair: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    near, far = pair
    authority = Authority(tmp_path, "ca")
    context = ssl.create_default_context(cafile=authority.path)

    def serve() -> None:
        with server_context(authority.issue("store")).wrap_socket(far, server_side=True) as secured:
            take(secured, SENT_BYTES)

    thread = Thread(target=serve)
    thread.start()
    with context.wrap_socket(near, server_hostname="127.0.0.1") as secured:
        secured.sendall(bytes(SENT_BYTES))
        assert acked(secured, SENT_BYTES) >= SENT_BYTES
    thread.join(10)


def test_of_what_is_no_connection_nothing_is_told() -> None:
    with socket.socket() as unconnected:
        assert tcp_info(unconnected) is None
    assert tcp_info(unconnected) is None  # closed by now
