"""The helper's loop: takes requests, refuses what is none, and has each of the others done in a process of its own.

Rules: the loop itself never touches a device, so nothing can hang it. Requests for the same thing of one bay are done
one after the other in the order in which they came, and one that has waited too long is refused; everything else
goes on beside it.
"""

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.devices.helper_wire import PACKET_BYTES
from agent.helper.bays import say
from agent.helper.child import Answer, answer, refusal_message, start_child
from agent.helper.peer import user_of
from agent.helper.refusal import Refusal, said
from agent.helper.request import Request, id_of, request_of
from agent.helper.work import TURNS

MOST_CHILDREN = 64
MORE_FOR_CURES = 64
"""What frees a hung camera must find a place when hung cameras fill all the others."""
CURES = frozenset({"power", "end_reader", "blank"})
MOST_WAITING = 256
MOST_CONNECTIONS = 16
WAIT_S = 30.0

Turn = tuple[str, str]
Prepare = Callable[[Request], Callable[[], Answer]]


@dataclass(slots=True)
class _Waiting:
    request: Request
    connection: socket.socket
    until: float


def _turn_of(request: Request) -> Turn | None:
    kind = TURNS.get(request.verb)
    return None if kind is None else (request.bay, kind)


class Server:
    """Serves one listening socket until it is told to stop."""

    def __init__(
        self, listening: socket.socket, users: frozenset[int], prepare: Prepare, *, wait_s: float = WAIT_S
    ) -> None:
        """`prepare` makes a request into the work that is done in a process of its own."""
        self._listening = listening
        self._users = users
        self._prepare = prepare
        self._wait_s = wait_s
        self._selector = selectors.DefaultSelector()
        self._connections: set[socket.socket] = set()
        self._children: dict[int, tuple[int, Turn | None]] = {}  # by pidfd: pid and whose turn it is
        self._waiting: deque[_Waiting] = deque()
        self._stopping = False

    def run(self, stop_fd: int) -> None:
        """Serve until `stop_fd` can be read; what has begun goes on by itself."""
        self._listening.settimeout(0)
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(stop_fd, selectors.EVENT_READ, self._stop)
        while not self._stopping:
            for key, _ in self._selector.select(self._patience()):
                key.data(key.fileobj)
            self._give_up_on_late()
            self._begin_next()

    def _stop(self, _fd: object) -> None:
        self._stopping = True

    def _patience(self) -> float | None:
        return max(0.0, self._waiting[0].until - time.monotonic()) if self._waiting else None

    # ---- connections -------------------------------------------------------------------------------------

    def _accept(self, _listening: object) -> None:
        try:
            connection, _ = self._listening.accept()
            user = user_of(connection)
        except OSError as error:
            say(f"a connection was lost: {said(error)}")
            return
        if user not in self._users or len(self._connections) >= MOST_CONNECTIONS:
            say(f"a connection of user {user} was refused")
            connection.close()
            return
        connection.settimeout(0)
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, self._take)

    def _take(self, connection: socket.socket) -> None:
        try:
            packet, _, flags, _ = connection.recvmsg(PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            packet, flags = b"", 0
        if not packet:
            self._hang_up(connection)
            return
        try:
            request = request_of(packet, whole=not flags & socket.MSG_TRUNC)
        except Refusal as refusal:
            say(f"a request that is none: {refusal.text}")
            answer(connection, refusal_message(id_of(packet), refusal), within_s=0)
            return
        self._admit(request, connection)

    def _hang_up(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        # What waits is done all the same: an agent that was killed may have asked for an end of something.
        if all(each.connection is not connection for each in self._waiting):
            connection.close()

    # ---- turns -------------------------------------------------------------------------------------------

    def _admit(self, request: Request, connection: socket.socket) -> None:
        if request.verb == "blank":
            while self._waiting:
                self._refuse(self._waiting.popleft(), "everything was ended meanwhile")
        waiting = _Waiting(request, connection, time.monotonic() + self._wait_s)
        if len(self._waiting) >= MOST_WAITING:
            self._refuse(waiting, "too many requests are waiting")
            return
        self._waiting.append(waiting)

    def _refuse(self, waiting: _Waiting, text: str) -> None:
        say(f"{waiting.request}: failed: {text}")
        answer(waiting.connection, refusal_message(waiting.request.id, Refusal("failed", text)), within_s=0)
        self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        others = (each for each in self._waiting if each is not waiting)
        if waiting.connection not in self._connections and all(
            each.connection is not waiting.connection for each in others
        ):
            waiting.connection.close()

    def _give_up_on_late(self) -> None:
        while self._waiting and self._waiting[0].until <= time.monotonic():
            late = self._waiting.popleft()
            turn = _turn_of(late.request)
            held = turn is not None and any(each == turn for _, each in self._children.values())
            self._refuse(
                late,
                f"another request for bay {late.request.bay} is still being done"
                if held
                else "too many requests are being done",
            )

    def _ready(self) -> Iterator[_Waiting]:
        taken = {turn for _, turn in self._children.values() if turn is not None}
        room = MOST_CHILDREN - len(self._children)
        for each in tuple(self._waiting):
            turn = _turn_of(each.request)
            most = room + MORE_FOR_CURES if each.request.verb in CURES else room
            if turn not in taken and most > 0:
                room -= 1
                yield each
            if turn is not None:
                taken.add(turn)

    def _begin_next(self) -> None:
        for waiting in self._ready():
            self._waiting.remove(waiting)
            self._begin(waiting)

    # ---- processes ---------------------------------------------------------------------------------------

    def _begin(self, waiting: _Waiting) -> None:
        try:
            pid = start_child(waiting.request, waiting.connection, self._prepare(waiting.request))
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            self._refuse(waiting, f"no process for it: {said(error)}")
            return
        self._children[pidfd] = (pid, _turn_of(waiting.request))
        self._selector.register(pidfd, selectors.EVENT_READ, self._reap)
        self._forget(waiting)

    def _reap(self, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        pid, _ = self._children.pop(pidfd)
        os.waitpid(pid, 0)
