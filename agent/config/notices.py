"""What an operator should read at every start: not wrong, but worth saying."""

from datetime import UTC, datetime
from pathlib import Path

from agent.config.model import Config
from agent.core.clock_policy import clock_problem
from agent.devices.profiles import LoadedProfiles
from agent.ports import StorePolicy

_SHA_FLAGS = frozenset({"sha_ni", "sha2"})

INSTALLED = datetime.fromtimestamp(int(Path(__file__).stat().st_mtime), UTC)
"""When the agent was installed at the latest: a moment that has passed."""


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
    return notices + processor_notices(Path("/proc/cpuinfo"))


def clock_notices(now: datetime, passed: datetime) -> list[str]:
    """What shows that the clock is wrong; `passed` is a moment that has passed."""
    problem = clock_problem(now, passed)
    return [f"Set the clock: {problem}."] if problem else []


def store_notices(stores: tuple[StorePolicy, ...]) -> list[str]:
    """Which stores open no gate, and why."""
    return [
        f"Store {s.name} is on this machine: it confirms nothing unless trial = true." for s in stores if not s.counts
    ]


def processor_notices(cpuinfo: Path) -> list[str]:
    """What the station's processor means for its speed. `cpuinfo` is the kernel's list, one line `flags` per core."""
    try:
        lines = cpuinfo.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
    flags = [set(line.split()) for line in lines if line.startswith(("flags", "Features"))]
    if not flags or flags[0] & _SHA_FLAGS:
        return []
    slow = (
        "This processor has no SHA instructions (sha_ni, on ARM sha2): hashing takes about four times as long, so"
        " offload and upload are slower than they need be."
    )
    return [slow]
