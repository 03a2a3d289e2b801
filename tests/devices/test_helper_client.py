"""The agent's end of the helper, and one contract for the real helper and for the fake that other tests use."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.errors import CameraGone, HelperUnreachable, MediumReadOnly
from agent.devices.helper import Helper, HelperRefused, HelperSlow
from agent.devices.helper_wire import PACKET_BYTES, packet_of
from tests.devices.conftest import Pair
from tests.fakes.helper import FakeHelper, card_place
from tests.helper.conftest import Answer, Asker, Start, config, start, tree
from tests.helper.tree import Tree

__all__ = ["config", "start", "tree"]


def code_of(answer: Answer) -> object:
    error = answer["error"]
    assert isinstance(error, dict)
    assert set(error) == {"code", "text"}
    assert isinstance(error["text"], str)
    return error["code"]


class HelperContract:
    """What any helper answers. `place` is its socket; bays 1 and 2; `1-1.1` is in bay 1 and `1-2` at no dock's port."""

    @pytest.fixture
    def asker(self, place: Path) -> Iterator[Asker]:
        asker = Asker(place)
        with asker.socket:
            yield asker

    def test_an_answer_carries_the_number_of_its_question(self, asker: Asker) -> None:
        for number in (0, 7, 3, (1 << 53) - 1):
            answer = asker.ask(id=number, verb="guard")
            assert answer["id"] == number
            assert isinstance(answer["ok"], dict)
            assert set(answer["ok"]) == {"guarded", "open"}

    def test_many_questions_at_once_get_one_answer_each(self, asker: Asker) -> None:
        for number in range(40):
            asker.send(id=number, verb="unmount", bay=str(1 + number % 2))
        assert sorted(int(str(asker.receive()["id"])) for _ in range(40)) == list(range(40))

    @pytest.mark.parametrize(
        "noise", [b"\0", b"{", b"[]", b'"guard"', b"[" * PACKET_BYTES, packet_of({"verb": "guard"}), b'{"id": true}']
    )
    def test_noise_is_refused_under_no_number_and_the_connection_goes_on(self, asker: Asker, noise: bytes) -> None:
        asker.socket.send(noise)
        answer = asker.receive()
        assert (answer["id"], code_of(answer)) == (None, "bad_request")
        assert "ok" in asker.ask(id=1, verb="guard")

    def test_a_packet_that_is_too_long_is_refused_whole(self, asker: Asker) -> None:
        asker.socket.send(packet_of({"id": 5, "verb": "guard"}).ljust(2 * PACKET_BYTES))
        answer = asker.receive()
        assert code_of(answer) == "bad_request"
        assert "ok" in asker.ask(id=6, verb="guard")

    @pytest.mark.parametrize(
        "message",
        [
            {"verb": "shell"},
            {"verb": ["guard"]},
            {},
            {"verb": "guard", "bay": "1"},
            {"verb": "unmount"},
            {"verb": "unmount", "bay": "../1"},
            {"verb": "unmount", "bay": 1},
            {"verb": "authorise", "bay": "1", "device": "1-1.1", "number": "5", "on": 1},
            {"verb": "authorise", "bay": "1", "device": "usb1", "number": "5", "on": True},
            {"verb": "authorise", "bay": "1", "device": "1-1.1", "on": True},
            {"verb": "authorise", "bay": "1", "device": "1-1.1", "number": 5, "on": True},
            {"verb": "mount", "bay": "1", "block": "vda1", "fs": "vfat"},
            {"verb": "mount", "bay": "1", "block": "sda1", "fs": "ntfs"},
            {"verb": "power", "bay": "1", "to": "sideways"},
            {"verb": "reader", "bay": "1", "kind": "usb"},
            {"verb": "reader", "bay": "1", "kind": "root"},
        ],
    )
    def test_what_is_no_question_is_refused_under_its_number(self, asker: Asker, message: Answer) -> None:
        answer = asker.ask(id=4, **message)
        assert (answer["id"], code_of(answer)) == (4, "bad_request")

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ({"verb": "authorise", "bay": "1", "device": "1-2", "number": "5", "on": True}, "not_a_dock_port"),
            ({"verb": "authorise", "bay": "2", "device": "1-1.1", "number": "5", "on": True}, "not_a_dock_port"),
            ({"verb": "authorise", "bay": "1", "device": "1-1.3", "number": "5", "on": True}, "no_such_device"),
            ({"verb": "authorise", "bay": "1", "device": "1-1.1", "number": "6", "on": True}, "gone"),
            ({"verb": "reader", "bay": "7", "kind": "storage"}, "not_a_dock_port"),
            ({"verb": "reader", "bay": "1", "kind": "usb", "device": "1-2"}, "not_a_dock_port"),
            ({"verb": "power", "bay": "7", "to": "cycle"}, "not_a_dock_port"),
            ({"verb": "authorise_hub", "device": "1-2"}, "not_a_dock_port"),
            ({"verb": "mount", "bay": "1", "block": "sdz1", "fs": "vfat"}, "no_such_device"),
            ({"verb": "window", "bay": "1"}, "not_mounted"),
            ({"verb": "renew", "bay": "2"}, "not_mounted"),
        ],
    )
    def test_what_cannot_be_done_is_refused_with_its_reason(self, asker: Asker, message: Answer, code: str) -> None:
        answer = asker.ask(id=2, **message)
        assert (answer["id"], code_of(answer)) == (2, code)

    def test_what_can_be_done_is_done(self, asker: Asker) -> None:
        assert asker.ask(id=1, verb="authorise", bay="1", device="1-1.1", number="5", on=True) == {"id": 1, "ok": {}}
        assert asker.ask(id=2, verb="authorise_hub", device="1-1") == {"id": 2, "ok": {}}
        assert asker.ask(id=3, verb="power", bay="2", to="off") == {"id": 3, "ok": {"by": "sysfs"}}
        assert asker.ask(id=4, verb="unmount", bay="2") == {"id": 4, "ok": {}}

    def test_a_second_connection_is_served_and_outlives_the_first(self, asker: Asker, place: Path) -> None:
        second = Asker(place)
        with second.socket:
            assert "ok" in asker.ask(id=1, verb="guard")
            asker.socket.close()
            assert "ok" in second.ask(id=1, verb="guard")

    async def test_the_client_gets_answers_and_refusals(self, place: Path) -> None:
        client = Helper(place)
        assert set(await client.ask("guard")) == {"guarded", "open"}
        assert await client.ask("unmount", bay="1") == {}
        with pytest.raises(CameraGone, match="the camera is no longer there: window 1: nothing is mounted in bay 1"):
            await client.ask("window", bay="1")
        with pytest.raises(HelperRefused, match="authorise 1: 1-2 is not in bay 1") as caught:
            await client.ask("authorise", bay="1", device="1-2", number="5", on=True)
        assert caught.value.reason == "not_a_dock_port"
        client.close()


class TestRealHelper(HelperContract):
    @pytest.fixture
    def place(self, start: Start, tree: Tree) -> Path:
        tree.plug("1-1.1")
        tree.plug("1-2")
        return start(os.geteuid())


class TestFakeHelper(HelperContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Path]:
        with FakeHelper(tmp_path) as fake:
            fake.script.devices = {"1-1.1": "1", "1-2": None}
            fake.script.numbers = {"1-1.1": "5", "1-2": "5"}
            fake.script.hubs = {"1-1"}
            yield fake.path


# ---- the client


async def test_a_mount_leads_to_a_fresh_place_each_time_and_to_the_same_card(pair: Pair) -> None:
    with card_place() as place:
        (place / "a.mp4").write_bytes(b"clip")
        pair.fake.script.cards["sda1"] = place
        roots = [(await pair.client.ask("mount", bay="1", block="sda1", fs="vfat"))["root"]]
        roots += [(await pair.client.ask(verb, bay="1"))["root"] for verb in ("window", "renew")]
        assert len(set(roots)) == 3
        assert [str(path) for path in pair.fake.mounts("1")] == roots[-1:]
        assert (pair.fake.mounts("1")[0] / "a.mp4").read_bytes() == b"clip"
        pair.fake.script.read_only.add("sda1")
        with pytest.raises(MediumReadOnly, match="window 1: sda1 is write-protected"):
            await pair.client.ask("window", bay="1")
        assert len(pair.fake.mounts("1")) == 1  # readable as before
        await pair.client.ask("unmount", bay="1")
        assert pair.fake.mounts("1") == []


async def test_answers_may_come_in_any_order(pair: Pair) -> None:
    pair.fake.hang("power")
    async with asyncio.TaskGroup() as group:
        cutting = group.create_task(pair.client.ask("power", bay="1", to="cycle"))
        await asyncio.to_thread(pair.fake.wait_asked, "power")
        assert await pair.client.ask("unmount", bay="1") == {}
        assert not cutting.done()
        pair.fake.go_on()
    assert cutting.result() == {"by": "sysfs"}


async def test_what_one_bay_asks_is_done_in_its_order(pair: Pair) -> None:
    pair.fake.hang("mount")
    async with asyncio.TaskGroup() as group:
        with pytest.raises(HelperSlow):
            await pair.client.ask("mount", within_s=0.1, bay="1", block="sda1", fs="vfat")
        undoing = group.create_task(pair.client.ask("unmount", bay="1"))
        await asyncio.to_thread(pair.fake.wait_asked, "unmount")
        assert not undoing.done()
        pair.fake.go_on()


async def test_a_helper_that_is_slow_is_told_from_one_that_is_gone(pair: Pair) -> None:
    pair.fake.hang("guard")
    with pytest.raises(HelperSlow, match=r"no answer to 'guard' within 0.05 s") as caught:
        await pair.client.ask("guard", within_s=0.05)
    assert not isinstance(caught.value, HelperUnreachable)  # it is there: whoever hangs is a camera
    pair.fake.go_on()
    assert set(await pair.client.ask("guard")) == {"guarded", "open"}  # the late answer was dropped


async def test_a_caller_that_was_cancelled_gets_no_answer_and_the_next_one_its_own(pair: Pair) -> None:
    pair.fake.hang("power")
    async with asyncio.TaskGroup() as group:
        cutting = group.create_task(pair.client.ask("power", bay="1", to="cycle"))
        await asyncio.to_thread(pair.fake.wait_asked, "power")
        cutting.cancel()
    pair.fake.go_on()
    assert await pair.client.ask("unmount", bay="1") == {}
    assert pair.client._waiting == {}


async def test_without_a_helper_the_error_says_where_to_look(tmp_path: Path) -> None:
    client = Helper(tmp_path / "none.sock")
    with pytest.raises(HelperUnreachable, match=r"none\.sock cannot be asked: No such file or directory") as caught:
        await client.ask("guard")
    assert "systemctl status dock-helper.socket" in caught.value.told()
    with pytest.raises(HelperUnreachable):
        client.tell("end_reader", bay="1")
    client.close()


async def test_a_helper_that_was_restarted_is_asked_again_without_a_word(pair: Pair) -> None:
    await pair.client.ask("guard")
    pair.fake.stop()
    pair.fake.start()
    assert set(await pair.client.ask("guard")) == {"guarded", "open"}


async def test_who_waits_when_the_helper_hangs_up_is_told_at_once(pair: Pair) -> None:
    pair.fake.hang("guard")

    async def hang_up() -> None:
        await asyncio.to_thread(pair.fake.wait_asked, "guard")
        for connection in list(pair.fake.connections):
            connection.shutdown(socket.SHUT_RDWR)

    async with asyncio.TaskGroup() as group:
        group.create_task(hang_up())
        with pytest.raises(HelperUnreachable, match="the helper hung up"):
            await pair.client.ask("guard")
    pair.client.close()
    pair.client.close()


async def test_telling_waits_for_nothing(pair: Pair) -> None:
    pair.client.tell("unmount", bay="1")
    await asyncio.to_thread(pair.fake.wait_asked, "unmount")
    assert set(await pair.client.ask("guard")) == {"guarded", "open"}


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b'{"id": 1, "ok": 5}', "an answer to 'guard' that is none"),
        (b'{"id": 1, "error": {"code": "failed"}}', "an answer to 'guard' that is none"),
        (b'{"id": 1}', "an answer to 'guard' that is none"),
        (b"\0", "the helper hung up"),
        (b"[]", "the helper hung up"),
        (b"[" * 4000, "the helper hung up"),
    ],
)
async def test_a_helper_that_talks_nonsense_is_not_believed(tmp_path: Path, packet: bytes, words: str) -> None:
    place = tmp_path / "helper.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(os.fspath(place))
        listening.listen()
        client = Helper(place)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(PACKET_BYTES)
                connection.send(packet)
                connection.recv(1)  # until the client hangs up

        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(answer))
            with pytest.raises(HelperUnreachable, match=words):
                await client.ask("guard", within_s=20)
            client.close()


async def test_a_question_that_fits_no_packet_is_not_sent(pair: Pair) -> None:
    with pytest.raises(ValueError, match="too long"):
        await pair.client.ask("mount", bay="x" * PACKET_BYTES)
    assert pair.fake.verbs() == []
    assert pair.client._waiting == {}
