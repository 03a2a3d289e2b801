"""What the kernel knows of a TCP connection. Source: tcp(7), TCP_INFO; struct tcp_info in linux/tcp.h."""

import socket
import struct
from typing import NamedTuple

_SIZE_BYTES = 152
_RTT = struct.Struct("=I")
_RTT_AT, _ACKED_AT, _LEAST_RTT_AT = 68, 120, 148
_ACKED = struct.Struct("=Q")
_UNKNOWN_US = 0xFFFFFFFF
_US = 1e-6


class TcpInfo(NamedTuple):
    """The smoothed round trip, the least one of the last minutes, and the bytes that the other side acknowledged."""

    rtt_s: float
    least_rtt_s: float
    acked_bytes: int


def tcp_info(connection: socket.socket) -> TcpInfo | None:
    """Ask the kernel; None before the first round trip, or when the connection has ended."""
    try:
        raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE_BYTES)
    except OSError:
        return None
    if len(raw) < _SIZE_BYTES:
        return None  # a kernel older than 4.9
    (rtt_us,), (least_us,) = _RTT.unpack_from(raw, _RTT_AT), _RTT.unpack_from(raw, _LEAST_RTT_AT)
    (acked_bytes,) = _ACKED.unpack_from(raw, _ACKED_AT)
    if rtt_us == 0 or least_us == _UNKNOWN_US:
        return None
    return TcpInfo(rtt_us * _US, least_us * _US, acked_bytes)
