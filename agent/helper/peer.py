"""Who may ask: the agent's user, root, and whoever runs this helper himself. The kernel says who a peer is."""

import os
import pwd
import socket
from contextlib import suppress

from agent.devices.peer import peer_of

AGENT_USER = "dock-agent"


def trusted_users() -> frozenset[int]:
    """The numbers of the users whose questions are answered."""
    users = {0, os.geteuid()}
    with suppress(KeyError):
        users.add(pwd.getpwnam(AGENT_USER).pw_uid)
    return frozenset(users)


def user_of(connection: socket.socket) -> int:
    """The user who made this connection. Raises OSError."""
    return peer_of(connection).user
