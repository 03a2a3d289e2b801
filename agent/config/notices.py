"""What an operator should read at every start: not wrong, but worth saying."""

from datetime import UTC, datetime
from pathlib import Path

from agent.config.model import Config
from agent.core.clock_policy import clock_problem
from agent.core.enrolment import Enrolment
from agent.devices.profiles import LoadedProfiles
from agent.files.block_layers import why_plain
from agent.files.swap import plain_swaps
from agent.ledger.recovery import Recovery
from agent.services.kit import Settings
from agent.stores.way_out import is_there

_SHA_FLAGS = frozenset({"sha_ni", "sha2"})

INSTALLED = datetime.fromtimestamp(int(Path(__file__).stat().st_mtime), UTC)
"""When the agent was installed at the latest: a moment that has passed."""


def notices_of(config: Config, loaded: LoadedProfiles) -> list[str]:
    """List them, in plain sentences."""
    notices = [str(problem) for problem in loaded.problems]
    if config.station.trial:
        notices.append("TRIAL: a store on this machine may confirm footage. Not for evidence.")
    if config.station.allow_unsafe_spool:
        notices.append("The spool may lie on a file system that loses synced footage in a power cut (trial setting).")
    notices += spool_notices(config)
    if not config.usb.guard and any(bay.paths for bay in config.bays):
        notices.append("Any USB device that is plugged in is let in before it is looked at ([usb] guard = false).")
    notices += [
        f"Store {store.name}: there is no network interface {store.interface} now."
        for store in config.stores
        if store.interface is not None and not is_there(store.interface)
    ]
    if "time_zone" not in config.station.model_fields_set and _has_hours(config):
        notices.append("Limits of bandwidth have hours, which count as UTC: [station] time_zone is not set.")
    if not config.stores:
        notices.append("No store is configured: footage stays in the spool and no camera is wiped.")
    if config.wipe.enabled:
        notices.append("Wiping is ON: cameras are cleared of what is confirmed ([wipe] enabled = true).")
        if any(Enrolment.parse(entry).is_everyone for entry in config.cameras.enrolled):
            notices.append(
                'Every camera is enrolled ("*" in [cameras] enrolled): whatever is docked is cleared, also a camera'
                " that is not yours."
            )
    else:
        notices.append("Wiping is off: cameras keep their footage ([wipe] enabled = false).")
    return notices + processor_notices(Path("/proc/cpuinfo"))


def spool_notices(config: Config) -> list[str]:
    """That whoever takes the station's disk can read what lies in the spool, where that stops no bay."""
    why = why_plain(config.station.state_dir / "spool")
    if why is None:
        return swap_notices(plain_swaps())
    uses_usb = any(bay.paths for bay in config.bays)
    if uses_usb and not config.station.allow_plain_spool:  # that is a problem, and told as one
        return []
    end = (
        " (allow_plain_spool = true)" if config.station.allow_plain_spool else "; cameras at USB ports would be refused"
    )
    return [f"The spool is not encrypted{end}: {why}. Whoever takes the station has the footage in it."]


def swap_notices(plain: list[str]) -> list[str]:
    """That memory, with footage and keys in it, may reach a disk as it is. `plain` says where and why."""
    if not plain:
        return []
    text = f"The spool is encrypted, and swap is not ({'; '.join(plain)})"
    hint = "Turn it off, or encrypt it: the operator's guide (operator.md)."
    return [f"{text}: footage and keys in memory may be written there. {hint}"]


def found_notices(report: Recovery) -> list[str]:
    """What start-up found that a person should know."""
    found = []
    if report.copies_failed:
        found.append(f"{len(report.copies_failed)} objects were missing from the spool; dock their cameras again.")
    if report.witness_missing:
        found.append("The ledger's witness is missing: an older ledger would not have been noticed at this start.")
    if report.unknown_objects:
        found.append(f"{report.unknown_objects} objects in the spool are unknown to the ledger; they were kept.")
    return found


def _has_hours(config: Config) -> bool:
    return bool(config.bandwidth.hours or any(store.hours for store in config.stores))


def clock_notices(now: datetime, passed: datetime) -> list[str]:
    """What shows that the clock is wrong; `passed` is a moment that has passed."""
    problem = clock_problem(now, passed)
    return [f"Set the clock: {problem}."] if problem else []


def store_notices(settings: Settings) -> list[str]:
    """Which stores open no gate, and why; whether nothing is left that could."""
    notices = [
        f"Store {s.name} is on this machine: it confirms nothing unless trial = true."
        for s in settings.stores
        if not s.counts
    ]
    if settings.stores and settings.never is not None:
        notices.append(f"Nothing can ever be confirmed: {settings.never}.")
    return notices


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
