"""Puts the agent together: the only place that names concrete classes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog

from agent.config import Config, ConfigErrors, ConfigProblem, load_config, watch
from agent.config.adapters import bay_names, folder_bays, store_settings, usb_bays
from agent.config.notices import INSTALLED, clock_notices, found_notices, notices_of, store_notices
from agent.config.places import place_notices
from agent.config.restart import refuse_what_needs_a_restart
from agent.config.settings import settings_of
from agent.core.errors import AgentError
from agent.devices.dock import Dock, refusals
from agent.devices.folders import FolderWatch
from agent.devices.profiles import LoadedProfiles, load_profiles
from agent.files.block_layers import why_plain
from agent.ledger.custody import Recorder, newest_at, tool_version, utc_now
from agent.ledger.database import Database
from agent.ledger.recovery import Recovery, drop_parts, recover
from agent.ledger.spool import Spool
from agent.observe.notify import feed_watchdog, notify
from agent.ports import EvidenceStore, JsonObject
from agent.services.announcer import Announcer
from agent.services.audit import watch_over
from agent.services.bandwidth import Bandwidth, follow_hours
from agent.services.desk import Desk
from agent.services.kit import Kit
from agent.services.purge import purge_regularly
from agent.services.renewals import follow_endings
from agent.services.station import Station
from agent.services.uploader import Uploader
from agent.stores.client import open_store
from agent.stores.standing import Standing, endings_of, told_of
from agent.stores.throttle import Bucket, Throttle

log = structlog.get_logger()

DISK_THREADS = 8
LOOKUP_THREADS = 4
VERSION = version("bwv-dock-agent")
_REFUSED = "The changed configuration was refused, the old one stays:"


@dataclass(frozen=True, slots=True)
class Agent:
    """The parts of a running agent."""

    config: Config
    kit: Kit
    folders: FolderWatch
    dock: Dock
    station: Station
    uploader: Uploader
    announcer: Announcer
    desk: Desk
    bay_names: list[str]
    notices: list[str]
    found: list[str]  # what start-up found; stays until the next start
    elsewhere: frozenset[str]  # stores that do not share this machine's fate
    standings: list[Standing]  # of the stores


def make_recorder(config: Config) -> Recorder:
    """The writer of custody events of this station."""
    return Recorder(config.station.id, tool_version(VERSION), utc_now)


def open_ledger(config: Config) -> Database:
    """Open the ledger. Raises LedgerBusy while the service runs."""
    return Database.open(ledger_path(config))


def ledger_path(config: Config) -> Path:
    """Where the ledger lies."""
    return config.station.state_dir / "ledger.sqlite"


@asynccontextmanager
async def assemble(config: Config, *, bays: bool = True) -> AsyncIterator[Agent]:
    """Open everything, repair what the last stop left, and close it all again. Raises AgentError."""
    # Only look-ups of host names use the loop's own threads; they are few and may hang.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup"))
    database = Database.open(ledger_path(config), before=lambda: drop_parts(config.station.state_dir / "spool"))
    disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="disk")
    stores: dict[str, EvidenceStore] = {}
    try:
        recorder = make_recorder(config)
        passed = max(INSTALLED, database.run_blocking(newest_at) or INSTALLED)
        station = config.station
        root = station.state_dir / "spool"
        spool = Spool.open(root, allow_unsafe=station.allow_unsafe_spool, reserve_bytes=station.reserve_bytes)
        report = recover(database, spool, recorder)
        bandwidth = Bandwidth()
        standings: list[Standing] = []
        elsewhere = _open_stores(config, stores, passed, bandwidth, standings)
        loaded = load_profiles(config.profiles_directory, station_zone=station.zone)
        settings = settings_of(config, loaded, elsewhere)
        found = [*found_notices(report), *clock_notices(recorder.clock(), passed)]
        notices = [*notices_of(config, loaded), *store_notices(settings), *found]
        unfinished = set(report.purges_unfinished)
        kit = Kit(database, recorder, spool, disk, stores, settings, INSTALLED, unfinished, bandwidth)
        await kit.apply(settings)
        names = bay_names(config)
        folders = FolderWatch(folder_bays(config) if bays else {})
        dock = _open_dock(config, kit, bays=bays)
        hub = Station(kit, dock.open, (folders, dock.watch), dock.power)
        uploader = Uploader(kit)
        announcer = Announcer(kit, uploader)
        desk = Desk(kit, hub, uploader, version=VERSION, bay_names=lambda: names, notices=notices, announcer=announcer)
        desk.told = lambda: told_of(standings, kit.settings.copies, beside=dock.problems)
        await kit.ledger(lambda tx, rec: rec.record(tx, "agent.started", _started(config, report)))
        yield Agent(
            config, kit, folders, dock, hub, uploader, announcer, desk, names, notices, found, elsewhere, standings
        )
        dock.close()
        await kit.ledger(lambda tx, rec: rec.record(tx, "agent.stopped", {}))
        await kit.bear_witness()
    finally:
        for store in stores.values():
            await store.close()
        disk.shutdown()
        database.close()


def _open_dock(config: Config, kit: Kit, *, bays: bool) -> Dock:
    return Dock(
        usb_bays(config) if bays else {},
        guard=config.usb.guard,
        helper=config.usb.helper,
        sockets=config.usb.readers,
        profiles=lambda: kit.settings.profiles,
        plain=None if config.station.allow_plain_spool else why_plain(kit.spool.root),
    )


def _started(config: Config, report: Recovery) -> JsonObject:
    return {
        "config": config.digest,
        "wiping": config.wipe.enabled,
        "trial": config.station.trial,
        "copies_failed": len(report.copies_failed),
        "unknown_objects": report.unknown_objects,
    }


def _open_stores(
    config: Config, stores: dict[str, EvidenceStore], passed: datetime, rates: Bandwidth, standings: list[Standing]
) -> frozenset[str]:
    """Open all into `stores` and `standings`; returns the names of those that do not share this machine's fate."""
    elsewhere = set()
    shared = Bucket(rates.station_limit)
    for table in config.stores:
        own = Bucket(partial(rates.store_limit, table.name))
        opened = open_store(
            store_settings(table, Throttle(shared, own, watch=rates.line(table.name))),
            station=config.station.id,
            clock=utc_now,
            spool_dir=config.station.state_dir / "spool",
            passed=passed,
            allow_unsafe=config.station.allow_unsafe_spool,
            marks=config.station.state_dir / "stores",
        )
        stores[table.name] = opened.store
        standings.append(opened.standing)
        if not opened.same_machine:
            elsewhere.add(table.name)
    return frozenset(elsewhere)


async def follow_limits(kit: Kit) -> None:
    """Let the limits of bandwidth follow the hours, until cancelled."""
    await follow_hours(kit.bandwidth, kit.recorder.clock, kit.ring)


async def serve(config: Config, *, stop: asyncio.Event, on_ready: Callable[[str], None]) -> None:
    """Run the service until `stop` is set; open wipe windows are finished first. Raises AgentError."""
    from agent.web.serve import serve as serve_web  # noqa: PLC0415 - only the service pays for the web server

    async with assemble(config) as agent:

        def ready(url: str) -> None:
            notify(f"READY=1\nSTATUS=Serving {len(agent.bay_names)} bays; page: {url}")
            on_ready(url)

        async with asyncio.TaskGroup() as group:
            flows = [
                group.create_task(agent.uploader.run(), name="uploader"),
                group.create_task(agent.announcer.run(), name="announcements"),
                group.create_task(agent.desk.drain.run(), name="drain"),
                group.create_task(follow_limits(agent.kit), name="bandwidth"),
                group.create_task(agent.station.run(), name="station"),
                group.create_task(watch_over(agent.kit), name="audit"),
                group.create_task(purge_regularly(agent.kit), name="purge"),
                group.create_task(follow_endings(agent.kit, partial(endings_of, agent.standings)), name="endings"),
                group.create_task(_follow_changes(agent), name="reload"),
                group.create_task(feed_watchdog(partial(agent.kit.database.run, newest_at)), name="watchdog"),
            ]
            group.create_task(
                serve_web(agent.desk, listen=config.api.listen, socket=config.api.socket, stop=stop, on_ready=ready),
                name="web",
            )
            await stop.wait()
            notify("STOPPING=1")
            for flow in flows:
                flow.cancel()


async def offload_alone(config: Config, request: JsonObject) -> AsyncIterator[JsonObject]:
    """Take one folder through the chain without a service; yields what `Desk.hand_over` yields."""
    async with assemble(config, bays=False) as agent, asyncio.TaskGroup() as group:
        flows = [
            group.create_task(agent.uploader.run()),
            group.create_task(watch_over(agent.kit)),
            group.create_task(follow_limits(agent.kit)),
        ]
        try:
            async for progress in agent.desk.hand_over(request):
                yield progress
        finally:
            for flow in flows:
                flow.cancel()


async def _follow_changes(agent: Agent) -> None:
    """Take a changed configuration into force; a wrong one is reported and the old one stays."""
    async for _ in watch.changes(agent.config.watched):
        try:
            await _reload(agent)
        except AgentError as error:
            log.error("config.refused", problem=str(error))  # noqa: TRY400 - a person's mistake needs words
            agent.notices[:] = [n for n in agent.notices if not n.startswith(_REFUSED)]
            agent.notices.append(f"{_REFUSED} {error}")
            agent.kit.ring()


async def _reload(agent: Agent) -> None:
    config = load_config(agent.config.source)
    if config.digest == agent.kit.settings.digest and not any(n.startswith(_REFUSED) for n in agent.notices):
        return
    refuse_what_needs_a_restart(agent.config, config)
    loaded = load_profiles(config.profiles_directory, station_zone=config.station.zone)
    settings = settings_of(config, loaded, agent.elsewhere)
    await agent.kit.apply(settings)
    agent.folders.set_bays(folder_bays(config))
    agent.dock.set_bays(usb_bays(config), guard=config.usb.guard)
    agent.bay_names[:] = bay_names(config)
    agent.notices[:] = [*notices_of(config, loaded), *store_notices(settings), *agent.found]
    await agent.kit.ledger(lambda tx, rec: rec.record(tx, "agent.reconfigured", {"config": config.digest}))
    log.info("config.reloaded", config=config.digest)
    agent.kit.ring()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found: problems stop the agent, notes are worth knowing."""

    problems: list[ConfigProblem]
    notes: list[str]


def check(path: Path) -> CheckReport:
    """Read the configuration, profiles, keys and records without touching ledger, spool or any store."""
    try:
        config = load_config(path)
        loaded = load_profiles(config.profiles_directory, station_zone=config.station.zone)
        seen = asyncio.run(_try_stores(config, loaded))
    except ConfigErrors as error:
        return CheckReport(error.problems, [])
    except AgentError as error:
        return CheckReport([ConfigProblem(str(path), "stores", error.told())], [])
    problems = [ConfigProblem(p.file, p.key, p.reason) for p in loaded.problems]
    plain = None if config.station.allow_plain_spool else why_plain(config.station.state_dir / "spool")
    notes = [*refusals(usb_bays(config), plain), *notices_of(config, loaded), *place_notices(config), *seen]
    return CheckReport(problems, notes)


async def _try_stores(config: Config, loaded: LoadedProfiles) -> list[str]:
    """Make the adapters, which checks keys and addresses, and say how they stand; no store is asked anything."""
    stores: dict[str, EvidenceStore] = {}
    standings: list[Standing] = []
    try:
        elsewhere = _open_stores(config, stores, INSTALLED, Bandwidth(), standings)
        problems, notices = told_of(standings, config.confirm.copies)
        return [*problems, *notices, *store_notices(settings_of(config, loaded, elsewhere))]
    finally:
        for store in stores.values():
            await store.close()
