"""Names that a hostile card may hold, through the whole chain and back: what is proved is proved for the very bytes."""

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.core.clip import Copy, Custody
from agent.depot.command import list_uploads
from tests.cli.command import Here, has_control_codes
from tests.contracts.camera_contract import put_below
from tests.scenarios.shift import Running, Shift
from tests.web.serving import serving

FOLDER = b"DCIM/100BWC/"
MOST_OF_A_LABEL = 192
NAMES = (
    b"two\nlines.MP4",
    b"back\rwards.MP4",
    b"\x1b]0;owned\x07\x1b[2J.MP4",
    b"..\\..\\up.MP4",
    b"C:\\WINDOWS\\system32.MP4",
    b"..%2f..%2fup.MP4",
    b"..MP4.MP4",
    b" .MP4",
    b"-rf.MP4",
    b"\x7f\x01\x02.MP4",
    b"\xff\xfe\x80.MP4",
    b"\xed\xa0\x80.MP4",  # half a surrogate pair
    b"\xc0\xae\xc0\xae.MP4",  # `..` written too long
    b"\\xff.MP4",  # looks like an escape of ours
    b'{"hex": "ff"}.MP4',
    b"hex:ff2e4d5034.MP4",
    b"'; DROP TABLE clips; --.MP4",
    b'<script>alert("1")</script>.MP4'.replace(b"/", b"\\"),
    b"=HYPERLINK(1),\t@x.MP4",
    "\u202egpj.\u2066MP4.MP4".encode(),
    "\u00e9.MP4".encode(),  # one letter,
    "e\u0301.MP4".encode(),  # and the same to the eye
    "Stra\u00dfe.MP4".encode(),
    b"STRASSE.MP4",
    b"twin.mp4",
    b"TWIN.MP4",
    b"Twin.Mp4",
    b"n" * 251 + b".MP4",
    b"\n" * 251 + b".MP4",
    "\u4e2d".encode() * 83 + b"ab.MP4",  # 255 bytes as well
    b"/".join([b"d" * 100] * 36) + b"/deep.MP4",
)


def put_all(card: Path) -> dict[bytes, str]:
    """Write a file of its own content under each name; returns path and digest of each."""
    wanted = {}
    for number, name in enumerate(NAMES):
        path = FOLDER + name
        content = b"clip %d" % number + bytes(number)
        put_below(card, path, content)
        wanted[path] = hashlib.sha256(content).hexdigest()
    return wanted


def files_on(card: Path) -> set[bytes]:
    root = os.fsencode(card)
    return {
        os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - bytes
        for folder, _folders, names in os.walk(root)
        for name in names
    }


def back(name: Any) -> bytes:
    """The path that a name in a JSON answer stands for."""
    return bytes.fromhex(name["hex"]) if isinstance(name, dict) else name.encode()


def digests_by_path(rows: list[dict[str, Any]]) -> dict[bytes, str]:
    found = {back(row["name"]): row["sha256"] for row in rows}
    assert len(found) == len(rows), "two clips share a name"
    return found


async def custody_paths(running: Running) -> dict[bytes, str]:
    """Path and digest of each clip by the custody log alone."""
    paths = {e["clip"]: bytes.fromhex(e["path_hex"]) for e in await running.events("clip.listed")}
    return {paths[e["clip"]]: e["sha256"] for e in await running.events("clip.confirmed")}


async def test_hostile_names_reach_the_depot_exactly_and_come_back(
    shift: Shift, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = shift.camera("CAM1", clips=1)
    wanted = put_all(camera.card)
    wanted |= {f.path: f.sha256 for f in camera.truth.files if f.path in shift.aboard(camera)}
    assert files_on(camera.card) == set(wanted)
    place = str(shift.depot.directory)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert {c.entry.path: c.sha256 for c in await running.clips()} == wanted
        assert {(c.custody, c.copy) for c in await running.clips()} == {(Custody.CONFIRMED, Copy.GONE)}
        assert files_on(camera.card) == set(), "each was unlinked under its own name"
        assert await custody_paths(running) == wanted
        assert digests_by_path(await shown(running, "clips?limit=1000")) == wanted
    assert shift.depot.held() == {digest: digest for digest in wanted.values()}
    capsys.readouterr()  # what was logged until here
    commands = ("clips", "--config", str(shift.config), "--limit", "1000"), ("depot", "--dir", place, "ls")
    for command in commands:
        said = await asyncio.to_thread(Here(capsys), *command, "--json")
        assert digests_by_path(json.loads(said.out)) == wanted
        table = await asyncio.to_thread(Here(capsys), *command)
        assert not has_control_codes(said.out + table.out)
        assert len(table.out.splitlines()) > len(wanted)


SERIALS = ("\0", "\x1b[31m\n../CAM", "CAM" + "x" * 1000, "\ud800'; DROP TABLE clips; --<script>\u202e")


async def test_a_camera_may_call_itself_what_it_likes(shift: Shift) -> None:
    shift.write_config(enrolled=["*"])
    cameras = [shift.camera(f"CAM{number}", clips=1) for number in range(len(SERIALS))]
    async with shift.station() as running:
        for number, (camera, serial) in enumerate(zip(cameras, SERIALS, strict=True), 1):
            camera.script(serial=serial)
            camera.dock(shift.bay(number))
        for number, camera in enumerate(cameras, 1):
            await running.until_advice(str(number), "take")
            assert shift.aboard(camera) == set()
        assert len({c.camera for c in await running.clips()}) == len(SERIALS)
        filed = {row["camera"] for row in await shown(running, "bays") if row["camera"]}
        assert filed == {c.camera for c in await running.clips()}
    names = {str(row["camera"]) for row in list_uploads(shift.depot.directory)}
    assert names == {c[:MOST_OF_A_LABEL] for c in filed}
    assert set(shift.depot.held()) == set.union(*map(shift.truth, cameras))


async def shown(running: Running, what: str) -> Any:
    """What the page gets to see."""
    async with serving(running.agent.desk, running.shift.root) as api:
        return (await api.page.get(f"/api/v1/{what}")).json()
