"""Tells systemd how the service stands, and that it is alive. Source: sd_notify(3), sd_watchdog_enabled(3)."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable

from agent.core.errors import AgentError

_FEEDS = 3
"""How often in one watchdog's time a sign of life is due: one may come late, or never."""


def notify(state: str) -> None:
    """Send state lines such as "READY=1"; without a service manager nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.sendall(state.encode())


def watchdog_s() -> float:
    """How many seconds may pass without a sign of life; 0 where nobody waits for one."""
    text = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 1_000_000 if meant and text.isascii() and text.isdigit() else 0.0


async def feed_watchdog(ask: Callable[[], Awaitable[object]]) -> None:
    """Give signs of life until cancelled; each one only after `ask` has answered, so that it stands for more than us.

    An AgentError is an answer, too: what is damaged or full is told elsewhere, and a restart would not mend it.
    """
    pause_s = watchdog_s() / _FEEDS
    while pause_s:
        with contextlib.suppress(AgentError):
            await ask()
        notify("WATCHDOG=1")
        await asyncio.sleep(pause_s)
