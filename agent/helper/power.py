"""Cutting and restoring the power of a bay's port.

Rules: both halves of a USB 3 port are switched, or its power stays on; the kernel's own switch comes first, because a
port that was cut behind the kernel's back is switched on again by it. Where the kernel has none, or the hub refuses
it, `uhubctl` asks the hub directly. Neither can tell whether the hub really cuts the power: that is found out once,
when a dock is commissioned.
"""

import errno
import time
from collections.abc import Callable
from contextlib import suppress

from agent.helper.program import run
from agent.helper.refusal import Refusal, said
from agent.helper.sysfs import Port, set_attribute

OFF_S = 3.0
"""How long a cycle leaves the port without power: capacitors of a camera keep it alive for a moment."""
_UHUBCTL_S = 30.0
_NO_SWITCH = frozenset({errno.ENOENT, errno.EIO, errno.ENODEV, errno.EPIPE, errno.EOPNOTSUPP, errno.EPROTO})
_NONE_FOUND = "No compatible devices"


def switch(ports: tuple[Port, ...], to: str, *, pause: Callable[[float], None] = time.sleep) -> str:
    """Switch a bay's port "off", "on" or, as a "cycle", both; returns what did it. Raises Refusal."""
    if to != "cycle":
        return _set(ports, to)
    try:
        _set(ports, "off")
        pause(OFF_S)
    finally:
        done = _restore(ports)
    return done


def _restore(ports: tuple[Port, ...]) -> str:
    """Whatever has become of one half, the other gets its power back; what fails is tried once more."""
    try:
        return _set(ports, "on")
    except Refusal:
        for port in ports:
            with suppress(Refusal):
                _set((port,), "on")
        return _set(ports, "on")


def _set(ports: tuple[Port, ...], to: str) -> str:
    try:
        for port in ports:
            set_attribute(port.place, "disable", "1" if to == "off" else "0")
    except OSError as error:
        if error.errno not in _NO_SWITCH:
            raise Refusal("failed", f"{ports[0].place.name} cannot be switched {to}: {said(error)}") from error
        _ask_hub(ports, to)
        return "uhubctl"
    return "sysfs"


def _ask_hub(ports: tuple[Port, ...], to: str) -> None:
    done = 0
    for port in ports:
        # -e: of this hub only, which is one half; the halves are known here.
        arguments = ("-e", "-l", port.location, "-p", str(port.number), "-a", to)
        try:
            outcome = run("uhubctl", *arguments, within_s=_UHUBCTL_S)
        except FileNotFoundError as error:
            raise Refusal("no_switch", "the kernel cannot switch this port, and uhubctl is not installed") from error
        if outcome.code == 0:
            done += 1
        elif _NONE_FOUND not in outcome.text:
            raise Refusal("failed", f"uhubctl cannot switch {port.place.name} {to}: {outcome.text}")
    if not done:
        raise Refusal("no_switch", f"the hub {ports[0].hub} cannot switch single ports")
