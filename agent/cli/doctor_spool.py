"""`dock-agent doctor spool`: what the spool lies on, and whether whoever takes the disk could read it."""

import typer

from agent.cli.failure import Exit
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.terminal import print_json
from agent.cli.wording import safe

_NOT_LOOKED_AT = ("cipher", "key", "unfinished_change")
_NOT_LOOKED_AT_WORDS = (
    "Not looked at, because only root is told: which cipher encrypts (cipher_null is none), whether a change of the"
    " encryption was left half done, and where the key lies. `cryptsetup luksDump DEVICE` says the first two."
)


def spool(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Find out whether the spool's disk and swap are encrypted, by what the kernel says of them.

    Nothing is changed; also while the service runs. Exit codes: 0 they are, as far as can be seen; 1 one of them is
    not, or nobody can tell.
    """
    from agent.files.block_layers import why_plain
    from agent.files.swap import plain_swaps

    station = load(config).station
    place = station.state_dir / "spool"
    why, swaps = why_plain(place), plain_swaps()
    if as_json:
        facts = {"spool": str(place), "encrypted": why is None, "why": why, "allowed": station.allow_plain_spool}
        print_json({**facts, "plain_swap": swaps, "not_looked_at": list(_NOT_LOOKED_AT)})
    else:
        _say(safe(str(place)), why, allowed=station.allow_plain_spool)
        for swap in swaps:
            print(f"Swap is not encrypted: {safe(swap)}. Footage and keys in memory may be written there.")
            print("Turn it off, or encrypt it: the operator's guide (operator.md).")
        print(_NOT_LOOKED_AT_WORDS)
    raise typer.Exit(Exit.DONE if why is None and not swaps else Exit.FAILED)


def _say(place: str, why: str | None, *, allowed: bool) -> None:
    if why is None:
        print(f"The spool {place} lies on encrypted disks only.")
    else:
        print(f"The spool {place} is not encrypted: {safe(why)}.")
        said = "allowed by allow_plain_spool = true" if allowed else "not copied"
        print(f"Cameras at USB ports are {said}. How to encrypt it: the operator's guide (operator.md).")
