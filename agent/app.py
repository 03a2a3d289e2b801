"""Puts the agent together: the only place that names concrete classes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent.config import Config, ConfigErrors, ConfigProblem, load_config, watch
from agent.config.adapters import bay_names, folder_bays, store_policies, store_settings
from agent.config.notices import INSTALLED, clock_notices, notices_of, store_notices
from agent.core.errors import AgentError, LedgerError
from agent.devices.folders import FolderWatch
from agent.devices.profiles import LoadedProfiles, load_profiles
from agent.devices.reader.camera import open_camera
from agent.ledger.custody import Recorder, newest_at, tool_version, utc_now
from agent.ledger.database import Database
from agent.ledger.recovery import Recovery, drop_parts, recover
from agent.ledger.spool import Spool
from agent.observe.notify import notify
from agent.ports import EvidenceStore, JsonObject
from agent.services.audit import watch_over
from agent.services.desk import Desk
from agent.services.disposal import purge_spool
from agent.services.kit import Kit, Settings
from agent.services.station import Station
from agent.services.uploader import Uploader
from agent.stores.client import open_store

if TYPE_CHECKING:
    from agent.core.profile import Profile

log = structlog.get_logger()

FALLBACK_PROFILE = "any-folder"
PURGE_EVERY_S = timedelta(minutes=10).total_seconds()
DISK_THREADS = 8
LOOKUP_THREADS = 4
VERSION = version("bwv-dock-agent")


@dataclass(frozen=True, slots=True)
class Agent:
    """The parts of a running agent."""

    config: Config
    kit: Kit
    watch: FolderWatch
    station: Station
    uploader: Uploader
    desk: Desk
    bay_names: list[str]
    notices: list[str]
    found: list[str]  # what start-up found; stays until the next start
    elsewhere: frozenset[str]  # stores that do not share this machine's fate


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
        elsewhere = _open_stores(config, stores, passed)
        loaded = load_profiles(config.profiles_directory, station_zone=station.zone)
        settings = _settings(config, loaded, elsewhere)
        found = [*_found(report), *clock_notices(recorder.clock(), passed)]
        notices = [*notices_of(config, loaded), *store_notices(settings.stores), *found]
        kit = Kit(database, recorder, spool, disk, stores, settings, INSTALLED, set(report.purges_unfinished))
        await kit.apply(settings)
        names = bay_names(config)
        watch_bays = FolderWatch(folder_bays(config) if bays else {})
        hub = Station(kit, open_camera, watch_bays)
        uploader = Uploader(kit)
        desk = Desk(kit, hub, uploader, version=VERSION, bay_names=lambda: names, notices=notices)
        await kit.ledger(lambda tx, rec: rec.record(tx, "agent.started", _started(config, report)))
        yield Agent(config, kit, watch_bays, hub, uploader, desk, names, notices, found, elsewhere)
        await kit.ledger(lambda tx, rec: rec.record(tx, "agent.stopped", {}))
        await kit.bear_witness()
    finally:
        for store in stores.values():
            await store.close()
        disk.shutdown()
        database.close()


def _found(report: Recovery) -> list[str]:
    """What start-up found that a person should know."""
    found = []
    if report.copies_failed:
        found.append(f"{len(report.copies_failed)} objects were missing from the spool; dock their cameras again.")
    if report.witness_missing:
        found.append("The ledger's witness is missing: an older ledger would not have been noticed at this start.")
    if report.unknown_objects:
        found.append(f"{report.unknown_objects} objects in the spool are unknown to the ledger; they were kept.")
    return found


def _started(config: Config, report: Recovery) -> JsonObject:
    return {
        "config": config.digest,
        "wiping": config.wipe.enabled,
        "trial": config.station.trial,
        "copies_failed": len(report.copies_failed),
        "unknown_objects": report.unknown_objects,
    }


def _open_stores(config: Config, stores: dict[str, EvidenceStore], passed: datetime) -> frozenset[str]:
    """Open all stores into `stores`; returns the names of those that do not share this machine's fate."""
    elsewhere = set()
    for table in config.stores:
        opened = open_store(
            store_settings(table),
            station=config.station.id,
            clock=utc_now,
            spool_dir=config.station.state_dir / "spool",
            passed=passed,
            allow_unsafe=config.station.allow_unsafe_spool,
        )
        stores[table.name] = opened.store
        if not opened.same_machine:
            elsewhere.add(table.name)
    return frozenset(elsewhere)


def _settings(config: Config, loaded: LoadedProfiles, elsewhere: frozenset[str]) -> Settings:
    fallback: Profile | None = next((p for p in loaded.profiles if p.name == FALLBACK_PROFILE), None)
    return Settings(
        station=config.station.id,
        digest=config.digest,
        copies=config.confirm.copies,
        wiping=config.wipe.enabled,
        trial=config.station.trial,
        enrolled=config.cameras.enrolled,
        profiles=tuple(p for p in loaded.profiles if p.match.markers),
        fallback=fallback,
        stores=store_policies(config, elsewhere),
        keep_s=config.station.keep_hours * 3600,
        workers=config.upload.workers,
    )


async def serve(config: Config, *, stop: asyncio.Event, on_ready: Callable[[str], None]) -> None:
    """Run the service until `stop` is set; open wipe windows are finished first. Raises AgentError."""
    from agent.web.serve import serve as serve_web  # noqa: PLC0415 - only the service pays for the web server

    async with assemble(config) as agent:

        def ready(url: str) -> None:
            notify("READY=1")
            on_ready(url)

        async with asyncio.TaskGroup() as group:
            flows = [
                group.create_task(agent.uploader.run(), name="uploader"),
                group.create_task(agent.station.run(), name="station"),
                group.create_task(watch_over(agent.kit), name="audit"),
                group.create_task(_purge(agent.kit), name="purge"),
                group.create_task(_follow_changes(agent), name="reload"),
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
        flows = [group.create_task(agent.uploader.run()), group.create_task(watch_over(agent.kit))]
        try:
            async for progress in agent.desk.hand_over(request):
                yield progress
        finally:
            for flow in flows:
                flow.cancel()


async def _purge(kit: Kit) -> None:
    await kit.audited.wait()  # before, nothing may go, and the next round is ten minutes away
    while True:
        try:
            purged = await purge_spool(kit)
        except LedgerError as error:  # recorded as purged or not at all; the next round finishes it
            log.warning("spool.purge_failed", problem=str(error))
        else:
            if purged:
                log.info("spool.purged", objects=purged)
                kit.ring()
        await asyncio.sleep(PURGE_EVERY_S)


async def _follow_changes(agent: Agent) -> None:
    """Take a changed configuration into force; a wrong one is reported and the old one stays."""
    async for _ in watch.changes(agent.config.watched):
        try:
            await _reload(agent)
        except AgentError as error:
            log.exception("config.refused", problem=str(error))
            agent.notices[:] = [n for n in agent.notices if not n.startswith(_REFUSED)]
            agent.notices.append(f"{_REFUSED} {error}")
            agent.kit.ring()


_REFUSED = "The changed configuration was refused, the old one stays:"


async def _reload(agent: Agent) -> None:
    config = load_config(agent.config.source)
    if config.digest == agent.kit.settings.digest and not any(n.startswith(_REFUSED) for n in agent.notices):
        return
    if config.station.id != agent.config.station.id or config.station.state_dir != agent.config.station.state_dir:
        raise ConfigErrors([ConfigProblem(str(config.source), "station", "id and state_dir need a restart")])
    loaded = load_profiles(config.profiles_directory, station_zone=config.station.zone)
    started = agent.config
    if (config.stores, config.api, config.upload) != (started.stores, started.api, started.upload):
        raise ConfigErrors([ConfigProblem(str(config.source), "", "[[stores]], [api] and [upload] need a restart")])
    if (config.station.allow_unsafe_spool, config.station.reserve_bytes) != (
        started.station.allow_unsafe_spool,
        started.station.reserve_bytes,
    ):
        raise ConfigErrors([ConfigProblem(str(config.source), "station", "the spool's settings need a restart")])
    settings = _settings(config, loaded, agent.elsewhere)
    await agent.kit.apply(settings)
    agent.watch.set_bays(folder_bays(config))
    agent.bay_names[:] = bay_names(config)
    agent.notices[:] = [*notices_of(config, loaded), *store_notices(settings.stores), *agent.found]
    await agent.kit.ledger(lambda tx, rec: rec.record(tx, "agent.reconfigured", {"config": config.digest}))
    log.info("config.reloaded", config=config.digest)
    agent.kit.ring()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found: problems stop the agent, notes are worth knowing."""

    problems: list[ConfigProblem]
    notes: list[str]


def check(path: Path) -> CheckReport:
    """Read the configuration, profiles and keys without touching ledger, spool or any store."""
    try:
        config = load_config(path)
        loaded = load_profiles(config.profiles_directory, station_zone=config.station.zone)
        asyncio.run(_try_stores(config))
    except ConfigErrors as error:
        return CheckReport(error.problems, [])
    except AgentError as error:
        return CheckReport([ConfigProblem(str(path), "stores", error.told())], [])
    problems = [ConfigProblem(p.file, p.key, p.reason) for p in loaded.problems]
    return CheckReport(problems, notices_of(config, loaded))


async def _try_stores(config: Config) -> None:
    """Make the adapters, which checks keys and addresses; no store is asked anything."""
    stores: dict[str, EvidenceStore] = {}
    try:
        _open_stores(config, stores, INSTALLED)
    finally:
        for store in stores.values():
            await store.close()
