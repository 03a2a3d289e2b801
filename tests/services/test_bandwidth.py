"""The limits in force, and what an uploader does in a pause."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.core.bandwidth_policy import BandwidthPolicy, Hours, Timetable
from agent.core.clip import Custody
from agent.services.bandwidth import LOOK_S, Bandwidth, follow_hours
from agent.services.kit import Kit
from agent.services.uploader import Uploader
from tests.services.stage import ScriptedStore, custody_of, kit_in, put

EVERY_DAY = frozenset(range(7))
NIGHT = Timetable(625_000, (Hours(EVERY_DAY, 22 * 60, 6 * 60, None),))
LUNCH = Timetable(None, (Hours(EVERY_DAY, 12 * 60, 13 * 60, 0),))
POLICY = BandwidthPolicy(ZoneInfo("Europe/London"), NIGHT, {"central": LUNCH, "second": Timetable()})
NOON = datetime(2026, 7, 1, 11, 0, tzinfo=UTC)  # 12:00 in London
LIMIT_S = 20


def applied(now: datetime = NOON) -> Bandwidth:
    bandwidth = Bandwidth()
    bandwidth.apply(POLICY, now)
    return bandwidth


def test_limits_are_those_of_the_stations_hour() -> None:
    bandwidth = applied()
    assert bandwidth.station_limit() == 625_000
    assert (bandwidth.store_limit("central"), bandwidth.store_limit("second")) == (0, None)
    assert (bandwidth.paused("central"), bandwidth.paused("second"), bandwidth.paused("folder")) == (True, False, False)
    assert bandwidth.why_paused("central", NOON) == "uploads are paused until 13:00: the configuration allows none now"
    assert bandwidth.why_paused("second", NOON) is None


def test_a_paused_station_pauses_its_line_and_no_directory() -> None:
    bandwidth = Bandwidth()
    bandwidth.apply(BandwidthPolicy(station=Timetable(0), stores={"central": Timetable(8_000)}), NOON)
    assert (bandwidth.paused("central"), bandwidth.paused("folder")) == (True, False)
    assert bandwidth.why_paused("central", NOON) == "uploads are paused: the configuration allows none now"


def test_two_pauses_last_until_both_have_ended() -> None:
    bandwidth = Bandwidth()
    long = Timetable(None, (Hours(EVERY_DAY, 11 * 60, 15 * 60, 0),))
    bandwidth.apply(replace(POLICY, station=long), NOON)
    assert "until 15:00" in (bandwidth.why_paused("central", NOON) or "")


def test_people_see_what_holds_and_until_when() -> None:
    bandwidth = applied()
    assert bandwidth.view(NOON) == {
        "limit_bits_s": 5_000_000,
        "until": "2026-07-01T22:00:00+01:00",
        "shown": "5 Mbit/s until 22:00",
    }
    assert (bandwidth.store_view("central", NOON) or {})["shown"] == "paused until 13:00"
    assert bandwidth.store_view("second", NOON) is None


def test_a_look_changes_something_only_when_another_limit_holds() -> None:
    bandwidth = applied()
    assert not bandwidth.look(NOON + timedelta(minutes=59, seconds=59))
    assert bandwidth.paused("central")
    assert bandwidth.look(NOON + timedelta(hours=1))
    assert not bandwidth.paused("central")


def test_a_clock_that_is_set_back_brings_back_the_limits_of_that_hour() -> None:
    bandwidth = applied(NOON + timedelta(hours=2))
    assert not bandwidth.paused("central")
    assert bandwidth.look(NOON)
    assert bandwidth.paused("central")


def test_the_next_look_is_at_the_change_and_never_far_away() -> None:
    bandwidth = applied()
    assert bandwidth.wait_s(NOON) == LOOK_S
    assert bandwidth.wait_s(NOON + timedelta(minutes=59, seconds=57)) == 3.0
    assert bandwidth.wait_s(NOON + timedelta(hours=2)) > 0


async def test_the_flow_follows_the_hours_and_tells_it() -> None:
    now = NOON + timedelta(minutes=59, seconds=59.9)
    bandwidth, told = applied(now), asyncio.Event()
    began = asyncio.get_running_loop().time()

    def clock() -> datetime:
        return now + timedelta(seconds=asyncio.get_running_loop().time() - began)

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        task = group.create_task(follow_hours(bandwidth, clock, told.set))
        await told.wait()
        task.cancel()
    assert not bandwidth.paused("central")


async def _until(kit: Kit, sha256: str, custody: Custody) -> None:
    async with asyncio.timeout(LIMIT_S):
        while custody_of(kit, sha256) != {custody}:  # type: ignore[arg-type]
            await kit.change.wait(kit.change.rings, 0.05)


async def test_a_paused_store_is_sent_nothing_and_keeps_no_worker_from_another(tmp_path: Path) -> None:
    central, other = ScriptedStore(), ScriptedStore("other", place="tus+https://other.example/files/")
    with kit_in(tmp_path, central, workers=1) as kit:
        kit.stores["other"] = other
        (policy,) = kit.settings.stores
        both = (policy, replace(policy, name="other", place=other.place))
        closed = BandwidthPolicy(stores={"central": Timetable(0), "other": Timetable()})
        await kit.apply(replace(kit.settings, stores=both, bandwidth=closed))
        held = [put(kit, f"CAM{n}", bytes([n])) for n in range(3)]
        urgent = put(kit, "CAM9", b"urgent", event=True)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Uploader(kit).run())
            for sha256 in [*held, urgent]:
                await _until(kit, sha256, Custody.CONFIRMED)  # one copy is enough here
            assert sorted(other.sent) == sorted([*held, urgent])
            assert central.sent == []
            await kit.apply(replace(kit.settings, bandwidth=BandwidthPolicy(stores={"central": Timetable()})))
            async with asyncio.timeout(LIMIT_S):
                while len(central.sent) < len(held) + 1:
                    await kit.change.wait(kit.change.rings, 0.05)
            assert central.sent[0] == urgent
            task.cancel()
