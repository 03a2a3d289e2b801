"""Tells systemd how the service stands. Source: sd_notify(3)."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send one state line such as "READY=1"; without a service manager nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.sendall(state.encode())
