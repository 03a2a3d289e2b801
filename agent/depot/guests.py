"""Guests: who has a connection open, and who must go when there is no place left.

Rules: the places are bounded, and so is the share of one peer, so that whoever opens connections and says nothing
cannot keep the others out. A guest waits until it has sent a whole request head, and again once it was answered.
Where a place is missing, the guest that has waited longest gives its own up: first of the same peer, else of the
peer that has the most guests. Nobody whose request is being served ever has to go.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

MAX_PLACES = 256
MAX_OF_ONE_PEER = 64
_SUBNET_BITS = 64
"""What one IPv6 subscriber is given. Source: RFC 6177, section 2."""


@dataclass(frozen=True, slots=True, eq=False)
class Guest:
    """One connection. `leave` ends it soon, without waiting; `peer` counts as one."""

    peer: str
    leave: Callable[[], None]


class Guests:
    """Everybody who has a place."""

    def __init__(self, places: int = MAX_PLACES, of_one_peer: int = MAX_OF_ONE_PEER) -> None:
        """Begin with nobody."""
        self._places = places
        self._of_one_peer = of_one_peer
        self._here: dict[str, set[Guest]] = {}
        self._waiting: dict[Guest, None] = {}  # in the order of their beginning to wait
        self._count = 0

    def enter(self, peer: str, leave: Callable[[], None]) -> Guest | None:
        """Give a place, if need be that of a guest who waits; None when there is none to give."""
        if len(self._here.get(peer, ())) >= self._of_one_peer and not self._send_away(peer):
            return None
        if self._count >= self._places and not self._send_away(self._greediest()):
            return None
        guest = Guest(peer, leave)
        self._here.setdefault(peer, set()).add(guest)
        self._waiting[guest] = None
        self._count += 1
        return guest

    def waits(self, guest: Guest) -> None:
        """Nothing of this guest's is being served; one that waits already keeps its turn."""
        if guest in self._here.get(guest.peer, ()):
            self._waiting.setdefault(guest)

    def is_served(self, guest: Guest) -> None:
        """A request of this guest's has arrived."""
        self._waiting.pop(guest, None)

    def left(self, guest: Guest) -> None:
        """The connection has ended; idempotent."""
        of_peer = self._here.get(guest.peer, set())
        if guest in of_peer:
            of_peer.discard(guest)
            self._count -= 1
            if not of_peer:
                del self._here[guest.peer]
        self._waiting.pop(guest, None)

    def _send_away(self, peer: str | None) -> bool:
        longest = next((guest for guest in self._waiting if guest.peer == peer), None)
        if longest is None:
            return False
        self.left(longest)
        longest.leave()
        return True

    def _greediest(self) -> str | None:
        return max({guest.peer for guest in self._waiting}, key=lambda peer: len(self._here[peer]), default=None)


def peer_of(host: str) -> str:
    """Whom an address counts as: itself, or all of its IPv6 subnet, in which one machine may take any address."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _SUBNET_BITS), strict=False))
