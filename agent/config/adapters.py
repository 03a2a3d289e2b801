"""What the configuration says, in the words of the adapters that it is for."""

from agent.config.model import Config, StoreTable
from agent.core.clip import BayName
from agent.devices.folders import FolderBay
from agent.ports import StorePolicy
from agent.stores.client import StoreSettings


def store_settings(table: StoreTable) -> StoreSettings:
    """One `[[stores]]` table."""
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
        insecure=table.insecure,
    )


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


def bay_names(config: Config) -> list[str]:
    """The names of the bays that this version serves, in the order of the configuration."""
    return list(folder_bays(config))
