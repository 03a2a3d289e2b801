"""Who gets a place, and who has to give one up."""

import pytest

from agent.depot.guests import Guest, Guests, peer_of


class Room:
    """Guests, and who was sent away, in that order."""

    def __init__(self, places: int, of_one_peer: int) -> None:
        self.guests = Guests(places, of_one_peer)
        self.gone: list[str] = []

    def enter(self, peer: str, name: str = "") -> Guest | None:
        return self.guests.enter(peer, lambda: self.gone.append(name or peer))

    def must_enter(self, peer: str, name: str = "") -> Guest:
        guest = self.enter(peer, name)
        assert guest is not None
        return guest


def test_a_peer_that_is_full_loses_the_guest_that_has_waited_longest() -> None:
    room = Room(10, 2)
    first = room.must_enter("a", "1")
    room.must_enter("a", "2")
    room.guests.is_served(first)
    room.guests.waits(first)
    assert room.enter("a", "3") is not None
    assert room.gone == ["2"]
    assert room.enter("a", "4") is not None
    assert room.gone == ["2", "1"]


def test_nobody_who_is_being_served_has_to_go() -> None:
    room = Room(2, 1)
    room.guests.is_served(room.must_enter("a"))
    assert room.enter("a") is None
    room.guests.is_served(room.must_enter("b"))
    assert room.enter("c") is None
    assert room.gone == []


def test_when_all_places_are_taken_the_greediest_peer_makes_room() -> None:
    room = Room(5, 4)
    room.must_enter("b")
    for number in range(4):
        room.must_enter("a", f"a{number}")
    assert room.enter("c") is not None
    assert room.gone == ["a0"]


def test_a_greedy_peer_that_is_served_throughout_costs_others_nothing_but_waiting_guests() -> None:
    room = Room(3, 2)
    for _ in range(2):
        room.guests.is_served(room.must_enter("a"))
    room.must_enter("b")
    assert room.enter("c") is not None
    assert room.gone == ["b"]


def test_who_leaves_frees_exactly_one_place() -> None:
    room = Room(2, 2)
    leaver, stays = room.must_enter("a"), room.must_enter("a")
    for guest in (leaver, stays):
        room.guests.is_served(guest)
    room.guests.left(leaver)
    room.guests.left(leaver)
    room.guests.waits(leaver)
    room.guests.is_served(room.must_enter("b"))
    assert room.enter("c") is None
    room.guests.left(stays)
    assert room.enter("c") is not None
    assert room.gone == []


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("127.0.0.2", "127.0.0.2"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_one_machine_is_one_peer(host: str, peer: str) -> None:
    assert peer_of(host) == peer
