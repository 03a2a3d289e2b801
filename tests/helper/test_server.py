"""A helper process and who asks it."""

import os
import socket
import time
from pathlib import Path

import pytest

from agent.devices.helper_wire import PACKET_BYTES, packet_of
from agent.helper.peer import trusted_users, user_of
from tests.helper.conftest import Answer, Asker, Start
from tests.helper.tree import Tree


def code_of(answer: Answer) -> object:
    error = answer["error"]
    assert isinstance(error, dict)
    return error["code"]


def make_hang(tree: Tree, device: str) -> Path:
    """A device that takes no order until somebody reads what it was told."""
    tree.plug(device)
    place = tree.place(f"{device}/authorized")
    place.unlink()
    os.mkfifo(place)
    return place


def test_a_request_is_done_and_answered_under_its_number(asker: Asker, tree: Tree) -> None:
    tree.plug("1-1.1")
    assert asker.ask(id=5, verb="authorise", bay="1", device="1-1.1", number="5", on=True) == {"id": 5, "ok": {}}
    assert tree.read("1-1.1/authorized") == "1"
    assert asker.ask(id=6, verb="guard") == {"id": 6, "ok": {"guarded": ["usb1", "usb2"], "open": []}}
    assert asker.ask(id=7, verb="power", bay="2", to="off") == {"id": 7, "ok": {"by": "sysfs"}}
    assert asker.ask(id=8, verb="unmount", bay="2") == {"id": 8, "ok": {}}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"verb": "authorise", "bay": "1", "device": "1-2", "number": "5", "on": True}, "not_a_dock_port"),
        ({"verb": "authorise", "bay": "1", "device": "1-1.3", "number": "5", "on": True}, "no_such_device"),
        ({"verb": "mount", "bay": "1", "block": "sda1", "fs": "vfat"}, "no_such_device"),
        ({"verb": "window", "bay": "1"}, "not_mounted"),
        ({"verb": "power", "bay": "7", "to": "off"}, "not_a_dock_port"),
        ({"verb": "reader", "bay": "7", "kind": "storage"}, "not_a_dock_port"),
        ({"verb": "reader", "bay": "../1", "kind": "storage"}, "bad_request"),
        ({"verb": "shell"}, "bad_request"),
    ],
)
def test_what_cannot_be_done_is_answered_with_a_reason(asker: Asker, tree: Tree, message: Answer, code: str) -> None:
    tree.plug("1-2")
    answer = asker.ask(id=1, **message)
    assert answer["id"] == 1
    assert code_of(answer) == code


def test_noise_is_refused_and_the_connection_goes_on(asker: Asker) -> None:
    for noise in (b"\0", b"{", b"[]", b"x" * PACKET_BYTES, packet_of({"verb": "guard"}) + b" " * 2 * PACKET_BYTES):
        asker.socket.send(noise)
        answer = asker.receive()
        assert answer["id"] is None
        assert code_of(answer) == "bad_request"
    assert "ok" in asker.ask(id=1, verb="guard")


def test_a_hung_request_holds_up_no_other_bay_and_not_its_own_cure(asker: Asker, tree: Tree) -> None:
    hung = make_hang(tree, "1-1.1")
    tree.plug("1-1.2")
    asker.send(id=1, verb="authorise", bay="1", device="1-1.1", number="5", on=True)
    assert asker.ask(id=2, verb="authorise", bay="2", device="1-1.2", number="5", on=True) == {"id": 2, "ok": {}}
    assert asker.ask(id=3, verb="power", bay="1", to="off") == {"id": 3, "ok": {"by": "sysfs"}}
    with hung.open("rb") as device:
        assert device.read() == b"1"
    assert asker.receive() == {"id": 1, "ok": {}}


def test_requests_for_one_bay_are_done_in_their_order(asker: Asker, tree: Tree) -> None:
    hung = make_hang(tree, "1-1.1")
    for number, on in ((1, True), (2, False), (3, True)):
        asker.send(id=number, verb="authorise", bay="1", device="1-1.1", number="5", on=on)
    with hung.open("rb", buffering=0) as device:  # one for all: a second one would lose what the next request wrote
        for number, told in ((1, b"1"), (2, b"0"), (3, b"1")):
            while not (found := device.read(1)):
                time.sleep(0.01)  # between two requests nobody has it open to write
            assert found == told
            assert asker.receive() == {"id": number, "ok": {}}


def test_a_request_that_waits_too_long_for_its_bay_is_refused(start: Start, tree: Tree) -> None:
    hung = make_hang(tree, "1-1.1")
    asker = Asker(start(os.geteuid(), wait_s=0.2))
    with asker.socket:
        asker.send(id=1, verb="authorise", bay="1", device="1-1.1", number="5", on=True)
        answer = asker.ask(id=2, verb="authorise", bay="1", device="1-1.1", number="5", on=False)
        assert answer["id"] == 2
        assert "another request for bay 1 is still being done" in str(answer["error"])
        with hung.open("rb") as device:
            assert device.read() == b"1"
        assert asker.receive() == {"id": 1, "ok": {}}


def test_what_an_agent_asked_for_is_done_after_it_has_gone(start: Start, tree: Tree) -> None:
    hung = make_hang(tree, "1-1.1")
    where = start(os.geteuid())
    asker = Asker(where)
    asker.send(id=1, verb="authorise", bay="1", device="1-1.1", number="5", on=True)
    asker.send(id=2, verb="authorise", bay="1", device="1-1.1", number="5", on=False)
    asker.send(id=3, verb="guard")
    assert asker.receive()["id"] == 3  # the others were taken before it
    asker.socket.close()
    for told in (b"1", b"0"):
        with hung.open("rb") as device:
            assert device.read() == told
    following = Asker(where)
    with following.socket:
        assert "ok" in following.ask(id=1, verb="guard")


def test_a_new_run_forgets_what_an_earlier_one_still_waited_for(start: Start, tree: Tree) -> None:
    make_hang(tree, "1-1.1")
    asker = Asker(start(os.geteuid()))
    with asker.socket:
        for number in (1, 2):
            asker.send(id=number, verb="authorise", bay="1", device="1-1.1", number="5", on=True)
        asker.send(id=3, verb="blank")
        answer = asker.receive()
        assert answer["id"] == 2
        assert code_of(answer) == "failed"


def test_many_requests_at_once_each_get_one_answer(asker: Asker) -> None:
    for number in range(150):
        asker.send(id=number, verb="power", bay="1" if number % 2 else "2", to="off")
    answered = [asker.receive()["id"] for _ in range(150)]
    assert sorted(answered, key=str) == sorted(range(150), key=str)


def test_a_stranger_is_turned_away(start: Start) -> None:
    where = start(os.geteuid() + 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.settimeout(20)
        stranger.connect(os.fspath(where))
        try:
            stranger.send(packet_of({"id": 1, "verb": "guard"}))
            assert stranger.recv(PACKET_BYTES) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was faster


def test_the_kernel_says_who_a_peer_is() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        assert user_of(here) == os.getuid()


def test_nobody_is_trusted_but_root_the_agent_and_whoever_runs_the_helper() -> None:
    assert {0, os.geteuid()} <= trusted_users()
    assert len(trusted_users()) <= 3
