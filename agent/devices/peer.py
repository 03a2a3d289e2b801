"""Who is at the other end of a Unix socket: the kernel says so, and nobody can say it for himself.

Source: SO_PEERCRED, unix(7).
"""

import socket
import struct
from typing import NamedTuple

_CREDENTIALS = struct.Struct("iII")  # pid, uid, gid


class Peer(NamedTuple):
    """The process that made the connection, as it was then."""

    pid: int
    user: int
    group: int


def peer_of(connection: socket.socket) -> Peer:
    """Ask the kernel. Raises OSError."""
    return Peer(*_CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)))
