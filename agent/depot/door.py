"""The door: takes connections in, each as a guest, before a byte of TLS is spent on it.

The event loop's own server counts nobody until the handshake is over, so that silent connections would use up the
process's descriptors. Here a connection counts from the moment at which it is accepted.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from agent.depot.guests import Guest, Guests, peer_of

log = logging.getLogger(__name__)

HANDSHAKE_S = 20.0
"""A connection that has not agreed on TLS by then is closed."""
PAUSE_S = 0.1
"""After a failure to accept: without descriptors, the loop would otherwise spin."""

Seat = Callable[[Guest], asyncio.Protocol]
"""Makes the protocol of a connection; whoever sits there tells `Guests` when it is lost."""


class Door:
    """Accepts connections until it is cancelled; those that are taken in go on."""

    def __init__(self, listener: socket.socket, guests: Guests, seat: Seat, tls: ssl.SSLContext | None) -> None:
        """`listener` listens already."""
        self._listener = listener
        self._guests = guests
        self._seat = seat
        self._tls = tls
        self._handshake_s = HANDSHAKE_S if tls else None

    async def run(self) -> None:
        """Take everybody in for whom there is a place; the others' connections are closed at once."""
        loop = asyncio.get_running_loop()
        self._listener.settimeout(0)
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    line, address = await loop.sock_accept(self._listener)
                except OSError as error:
                    log.warning("request.failed", extra={"problem": f"a connection was not accepted: {error}"})
                    await asyncio.sleep(PAUSE_S)
                    continue
                arrival = _Arrival(line)
                guest = self._guests.enter(peer_of(address[0]), arrival.leave)
                if guest is None:
                    line.close()
                    continue
                arrival.task = group.create_task(self._seat_guest(arrival, guest))
                arrival.task.add_done_callback(arrival.over)
                await asyncio.sleep(0)  # a long queue of arrivals must not keep the guests waiting

    async def _seat_guest(self, arrival: "_Arrival", guest: Guest) -> None:
        arrival.begun = True
        arrival.line.settimeout(0)
        try:
            with contextlib.suppress(OSError):  # gone, too slow, or no TLS
                arrival.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: self._seat(guest), arrival.line, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
                )
        finally:
            if arrival.transport is None:
                self._guests.left(guest)


@dataclass(slots=True)
class _Arrival:
    """A connection between its acceptance and its seat."""

    line: socket.socket
    task: "asyncio.Task[None] | None" = None
    transport: asyncio.Transport | None = None
    begun: bool = False  # from here on the loop closes the line

    def leave(self) -> None:
        """End the connection, as far as it has come."""
        if self.transport is not None:
            self.transport.abort()
            return
        if self.task is not None:
            self.task.cancel()
        self.over(self.task)

    def over(self, _task: "asyncio.Task[None] | None") -> None:
        """A task that was cancelled before its first step closes nothing."""
        if not self.begun:
            self.line.close()
