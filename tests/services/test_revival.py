"""A USB camera that stops answering: its port loses power for a moment, unless somebody must not be touched."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.core.bay import Advice, BayAdvice, Phase
from agent.core.clip import BayName, CameraId
from agent.core.errors import CameraGone, HelperUnreachable, ReaderFailed, ReaderStalled
from agent.core.path_pattern import compile_glob
from agent.core.power_policy import REFUSALS
from agent.core.profile import Access, Identity, IdentitySource, Match, Profile, UsbId
from agent.core.upkeep import Upkeep
from agent.devices.reader.camera import ReaderCamera, open_camera
from agent.ledger import custody, fleet
from agent.ports import Docked
from agent.services import presence, revival
from agent.services import station as station_module
from agent.services.kit import Kit
from agent.services.revival import Revival
from agent.services.session import Session
from agent.services.slot import STRIKES, Slot
from agent.services.station import Station
from tests.services.stage import ScriptedStore, kit_in

LIMIT_S = 20.0
USB = UsbId(0x1209, 0xBC01)
ONE, TWO = BayName("1"), BayName("2")
AGAIN = "Take it out and put it back."
PROFILE = Profile(
    name="bwc",
    maker="ACME",
    description="",
    access=Access.MASS_STORAGE,
    match=Match(usb=(USB,)),
    clips=(compile_glob("**/*.MP4", ignore_case=False),),
    identity=Identity(IdentitySource.USB),
    upkeep=Upkeep(may_cut_power=True),
)


def here() -> bool:
    """The docking still lasts."""
    return True


class Bays:
    """Implements `ports.BayWatch`: shows what it is told to."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.shown: dict[BayName, Docked] = {}
        self._changes: asyncio.Queue[dict[BayName, Docked]] = asyncio.Queue()

    def show(self, *docked: Docked) -> None:
        self.shown = {each.bay: each for each in docked}
        self._changes.put_nowait(self.shown)

    async def snapshots(self) -> AsyncGenerator[Mapping[BayName, Docked], None]:
        while True:
            yield await self._changes.get()


class Power:
    """Implements `ports.PortPower`: does what a test wants while the port is without power."""

    def __init__(self) -> None:
        self.cut: list[BayName] = []
        self.works = True
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def cycle(self, bay: BayName) -> bool:
        if self.works:
            self.cut.append(bay)
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.works


class HungCamera:
    """A real camera that gives no answer any more once its clips are to be read."""

    def __init__(self, camera: ReaderCamera) -> None:
        self._camera = camera

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    async def read(self, *_: object, **__: object) -> None:
        raise ReaderStalled("the reader gave no answer")


class World:
    """A station with bays 1 and 2. Dockings whose token is in `hangs` cannot be opened; `hangs_later` can be read.

    One whose token begins with `locked` is unlocked when it is opened: it leaves, and comes back as another device.
    """

    def __init__(self, root: Path, kit: Kit) -> None:
        self.root = root
        self.kit = kit
        self.bays = Bays()
        self.power: Power | None = Power()
        self.hangs: set[str] = set()
        self.hangs_later: set[str] = set()
        self.gone: set[str] = set()
        self.clings: set[str] = set()  # their sessions end only when `let_go` says so
        self.fails_slowly: set[str] = set()  # their opening fails, and takes until `let_go` to be undone
        self.breaks: set[str] = set()  # their first opening ends in the middle of a wipe window
        self.let_go = asyncio.Event()
        self.away = 0  # so often the helper is not there
        self.opened: list[str] = []
        self.station = Station(kit, self.open, (), None)

    def use(self, *profiles: Profile) -> None:
        self.kit.settings = replace(self.kit.settings, profiles=profiles)

    def docked(self, token: str, bay: BayName = ONE, serial: str | None = "CAM1", usb: UsbId | None = USB) -> Docked:
        return Docked(bay, "usb", "1-1.1", token, serial, usb)

    async def open(self, docked: Docked, *, stall_s: float) -> Any:
        self.opened.append(docked.token)
        if self.away:
            self.away -= 1
            raise HelperUnreachable("the helper cannot be asked")
        if docked.token in self.clings:
            try:
                await asyncio.Event().wait()
            finally:
                await self.let_go.wait()
        if docked.token in self.fails_slowly:
            await self._fail_slowly()
        if docked.token.startswith("locked"):
            self.bays.show()
            self.bays.show(self.docked(f"un{docked.token}"))
            raise CameraGone("the camera leaves, to come back unlocked")
        if docked.token in self.breaks:
            self.breaks.remove(docked.token)
            async with self.station.slots[docked.bay].session.interlock.window():
                raise ReaderFailed("the reader ended in a window")
        if docked.token in self.gone:
            raise CameraGone("the camera was taken out")
        if docked.token in self.hangs:
            raise ReaderStalled("the reader gave no answer to 'open' within 30 s")
        card = self.root / f"card of {docked.serial}"
        card.mkdir(exist_ok=True)
        (card / "A.MP4").write_bytes(f"clip of {docked.serial}".encode())
        camera = await open_camera(replace(docked, driver="folder", address=str(card)), stall_s=stall_s)
        camera.facts = replace(camera.facts, usb=docked.usb, usb_serial=docked.serial, label=docked.serial)
        return HungCamera(camera) if docked.token in self.hangs_later else camera

    async def _fail_slowly(self) -> None:
        async def undone() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await self.let_go.wait()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(undone())
                await asyncio.sleep(0)
                raise CameraGone("the camera was taken out")
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.station = Station(self.kit, self.open, (self.bays,), self.power)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.station.run())
            yield
            task.cancel()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                await self.kit.change.wait(self.kit.change.rings, 0.1)

    async def slot(self, bay: BayName = ONE) -> Slot:
        await self.until(lambda: bay in self.station.slots)
        return self.station.slots[bay]

    def events(self, name: str) -> list[str]:
        lines = self.kit.database.run_blocking(lambda tx: list(custody.lines(tx)))
        return [line for line in lines if f'"event":"{name}"' in line]

    def seize(self, camera: str) -> None:
        ident = CameraId(camera)
        self.kit.database.run_blocking(lambda tx: fleet.seize(tx, self.kit.recorder, ident, "sergeant", "case 4"))

    def comes_back_as(self, *tokens: str, beside: tuple[Docked, ...] = ()) -> None:
        """With each cut the camera leaves, and comes back as the next of these; without any more, it stays away."""
        left = list(tokens)

        async def meanwhile() -> None:
            self.bays.show(*beside)
            await self.until(lambda: self.station._wanted.keys() == {each.bay for each in beside})
            assert ONE in self.station.slots
            if left:
                self.bays.show(self.docked(left.pop(0)), *beside)

        assert self.power is not None
        self.power.meanwhile = meanwhile


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(station_module, "STRIKE_PAUSE_S", 0.01)
    monkeypatch.setattr(station_module, "RETURN_S", LIMIT_S)  # what comes back does so long before
    with kit_in(tmp_path, ScriptedStore()) as kit:
        world = World(tmp_path, kit)
        world.use(PROFILE)
        yield world


def does_not_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """For cameras that do not come back."""
    monkeypatch.setattr(station_module, "RETURN_S", 0.3)


def spooled(slot: Slot) -> bool:
    return slot.session.standing.aboard.spooled == 1


async def test_a_camera_that_hangs_loses_its_power_and_the_same_slot_goes_on(world: World) -> None:
    world.hangs = {"first"}
    world.comes_back_as("second")
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
        assert world.station.slots == {ONE: slot}
        assert world.opened == ["first", "second"]
        assert (slot.docked.token, slot.strikes, slot.reviving) == ("second", 2, False)
        assert world.power is not None
        assert world.power.cut == [ONE]
    (event,) = world.events("camera.power_cut")
    assert '"bay":"1"' in event


async def test_a_bay_asks_for_no_hand_while_the_station_still_tries_by_itself(world: World) -> None:
    world.hangs = {"first", "second", "third"}
    world.comes_back_as("second", "third")
    assert world.power is not None
    cut, said = world.power.meanwhile, list[BayAdvice]()
    assert cut is not None

    async def meanwhile() -> None:
        said.append(world.station.slots[ONE].advice())
        await cut()

    world.power.meanwhile = meanwhile
    what = "the reader gave no answer to 'open' within 30 s."
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert said == [BayAdvice(Advice.WAIT, f"trying again: {what}")] * 2
        assert slot.advice() == BayAdvice(Advice.TAKE_ABOARD, f"{what} Take the camera out and put it back.")


async def test_that_power_is_cut_is_written_down_before(world: World) -> None:
    world.hangs = {"first"}
    written: list[int] = []
    assert world.power is not None

    async def meanwhile() -> None:
        written.append(len(world.events("camera.power_cut")))
        world.bays.show(world.docked("second"))

    world.power.meanwhile = meanwhile
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
    assert written == [1]


async def test_a_camera_that_hangs_while_it_is_read_is_freed_under_its_name(world: World) -> None:
    world.hangs_later = {"first"}
    world.comes_back_as("second")
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
    (event,) = world.events("camera.power_cut")
    assert '"camera":"CAM1"' in event


@pytest.mark.parametrize("identified", [False, True])
async def test_a_seized_camera_keeps_its_power_and_the_bay_says_why(world: World, identified: bool) -> None:
    world.seize("CAM1")
    (world.hangs_later if identified else world.hangs).add("first")
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        advice = slot.advice()
        assert advice.advice is Advice.TAKE_ABOARD
        assert advice.reason == (f"The camera stopped answering: the camera is seized: nobody may change it. {AGAIN}")
        assert world.power is not None
        assert world.power.cut == []
    assert world.events("camera.power_cut") == []


async def test_a_camera_that_might_be_a_seized_one_keeps_its_power(world: World) -> None:
    world.seize("OTHER")
    world.hangs = {"first", "second"}
    world.comes_back_as("third")
    async with world.running():
        world.bays.show(world.docked("first", serial=None))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert "it might be a seized one" in slot.advice().reason
        world.bays.show(world.docked("second", serial="NEVER SEEN"))
        await world.until(lambda: world.station.slots.get(ONE) not in (slot, None) and world.station.slots[ONE].faulted)
        assert "it might be a seized one" in world.station.slots[ONE].advice().reason
        assert world.power is not None
        assert world.power.cut == []


@pytest.mark.parametrize("beside", [(), (PROFILE,)])
async def test_a_usb_serial_that_is_not_the_cameras_name_says_nothing_of_it(
    world: World, beside: tuple[Profile, ...]
) -> None:
    async with world.running():  # a camera of that name has been here before
        world.bays.show(world.docked("zeroth"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
    world.seize("OTHER")
    world.use(*beside, replace(PROFILE, name="marked", identity=Identity(IdentitySource.LABEL)))
    world.hangs = {"first"}
    world.bays = Bays()
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert "it might be a seized one" in slot.advice().reason
        assert world.power is not None
        assert world.power.cut == []


@pytest.mark.parametrize("source", [IdentitySource.USB, IdentitySource.LABEL])
async def test_a_camera_with_the_serial_of_a_seized_one_that_is_docked_besides_keeps_its_power(
    world: World, monkeypatch: pytest.MonkeyPatch, source: IdentitySource
) -> None:
    monkeypatch.setattr(presence, "GRACE_S", 0.01)
    world.use(replace(PROFILE, identity=Identity(source)))
    world.seize("CAM1")
    world.hangs_later = {"first"}
    other = world.docked("other", TWO)
    async with world.running():
        world.bays.show(other)
        good = await world.slot(TWO)
        await world.until(lambda: spooled(good))
        world.bays.show(other, world.docked("first"))
        slot = await world.slot(ONE)
        await world.until(lambda: slot.faulted)
        assert slot.session.standing.camera == "CAM1~1"
        assert "the camera is seized" in slot.advice().reason
        assert world.power is not None
        assert world.power.cut == []


async def test_a_window_that_ended_in_an_error_keeps_the_port_as_it_is(world: World) -> None:
    docked = world.docked("first")
    slot = Slot(docked, Session(world.kit, world.open, presence.Presence(), docked))
    assert world.power is not None
    cuts = Revival(world.kit, world.power)
    async with slot.session.interlock.window():
        assert await cuts.power_cycle(slot, here) == REFUSALS["window_open"]
    assert await cuts.power_cycle(slot, here) is None
    slot.window_broken = True
    assert not slot.session.interlock.window_open  # it may be taken out, and yet be written to
    assert await cuts.power_cycle(slot, here) == REFUSALS["window_open"]
    assert world.power.cut == [ONE]


async def test_a_window_that_ended_badly_is_remembered_at_the_next_tries_of_the_same_docking(world: World) -> None:
    world.breaks = {"first"}
    world.hangs = {"first", "second"}
    world.comes_back_as("third")
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert world.opened == ["first", "first"]
        assert slot.advice().reason == f"The camera stopped answering: it is being written to. {AGAIN}"
        assert world.power is not None
        assert world.power.cut == []
        world.bays.show(world.docked("second"))  # a person took it out: nothing writes to it any more
        await world.until(lambda: world.station.slots.get(ONE) not in (slot, None))
        await world.until(lambda: spooled(world.station.slots[ONE]))
        assert world.power.cut == [ONE]


def unlocked_and_faulted(world: World) -> bool:
    slot = world.station.slots.get(ONE)
    return slot is not None and slot.faulted and slot.docked.token.startswith("unlocked")


async def test_a_camera_that_was_taken_out_meanwhile_costs_the_next_one_no_power(world: World) -> None:
    power = world.power = Power()
    slot = Slot(world.docked("first"), world.station._session(world.docked("first")))
    for looks in ([False], [False, True]):
        said = await Revival(world.kit, power).power_cycle(slot, looks.pop)
        assert said == "it was taken out meanwhile"
    assert power.cut == []


async def test_a_locked_camera_that_hangs_is_not_power_cycled_for_ever(world: World) -> None:
    world.hangs = {f"unlocked{number}" for number in range(9)}
    world.comes_back_as(*(f"locked{number}" for number in range(1, 9)))
    async with world.running():
        world.bays.show(world.docked("locked0"))
        assert world.power is not None
        await world.until(lambda: unlocked_and_faulted(world) or len(world.power.cut) > revival.CUTS)  # type: ignore[union-attr]
        assert world.power.cut == [ONE] * revival.CUTS
        assert world.opened[-1] == "unlocked2"
        advice = world.station.slots[ONE].advice()
        assert advice.advice is Advice.TAKE_ABOARD
        assert advice.reason == f"The camera stopped answering: {REFUSALS['cut_often']}. {AGAIN}"
    assert len(world.events("camera.power_cut")) == revival.CUTS


async def test_cuts_of_long_ago_and_of_other_bays_forbid_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    docked, other = world.docked("first"), world.docked("other", TWO)
    slot = Slot(docked, Session(world.kit, world.open, presence.Presence(), docked))
    beside = Slot(other, Session(world.kit, world.open, presence.Presence(), other))
    assert world.power is not None
    cuts = Revival(world.kit, world.power)
    assert [await cuts.power_cycle(slot, here) for _ in range(3)] == [None, None, REFUSALS["cut_often"]]
    assert await cuts.power_cycle(beside, here) is None
    monkeypatch.setattr(revival, "CUTS_WITHIN_S", 0.0)
    assert await cuts.power_cycle(slot, here) is None


async def test_a_cut_that_no_hub_made_is_not_counted(world: World) -> None:
    docked = world.docked("first")
    slot = Slot(docked, Session(world.kit, world.open, presence.Presence(), docked))
    assert world.power is not None
    world.power.works = False
    cuts = Revival(world.kit, world.power)
    assert [await cuts.power_cycle(slot, here) for _ in range(3)] == [REFUSALS["no_switch"]] * 3


async def test_a_camera_that_is_back_at_once_is_seen_without_any_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_module, "RETURN_S", 0.0)
    world.hangs = {"first"}
    second = world.docked("second")
    assert world.power is not None

    async def meanwhile() -> None:
        world.bays.show(second)
        await world.until(lambda: world.station._wanted == {ONE: second})

    world.power.meanwhile = meanwhile
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot) or slot.faulted)
        assert (slot.docked, slot.faulted) == (second, False)


async def test_a_release_while_the_port_is_without_power_leaves_no_stale_bay(world: World) -> None:
    world.hangs = {"first"}
    off = asyncio.Event()
    assert world.power is not None

    async def meanwhile() -> None:
        world.bays.show()
        await world.until(lambda: not world.station._wanted)
        off.set()
        await asyncio.Event().wait()

    world.power.meanwhile = meanwhile
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        async with asyncio.timeout(LIMIT_S):
            await off.wait()
            await world.station.release(slot)
        await world.until(lambda: not world.station.slots)
        world.bays.show(world.docked("second"))
        another = await world.slot()
        await world.until(lambda: spooled(another))
    await world.station.release(another)  # a person who asks while the station ends


async def test_a_camera_that_is_known_not_to_be_the_seized_one_is_freed(world: World) -> None:
    async with world.running():  # it has been here before
        world.bays.show(world.docked("zeroth"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
    world.seize("OTHER")
    world.hangs = {"first"}
    world.comes_back_as("second")
    world.bays = Bays()
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
        assert world.power is not None
        assert world.power.cut == [ONE]


@pytest.mark.parametrize(
    ("upkeep", "words"),
    [
        (Upkeep(), "its profile does not allow that ([power] may_cut)"),
        (
            Upkeep(may_cut_power=True, power_owner="controller"),
            "its profile leaves the port to another controller ([power] owner)",
        ),
    ],
)
async def test_what_the_profile_does_not_allow_is_not_done(world: World, upkeep: Upkeep, words: str) -> None:
    world.use(replace(PROFILE, upkeep=upkeep), replace(PROFILE, name="other"))
    world.hangs = {"first"}
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert slot.advice().reason == f"The camera stopped answering: {words}. {AGAIN}"
        assert world.power is not None
        assert world.power.cut == []


@pytest.mark.parametrize("switch", [False, True])
async def test_without_a_switch_the_camera_must_be_taken_out(world: World, switch: bool) -> None:
    world.hangs = {"first"}
    assert world.power is not None
    world.power.works = False
    if not switch:
        world.power = None
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert slot.advice().reason == f"The camera stopped answering: this hub cannot switch the port. {AGAIN}"
        assert slot.strikes == 1
        world.bays.show()
        await world.until(lambda: not world.station.slots)
        world.bays.show(world.docked("second"))
        assert not (await world.slot()).faulted


async def test_a_camera_that_is_taken_out_while_a_switch_fails_has_left(world: World) -> None:
    world.hangs = {"first"}
    world.comes_back_as()
    assert world.power is not None
    world.power.works = False
    async with world.running():
        world.bays.show(world.docked("first"))
        await world.slot()
        await world.until(lambda: not world.station.slots)


async def test_a_camera_that_is_put_back_while_a_switch_fails_is_another_docking(world: World) -> None:
    world.hangs = {"first"}
    world.comes_back_as("second")
    assert world.power is not None
    world.power.works = False
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: world.station.slots.get(ONE) not in (slot, None))
        await world.until(lambda: spooled(world.station.slots[ONE]))
        assert world.opened == ["first", "second"]
        assert world.station.slots[ONE].strikes == 1


async def test_a_bay_takes_no_camera_before_the_last_ones_session_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_module, "END_GRACE_S", 0.05)
    world.clings = {"first"}
    with capture_logs() as logs:
        async with world.running():
            world.bays.show(world.docked("first"))
            slot = await world.slot()
            await world.until(lambda: world.opened)
            world.bays.show(world.docked("second"))
            await world.until(lambda: slot.faulted)
            assert slot.advice().advice is Advice.TAKE_ABOARD
            assert "has not ended yet" in slot.advice().reason
            assert (world.station.slots, world.opened) == ({ONE: slot}, ["first"])
            monkeypatch.setattr(station_module, "END_GRACE_S", LIMIT_S)  # the next one's real reader takes its time
            world.let_go.set()
            await world.until(lambda: world.station.slots.get(ONE) not in (slot, None))
            await world.until(lambda: spooled(world.station.slots[ONE]))
            assert world.opened == ["first", "second"]
    assert [line["bay"] for line in logs if line["event"] == "session.does_not_end"] == ["1"]


async def test_a_helper_that_is_away_is_no_fault_of_the_camera(world: World) -> None:
    world.away = 2 * STRIKES
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
        assert world.away == 0
        assert (slot.strikes, slot.faulted) == (1, False)


async def test_a_camera_that_does_not_come_back_leaves_an_empty_bay_and_a_line_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    does_not_wait_long(monkeypatch)
    world.hangs_later = {"first"}
    world.comes_back_as()
    with capture_logs() as logs:
        async with world.running():
            world.bays.show(world.docked("first"))
            await world.slot()
            await world.until(lambda: not world.station.slots)
            assert world.opened == ["first"]
    assert [line["camera"] for line in logs if line["event"] == "camera.not_returned"] == ["CAM1"]
    assert [line["bay"] for line in logs if line["event"] == "bay.emptied"] == ["1"]


async def test_a_camera_that_does_not_even_leave_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    does_not_wait_long(monkeypatch)
    world.hangs = {"first"}
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert "did not come back when its power did" in slot.advice().reason
        assert world.station.slots == {ONE: slot}


async def test_three_hangs_fault_the_bay(world: World) -> None:
    world.hangs = {"first", "second", "third"}
    world.comes_back_as("second", "third", "fourth")
    with capture_logs() as logs:
        async with world.running():
            world.bays.show(world.docked("first"))
            slot = await world.slot()
            await world.until(lambda: slot.faulted)
            assert world.opened == ["first", "second", "third"]
            assert slot.strikes == 3
            assert "gave no answer" in slot.advice().reason
            assert world.power is not None
            assert world.power.cut == [ONE, ONE]
    assert [line["strike"] for line in logs if line["event"] == "camera.power_cut"] == [1, 2]
    assert len([line for line in logs if line["event"] == "bay.faulted"]) == 1


async def test_other_bays_go_on_meanwhile(world: World) -> None:
    other = world.docked("other", TWO, "CAM2")
    world.hangs = {"first", "second", "third"}
    world.comes_back_as("second", "third", beside=(other,))
    async with world.running():
        world.bays.show(world.docked("first"), other)
        hung, good = await world.slot(ONE), await world.slot(TWO)
        await world.until(lambda: hung.faulted)
        await world.until(lambda: spooled(good))
        assert (good.strikes, good.docked) == (1, other)
        assert world.opened.count("other") == 1


async def test_a_ledger_that_fails_while_it_is_asked_ends_neither_bay_nor_station(world: World) -> None:
    other = world.docked("other", TWO, "CAM2")
    world.hangs_later = {"first"}
    async with world.running():
        world.bays.show(other)
        good = await world.slot(TWO)
        await world.until(lambda: spooled(good))
        world.hangs = {"second"}
        world.kit.database.run_blocking(lambda tx: tx.conn.execute("ALTER TABLE cameras RENAME TO elsewhere"))
        world.bays.show(other, world.docked("second"))
        slot = await world.slot(ONE)
        await world.until(lambda: slot.faulted)
        assert "custody verify" in slot.advice().reason
        assert world.power is not None
        assert world.power.cut == []
        assert world.station.slots[TWO] is good
        world.bays.show(other)
        await world.until(lambda: ONE not in world.station.slots)
        world.kit.database.run_blocking(lambda tx: tx.conn.execute("ALTER TABLE elsewhere RENAME TO cameras"))


async def test_a_camera_that_was_pulled_is_not_taken_for_one_that_hangs(world: World) -> None:
    world.gone = {"first"}
    async with world.running():
        world.bays.show(world.docked("first"))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert world.opened == ["first"] * 3
        assert world.power is not None
        assert world.power.cut == []


async def test_a_folder_that_hangs_is_tried_again_without_any_power(world: World) -> None:
    world.hangs = {"first"}
    async with world.running():
        world.bays.show(world.docked("first", usb=None))
        slot = await world.slot()
        await world.until(lambda: slot.faulted)
        assert world.opened == ["first"] * 3
        assert world.power is not None
        assert world.power.cut == []
        assert slot.session.standing.phase is Phase.IDENTIFYING


async def test_a_camera_that_somebody_takes_out_while_its_power_is_off_has_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    does_not_wait_long(monkeypatch)
    world.hangs = {"first"}
    world.comes_back_as()
    async with world.running():
        world.bays.show(world.docked("first"))
        await world.slot()
        await world.until(lambda: not world.station.slots)
        world.bays.show(world.docked("next"))
        slot = await world.slot()
        await world.until(lambda: spooled(slot))
        assert slot.strikes == 1


async def test_a_station_that_stops_while_a_port_is_without_power_ends(world: World) -> None:
    world.hangs = {"first"}
    begun = asyncio.Event()
    assert world.power is not None

    async def meanwhile() -> None:
        begun.set()
        await asyncio.Event().wait()

    world.power.meanwhile = meanwhile
    async with asyncio.timeout(LIMIT_S), world.running():
        world.bays.show(world.docked("first"))
        await begun.wait()
    assert world.station.slots == {}


async def test_a_camera_that_leaves_while_its_opening_is_undone_has_left(world: World) -> None:
    world.fails_slowly = {"a"}
    async with world.running():
        world.bays.show(world.docked("a"))
        slot = await world.slot()
        await world.until(lambda: world.opened)
        world.bays.show(world.docked("b"))  # the very moment at which a pulled camera is told twice
        await world.until(lambda: slot.leaving)
        await asyncio.sleep(0)  # the task that ends the session has begun
        world.let_go.set()
        await world.until(lambda: world.station.slots.get(ONE) not in (None, slot))
        assert await world.slot() is not slot
        await world.until(lambda: spooled(world.station.slots[ONE]))
    assert world.opened == ["a", "b"]
