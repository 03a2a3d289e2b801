"""What the configuration says, in the words of the adapters that it is for."""

from agent.config.bandwidth import timetable
from agent.config.model import Config, StoreTable
from agent.core.bandwidth_policy import BandwidthPolicy
from agent.core.clip import BayName
from agent.devices.folders import FolderBay
from agent.ports import StorePolicy
from agent.stores.s3_retention import Retention
from agent.stores.settings import StoreSettings
from agent.stores.throttle import Throttle


def store_settings(table: StoreTable, throttle: Throttle) -> StoreSettings:
    """One `[[stores]]` table, and what limits the store while the agent runs."""
    return StoreSettings(
        table.name,
        table.url,
        table.kind,
        receipt_key=table.receipt_key,
        credential=table.credential,
        ca=table.ca,
        client_cert=table.client_cert,
        client_key=table.client_key,
        connect_s=table.connect_s,
        stall_s=table.stall_s,
        region=table.region,
        proxy=table.proxy,
        proxy_credential=table.proxy_credential,
        interface=table.interface,
        source=None if table.source is None else str(table.source),
        insecure=table.insecure,
        throttle=throttle,
        retention=Retention(table.object_lock, table.object_lock_days, table.legal_hold, table.tags),
    )


def bandwidth_policy(config: Config) -> BandwidthPolicy:
    """How fast clips may leave. A directory takes nothing of the station's line."""
    stores = {s.name: timetable(s.limit, s.hours) for s in config.stores if not s.url.startswith("file:")}
    station = timetable(config.bandwidth.limit, config.bandwidth.hours)
    return BandwidthPolicy(config.station.zone, station, stores, config.bandwidth.yield_to_others)


def store_policies(config: Config, elsewhere: frozenset[str]) -> tuple[StorePolicy, ...]:
    """What each store is worth: one on this machine confirms only in a trial."""
    return tuple(StorePolicy(s.name, s.kind, config.station.trial or s.name in elsewhere, s.url) for s in config.stores)


def folder_bays(config: Config) -> dict[BayName, FolderBay]:
    """The bays and import folders that are directories."""
    bays: dict[BayName, FolderBay] = {}
    for bay in config.bays:
        if bay.folder is not None:
            bays[BayName(bay.name)] = FolderBay(bay.folder, must_be_mount=bay.must_be_mount)
        elif bay.simulated is not None:
            bays[BayName(bay.name)] = FolderBay(bay.simulated, driver="simulated")
    for each in config.imports:
        bays[BayName(each.name)] = FolderBay(each.folder, settle_s=each.settle_s)
    return bays


def usb_bays(config: Config) -> dict[BayName, tuple[str, ...]]:
    """The bays that are USB ports, each with its paths."""
    return {BayName(bay.name): bay.paths for bay in config.bays if bay.paths}


def bay_names(config: Config) -> list[str]:
    """The names of bays and import folders, in the order of the configuration."""
    return [bay.name for bay in config.bays] + [each.name for each in config.imports]
