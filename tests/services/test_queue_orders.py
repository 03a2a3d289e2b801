"""What people decide about uploads, with a real ledger, spool and uploader, and what the queue says of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core.clip import Custody
from agent.core.errors import ActionRefused, AgentError, ObjectRefused, StoreLied, StoreUnreachable
from agent.core.object import Digest
from agent.core.retry_policy import STRIKES
from agent.devices.folders import FolderWatch
from agent.devices.reader.camera import open_camera
from agent.ledger import uploads
from agent.services.desk import Desk
from agent.services.kit import Kit
from agent.services.station import Station
from agent.services.uploader import Uploader
from tests.services.stage import ScriptedStore, custody_of, kit_in, put
from tests.services.test_uploader import until

WHO = {"actor": "sgt", "reason": "test"}


class Working:
    """A running uploader with its desk."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.uploader = Uploader(kit)
        hub = Station(kit, open_camera, (FolderWatch({}),))
        self.desk = Desk(kit, hub, self.uploader, version="test", bay_names=list, notices=[])

    async def ask(self, action: str, **body: str) -> str:
        return str((await self.desk.act(action, {**WHO, **body}))["done"])

    async def row(self, sha256: Digest) -> dict[str, Any]:
        return next(row for row in await self.desk.queue() if row["sha256"] == sha256)

    async def told(self) -> str:
        """What page and health say."""
        return " ".join(map(str, [*_list(await self.desk.station(), "notices"), *await self.problems()]))

    async def problems(self) -> list[Any]:
        return _list(await self.desk.health(), "problems")

    def confirmed(self, *digests: Digest) -> bool:
        return all(custody_of(self.kit, digest) == {Custody.CONFIRMED} for digest in digests)

    def clip_of(self, sha256: Digest) -> str:
        sql = "SELECT id FROM clips WHERE sha256 = ?"
        return str(self.kit.database.run_blocking(lambda tx: tx.conn.execute(sql, (sha256,)).fetchone())[0])

    def events(self) -> list[str]:
        sql = "SELECT event FROM events WHERE event LIKE 'queue.%' OR event IN ('clip.held_back', 'clip.let_go')"
        return [row[0] for row in self.kit.database.run_blocking(lambda tx: tx.conn.execute(sql).fetchall())]

    async def settled(self) -> None:
        """Give every worker several chances to do what it must not."""
        for _ in range(5):
            self.kit.ring()
            await asyncio.sleep(0.02)


def _list(view: dict[str, Any], key: str) -> list[Any]:
    found = view[key]
    assert isinstance(found, list)
    return found


@asynccontextmanager
async def working(kit: Kit) -> AsyncIterator[Working]:
    made = Working(kit)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.uploader.run())
        try:
            yield made
        finally:
            task.cancel()


@pytest.mark.parametrize("where", [{}, {"store": "central"}])
async def test_a_pause_stops_what_runs_and_outlives_a_restart(tmp_path: Path, where: dict[str, str]) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        first, second = put(kit, "CAM1", b"1"), put(kit, "CAM2", b"2")
        store.slow = {first, second}
        async with working(kit) as work:
            await until(kit, lambda: len(store.sent) == 1)
            assert "are paused until somebody resumes them" in await work.ask("pause", **where)
            await until(kit, lambda: not work.uploader.running)
            store.slow = set()
            await work.settled()
            assert (len(store.sent), len(store.stopped)) == (1, 1)
    with kit_in(tmp_path, store) as kit:
        async with working(kit) as work:
            await work.settled()
            assert len(store.sent) == 1
            row = await work.row(second)
            assert row["state"] == "waiting"
            assert "are paused by sgt: test." in row["why"]
            assert "dock-agent queue resume" in await work.told()
            assert any("are paused by sgt" in problem for problem in await work.problems())
            assert (await work.desk.station())["stores"][0]["paused"] == "test"  # type: ignore[index, call-overload]
            late = put(kit, "CAM3", b"3")  # what is copied meanwhile waits as well
            assert custody_of(kit, late) == {Custody.SPOOLED}
            await work.ask("resume", **where)
            await until(kit, lambda: work.confirmed(first, second, late))
            assert await work.problems() == []
            assert work.events() == ["queue.paused", "queue.resumed"]


async def test_a_pause_of_everything_outlasts_the_end_of_one_of_a_store(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        held = put(kit, "CAM1", b"1")
        async with working(kit) as work:
            # Asked in one breath with the pause, nothing may have begun before it.
            await work.ask("pause")
            await work.ask("pause", store="central")
            assert "to every store are paused by sgt" in await work.ask("resume", store="central")
            with pytest.raises(ActionRefused, match="resume without a name"):
                await work.ask("resume", store="central")
            await work.ask("resume")
            await until(kit, lambda: work.confirmed(held))


async def test_a_clip_that_is_held_back_waits_alone_and_is_copied_all_the_same(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        held, other = put(kit, "CAM1", b"1", event=True), put(kit, "CAM2", b"2")
        store.slow = {held}
        async with working(kit) as work:
            await until(kit, lambda: held in store.sent)
            assert "This is no legal hold" in await work.ask("hold-back", clip=work.clip_of(held))
            await until(kit, lambda: work.confirmed(other))
            store.slow = set()
            await work.settled()
            assert store.sent.count(held) == 1
            row = await work.row(held)
            assert (row["state"], row["clip"]) == ("held_back", work.clip_of(held))
            assert row["why"] == f"held back by sgt: test; `dock-agent queue release {row['clip']}` lets it go"
            assert "1 upload is held back by a person" in await work.told()
            assert await work.problems() == []
            await work.ask("let-go", clip=work.clip_of(held))
            await until(kit, lambda: work.confirmed(held))
            assert work.events() == ["clip.held_back", "clip.let_go"]


@pytest.mark.parametrize("how", [{}, {"store": "central"}, {"clip": ""}, {"sha256": ""}])
async def test_what_a_store_refuses_again_and_again_is_set_aside_until_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    monkeypatch.setattr("agent.core.retry_policy.HALTED_S", 0.02)
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        bad, *others = [put(kit, "CAM1", bytes([n]) * 10) for n in range(3)]
        refuse(store, bad, ObjectRefused("It is too large.", hint="Look at the store's limits."))
        async with working(kit) as work:
            await until(kit, lambda: store.sent.count(bad) == STRIKES)
            await until(kit, lambda: work.confirmed(*others))
            await work.settled()
            assert store.sent.count(bad) == STRIKES
            row = await work.row(bad)
            assert (row["state"], row["attempts"], row["asks_person"]) == ("set_aside", STRIKES, True)
            assert "It is too large. Look at the store's limits." in row["why"]
            assert f"`dock-agent queue retry {row['clip']}`" in row["why"]
            assert "refuses an object again and again" in await work.told()
            assert any("It is too large" in problem for problem in await work.problems())
            later = put(kit, "CAM1", b"later")
            kit.ring()
            await until(kit, lambda: work.confirmed(later))
            refuse(store, bad, None)
            subject = {"clip": work.clip_of(bad), "sha256": bad}
            asked = {key: value or subject[key] for key, value in how.items()}
            assert "1 waiting upload was given a fresh start" in await work.ask("retry", **asked)
            await until(kit, lambda: work.confirmed(bad))
            assert await work.problems() == []
            assert work.events() == ["queue.retried"]


async def test_after_its_day_one_more_refusal_sets_an_object_aside_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.core.retry_policy.HALTED_S", 0.02)
    monkeypatch.setattr("agent.core.retry_policy.SET_ASIDE_S", 0.3)
    monkeypatch.setattr("agent.services.uploader._IDLE_S", 0.05)
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        bad = put(kit, "CAM1", b"bad")
        refuse(store, bad, ObjectRefused("too large"))
        async with working(kit) as work:
            await until(kit, lambda: store.sent.count(bad) > STRIKES + 1)
            refuse(store, bad, None)
            await until(kit, lambda: work.confirmed(bad))


def refuse(store: ScriptedStore, victim: Digest, error: AgentError | None) -> None:
    def check(sha256: Digest) -> None:
        if error is not None and sha256 == victim:
            raise error

    store.refuse = check


async def test_each_upload_says_why_it_waits(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        held = [put(kit, f"CAM{n % 2}", bytes([n])) for n in range(6)]
        store.slow = set(held)
        async with working(kit) as work:
            await until(kit, lambda: len(store.sent) == 1)
            rows = await work.desk.queue()
            assert [row["state"] for row in rows] == ["uploading"] + ["waiting"] * 5
            assert [row["why"] for row in rows] == [None, "its turn is next"] + [
                f"its turn: {n} before it" for n in range(1, 5)
            ]
            assert [row["camera"] for row in rows] == ["CAM0", "CAM1", "CAM0", "CAM1", "CAM0", "CAM1"]
            assert [row["clip"] for row in rows] == [work.clip_of(Digest(str(row["sha256"]))) for row in rows]
            assert await work.desk.queue(limit=3) == rows[:3]
            assert (await work.desk.station())["queue"] == {"uploads": 6, "held_back": 0, "set_aside": 0}
            taken = [str(row["sha256"]) for row in rows]
            store.slow = set()
            await until(kit, lambda: work.confirmed(*held))
            assert store.sent == taken


async def test_a_store_that_is_away_is_named_with_when_it_is_tried_again(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        held = put(kit, "CAM1", b"1")
        refuse(store, held, StoreUnreachable("No connection.", retry_after_s=600))
        async with working(kit) as work:
            await until(kit, lambda: bool(work.uploader.pauses) and not work.uploader.running)
            row = await work.row(held)
            assert row["why"] == f"Store central is left alone until {row['next_at']}: {told(StoreUnreachable)}"
            assert row["problem"] is None


def told(kind: type[AgentError]) -> str:
    return kind("No connection.").told()


async def test_an_object_that_failed_says_when_it_is_tried_again(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        held = put(kit, "CAM1", b"1")
        refuse(store, held, StoreLied("Wrong offset.", retry_after_s=600))
        async with working(kit) as work:
            await until(kit, lambda: bool(store.sent) and not work.uploader.running)
            row = await work.row(held)
            assert (row["state"], row["attempts"], row["asks_person"]) == ("paused", 1, False)
            assert row["why"] == f"tried again at {row['next_at']}: {row['problem']}"


async def test_a_long_queue_is_shown_in_the_order_in_which_it_is_taken_however_uneven_the_cameras_are(
    tmp_path: Path,
) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        put(kit, "CAM0", b"lonely")
        for n in range(30):
            put(kit, "CAM1", b"many" + bytes([n]))
        work = Working(kit)
        rows = await work.desk.queue(limit=25)
        assert len(rows) == 25
        everything = kit.database.run_blocking(lambda tx: uploads.waiting(tx, "central", 99))
        assert [row["sha256"] for row in rows] == [w.sha256 for w in sorted(everything, key=lambda w: w.sequence)][:25]


async def test_a_clip_that_becomes_urgent_while_it_is_sent_gets_its_store_to_itself(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store, workers=2) as kit:
        first, second = put(kit, "CAM1", b"1"), put(kit, "CAM2", b"2")
        store.slow = {first, second}
        async with working(kit) as work:
            await until(kit, lambda: len(store.sent) == 2)
            await work.ask("request", clip=work.clip_of(second))
            await until(kit, lambda: store.stopped == [first])
            await work.settled()
            assert [r.waiting.sha256 for r in work.uploader.running.values()] == [second]
            store.slow = set()
            await until(kit, lambda: work.confirmed(first, second))


async def test_an_urgent_object_begins_before_those_have_stopped_that_make_room_for_it(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store, workers=2) as kit:
        stubborn = [put(kit, f"CAM{n}", bytes([n])) for n in range(2)]
        store.slow = set(stubborn)
        store.deaf = True
        async with working(kit) as work:
            await until(kit, lambda: len(store.sent) == 2)
            urgent = put(kit, "CAM9", b"urgent", event=True)
            kit.ring()
            await until(kit, lambda: work.confirmed(urgent))
            assert store.stopped == []
            store.deaf = False
            store.slow = set()
            await until(kit, lambda: work.confirmed(*stubborn))


DECISIONS = {
    "hold": "is on hold",
    "unhold": "is no longer on hold",
    "request": "goes before all",
    "hold-back": "is held back",
    "let-go": "takes its turn again",
    "retry": "are tried now",
}


async def test_every_decision_takes_the_beginning_of_a_clips_id_and_says_the_whole(tmp_path: Path) -> None:
    with kit_in(tmp_path, ScriptedStore()) as kit:
        work = Working(kit)
        wanted, other = (work.clip_of(put(kit, "CAM1", content)) for content in (b"1", b"2"))
        beginning = wanted[: 1 + next(n for n in range(len(wanted)) if wanted[n] != other[n])]
        for action, words in DECISIONS.items():
            said = await work.ask(action, clip=beginning)
            assert words in said
            assert action == "retry" or f"lip {wanted} " in said
        sql = "SELECT event FROM events WHERE clip = ? AND event IN ('clip.held', 'clip.unheld', 'clip.requested')"
        events = kit.database.run_blocking(lambda tx: tx.conn.execute(sql, (wanted,)).fetchall())
        assert {row[0] for row in events} == {"clip.held", "clip.unheld", "clip.requested"}
        assert work.events() == ["clip.held_back", "clip.let_go", "queue.retried"]


@pytest.mark.parametrize("action", DECISIONS)
async def test_a_beginning_that_two_clips_have_decides_nothing_and_names_both(tmp_path: Path, action: str) -> None:
    with kit_in(tmp_path, ScriptedStore()) as kit:
        work = Working(kit)
        first, second = sorted(work.clip_of(put(kit, "CAM1", content)) for content in (b"1", b"2"))
        before = kit.database.run_blocking(lambda tx: tx.conn.execute("SELECT count(*) FROM events").fetchone())
        with pytest.raises(ActionRefused, match=f"More than one clip begins with c: {first}, {second}"):
            await work.ask(action, clip="c")
        after = kit.database.run_blocking(lambda tx: tx.conn.execute("SELECT count(*) FROM events").fetchone())
        assert after == before


@pytest.mark.parametrize(
    ("action", "body", "words"),
    [
        ("pause", {"store": "nowhere"}, "There is no store nowhere; known are: central"),
        ("retry", {"store": "nowhere"}, "There is no store nowhere"),
        ("retry", {"clip": "c0"}, "knows no clip c0"),
        ("hold", {"clip": "c%"}, "knows no clip c%"),
        ("hold-back", {"clip": "c0"}, "knows no clip c0"),
        ("let-go", {}, "This needs a clip"),
        ("resume", {"store": "central"}, "are not paused by a person"),
        ("pause", {"store": "a\nb"}, "This needs a store: printable"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, action: str, body: dict[str, str], words: str
) -> None:
    with kit_in(tmp_path, ScriptedStore()) as kit:
        work = Working(kit)
        with pytest.raises(ActionRefused, match=words):
            await work.ask(action, **body)
        assert work.events() == []
