"""One request in a process of its own: it does the work, answers by itself, says so in the log and ends.

A call into the kernel about a hung camera cannot be ended, not even by killing the process; so nobody waits for it
but who asked. A packet is whole or not there, so that several processes can answer on one connection.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

from agent.devices.helper_wire import packet_of
from agent.helper.bays import say
from agent.helper.refusal import Refusal
from agent.helper.request import Request

Answer = dict[str, object]

SEND_S = 10.0
"""An agent that takes no answer for so long does not get it."""
_TEXT_CHARACTERS = 300


def answer(connection: socket.socket, message: Answer, *, within_s: float = SEND_S) -> None:
    """Send one answer; to an agent that has gone, or does not listen, it is lost."""
    packet = packet_of(message)
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    try:
        if poll.poll(within_s * 1000):
            connection.send(packet, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except OSError:
        pass


def refusal_message(number: int | None, refusal: Refusal) -> Answer:
    """A refusal as it is told to the agent."""
    return {"id": number, "error": {"code": refusal.code, "text": refusal.text[:_TEXT_CHARACTERS]}}


def _do(request: Request, connection: socket.socket, work: Callable[[], Answer]) -> None:
    begun = time.monotonic()
    try:
        told = work()
    except Refusal as refusal:
        message, outcome = refusal_message(request.id, refusal), f"{refusal.code}: {refusal.text}"
    else:
        message, outcome = {"id": request.id, "ok": told}, "ok"
    say(f"{request}: {outcome} {time.monotonic() - begun:.2f} s")
    answer(connection, message)


def start_child(request: Request, connection: socket.socket, work: Callable[[], Answer]) -> int:
    """Begin to do one request; returns the process's number. Raises OSError."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        # What has begun is brought to its end when the service is stopped: a port is not left off, nor a mount unknown.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        _do(request, connection, work)
        status = 0
    except BaseException:
        # What nobody foresaw must end here, and not in the copy of the parent's loop that lies above.
        sys.excepthook(*sys.exc_info())
        answer(connection, refusal_message(request.id, Refusal("failed", "the helper failed; its journal says how")))
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)
