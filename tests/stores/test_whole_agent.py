"""The whole agent, cameras included, between an honest store and a hostile one that both must prove each clip."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.clip import Custody
from tests.fakes.hostile_store import HostileStore
from tests.scenarios.shift import Running, Shift
from tests.stores.certificates import Authority, server_context


@pytest.fixture
async def shift(tmp_path: Path) -> AsyncIterator[Shift]:
    made = Shift(tmp_path)
    await made.depot.start()
    yield made
    await made.depot.stop()


def with_second_store(shift: Shift, hostile: HostileStore, *, ca: Path | None = None) -> None:
    """Write a configuration that asks for copies in both stores."""
    (shift.root / "hostile.pub").write_bytes(hostile.receipt_key())
    trust = f'ca = "{ca}"' if ca else ""
    shift.write_config(
        more=f"""[[stores]]
name = "hostile"
url = "tus+{hostile.url}"
require = "signed"
receipt_key = "hostile.pub"
connect_s = 1
stall_s = 1
{trust}
[confirm]
copies = 2
"""
    )


async def until_only_the_honest_store_has_it(shift: Shift, running: Running, words: str) -> str:
    """Dock a camera, wait until people are told; the camera keeps its clips and nothing is confirmed."""
    camera = shift.camera("CAM1")
    camera.dock(shift.bay(1))
    told = ""

    async def said() -> bool:
        nonlocal told
        told = json.dumps((await running.agent.desk.health())["problems"])
        return "store hostile: " in told and words in told

    await running.until(said, f"health says {words}")
    await running.until(lambda: shift.truth(camera) <= set(shift.depot.held()), "the honest store has all")
    await running.until_advice("1", "take, footage still aboard", "on the way to the evidence store")
    assert {clip.custody for clip in await running.clips()} == {Custody.SPOOLED}
    assert len(shift.aboard(camera)) == len(shift.truth(camera))
    return told


async def until_all_is_well(shift: Shift, running: Running) -> None:
    """After the mend: everything is confirmed, the camera is cleared, and nothing is told any more."""
    await running.ask("retry")
    await running.until_advice("1", "take")
    (camera,) = shift.cameras
    assert shift.aboard(camera) == set()
    assert "store hostile: " not in json.dumps((await running.agent.desk.health())["problems"])
    shift.nothing_lost()


async def test_with_a_wrong_clock_offloading_goes_on_and_the_clock_is_named(shift: Shift, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "forceca")
    early = server_context(authority.issue("early", begins=2, ends=3))
    async with HostileStore(tls=early) as hostile:
        with_second_store(shift, hostile, ca=authority.path)
        async with shift.station() as running:
            told = await until_only_the_honest_store_has_it(shift, running, "clock")
            assert re.search(r"not yet valid by this station's clock, 20\d\d-\d\d-\d\d \d\d:\d\d UTC", told)
            assert hostile.asked == []
            hostile.down()
            await hostile.up(server_context(authority.issue("good")))
            await until_all_is_well(shift, running)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"PATCH": "alter"}, "sha256 differ"),
        ({"RECEIPT": "other key"}, "unknown key"),
        ({"PATCH": "status 507"}, "store disk full"),
    ],
    ids=["altered bytes", "unknown key", "disk full"],
)
async def test_no_camera_is_cleared_on_the_word_of_a_store_that_lies_or_has_no_room(
    shift: Shift, faults: dict[str, str], words: str
) -> None:
    async with HostileStore() as hostile:
        hostile.faults = dict(faults)
        with_second_store(shift, hostile)
        async with shift.station() as running:
            await until_only_the_honest_store_has_it(shift, running, words)
            hostile.faults.clear()
            await until_all_is_well(shift, running)


async def test_a_station_whose_clock_cannot_be_right_says_so_at_its_start(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift.write_config()
    async with shift.station() as running:
        assert not any("clock" in notice for notice in running.agent.notices)
    monkeypatch.setattr("agent.app.utc_now", lambda: datetime(2001, 2, 3, 4, 5, tzinfo=UTC))
    async with shift.station() as running:
        (notice,) = [n for n in running.agent.notices if "clock" in n]
        assert notice.startswith("Set the clock: this station's clock is wrong: it says 2001-02-03 04:05 UTC")
        assert notice in (await running.agent.desk.health())["problems"]  # type: ignore[operator]


async def test_health_says_that_a_store_was_never_probed_and_when_its_certificate_ends(
    shift: Shift, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "forceca")
    async with HostileStore(tls=server_context(authority.issue("store", ends=5))) as hostile:
        with_second_store(shift, hostile, ca=authority.path)
        async with shift.station() as running:
            shift.camera("CAM1").dock(shift.bay(1))
            await running.until_advice("1", "take")
            health = await running.agent.desk.health()
            station = await running.agent.desk.station()
    told = [str(problem) for problem in health["problems"]]  # type: ignore[union-attr]
    assert "Store hostile was never probed: run `dock-agent doctor store hostile`." in told
    (ends,) = [line for line in told if line.startswith("The certificate of store hostile ends on")]
    assert "in 4 days" in ends
    assert not health["ok"]
    assert ends in station["notices"]  # type: ignore[operator]
