"""What the configuration and the profiles say, in the words of the flows."""

from agent.config.adapters import bandwidth_policy, store_policies
from agent.config.model import Config
from agent.devices.profiles import LoadedProfiles
from agent.services.kit import Settings

FALLBACK_PROFILE = "any-folder"


def settings_of(config: Config, loaded: LoadedProfiles, elsewhere: frozenset[str]) -> Settings:
    """What the operator decided; `elsewhere` are the stores that do not share this machine's fate."""
    return Settings(
        station=config.station.id,
        digest=config.digest,
        copies=config.confirm.copies,
        wiping=config.wipe.enabled,
        trial=config.station.trial,
        enrolled=config.cameras.enrolled,
        profiles=tuple(p for p in loaded.profiles if p.match.markers or p.match.usb),
        fallback=next((p for p in loaded.profiles if p.name == FALLBACK_PROFILE), None),
        stores=store_policies(config, elsewhere),
        keep_s=config.station.keep_hours * 3600,
        workers=config.upload.workers,
        bandwidth=bandwidth_policy(config),
    )
