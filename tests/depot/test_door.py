"""The door itself, with a listener whose queue is full before it opens."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from agent.depot.door import Door
from agent.depot.guests import Guest, Guests

QUEUE, OF_ONE_PEER = 60, 8


@contextmanager
def full_queue() -> Iterator[socket.socket]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2 * QUEUE))
        for _ in range(QUEUE):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        yield listener


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Seats(asyncio.Protocol):
    """Counts descriptors whenever somebody sits down."""

    most = 0

    def __init__(self, _guest: Guest) -> None:
        Seats.most = max(Seats.most, descriptors())


async def test_a_queue_of_arrivals_never_holds_more_than_its_places() -> None:
    with full_queue() as listener:
        before, Seats.most = descriptors(), 0
        guests = Guests(places=2 * OF_ONE_PEER, of_one_peer=OF_ONE_PEER)
        entered = [0]
        enter = guests.enter

        def counting(peer: str, leave: object) -> Guest | None:
            entered[0] += 1
            Seats.most = max(Seats.most, descriptors())
            return enter(peer, leave)  # type: ignore[arg-type]

        guests.enter = counting  # type: ignore[method-assign]
        door = asyncio.create_task(Door(listener, guests, Seats, None).run())
        async with asyncio.timeout(30):
            while entered[0] < QUEUE:  # noqa: ASYNC110 - the door rings no bell
                await asyncio.sleep(0)
        door.cancel()
        with suppress(asyncio.CancelledError):
            await door
    assert Seats.most <= before + OF_ONE_PEER + 2


async def test_a_door_that_is_closed_at_once_leaves_no_line_behind() -> None:
    with full_queue() as listener:
        before = descriptors()
        door = asyncio.create_task(Door(listener, Guests(), Seats, None).run())
        accept = asyncio.get_running_loop().sock_accept

        async def accept_and_close(of: socket.socket) -> tuple[socket.socket, object]:
            arrived = await accept(of)
            door.cancel()
            return arrived

        asyncio.get_running_loop().sock_accept = accept_and_close  # type: ignore[method-assign,assignment]
        with suppress(asyncio.CancelledError):
            await door
        assert descriptors() == before
