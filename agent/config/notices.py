"""What an operator should read at every start: not wrong, but worth saying."""

from agent.config.model import Config
from agent.devices.profiles import LoadedProfiles
from agent.ports import StorePolicy


def notices_of(config: Config, loaded: LoadedProfiles) -> list[str]:
    """List them, in plain sentences."""
    notices = [f"{p.file}: {p.key}: {p.reason}" for p in loaded.problems]
    if config.station.trial:
        notices.append("TRIAL: a store on this machine may confirm footage. Not for evidence.")
    if config.station.allow_unsafe_spool:
        notices.append("The spool may lie on a file system that loses synced footage in a power cut (trial setting).")
    notices += [f"Bay {b.name}: USB paths are not served by this version." for b in config.bays if b.paths]
    if not config.stores:
        notices.append("No store is configured: footage stays in the spool and no camera is wiped.")
    if config.wipe.enabled:
        notices.append("Wiping is ON: cameras are cleared of what is confirmed ([wipe] enabled = true).")
    else:
        notices.append("Wiping is off: cameras keep their footage ([wipe] enabled = false).")
    if not cpu_has_sha():
        notices.append("This CPU has no SHA instructions: hashing is about four times slower.")
    return notices


def store_notices(stores: tuple[StorePolicy, ...]) -> list[str]:
    """Which stores open no gate, and why."""
    return [
        f"Store {s.name} is on this machine: it confirms nothing unless trial = true." for s in stores if not s.counts
    ]


def cpu_has_sha() -> bool:
    """Whether the CPU hashes SHA-256 in hardware (x86 sha_ni, ARM sha2)."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - a kernel file
            return any(
                line.startswith(("flags", "Features")) and bool({"sha_ni", "sha2"} & set(line.split()))
                for line in lines
            )
    except OSError:
        return False
