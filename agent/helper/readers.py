"""Starting and ending the process that touches one camera: a unit of systemd, one instance for each bay.

Source: systemctl(1), systemd.resource-control(5). The instance is the bay's name as it is; its form leaves nothing
to escape.
"""

import os
from pathlib import Path

from agent.devices.helper_wire import READER_KINDS
from agent.helper.account import reader_account
from agent.helper.program import Outcome, run
from agent.helper.refusal import Refusal, said
from agent.helper.sysfs import node_of

_UNITS = {
    "storage": "dock-reader@{}.service",
    "ext4": "dock-reader-ext4@{}.service",
    "usb": "dock-reader-usb@{}.service",
}
_START_S = 60.0
_STOP_S = 10.0


def units_of(bay: str) -> tuple[str, ...]:
    """Every unit that may serve a bay."""
    return tuple(_UNITS[kind].format(bay) for kind in READER_KINDS)


def start(bay: str, kind: str, device: Path | None) -> None:
    """Start the bay's reader afresh; `device` is the one USB device whose node it gets. Raises Refusal."""
    unit = _UNITS[kind].format(bay)
    if device is not None:
        _lend(unit, node_of(device))
    outcome = _systemctl("restart", unit, within_s=_START_S)
    if outcome.code != 0:
        raise Refusal("failed", f"{unit} does not start: {outcome.text}")


def _lend(unit: str, node: Path) -> None:
    """Give a unit this one node, and take from it any that it had before."""
    reader = reader_account()
    try:
        os.chown(node, 0, 0, follow_symlinks=False)  # its owner alone may change the mode
        os.chmod(node, 0o600)  # noqa: PTH101 - as the calls around it
        os.chown(node, reader.pw_uid, reader.pw_gid, follow_symlinks=False)
    except FileNotFoundError as error:
        raise Refusal("no_such_device", f"there is no {node}") from error
    except OSError as error:
        raise Refusal("failed", f"{node} cannot be handed to the reader: {said(error)}") from error
    outcome = _systemctl("set-property", "--runtime", unit, "DeviceAllow=", f"DeviceAllow={node} rw", within_s=_STOP_S)
    if outcome.code != 0:
        raise Refusal("failed", f"{unit} cannot be given {node}: {outcome.text}")


def end(units: tuple[str, ...]) -> None:
    """Have these units killed, without waiting for their end. Raises Refusal.

    They are killed at once (KillSignal=); one whose camera hangs goes when its port loses power.
    """
    outcome = _systemctl("stop", "--no-block", *units, within_s=_STOP_S)
    if outcome.code != 0:
        raise Refusal("failed", f"{units[0]} cannot be ended: {outcome.text}")


def end_all() -> None:
    """Kill every reader of every bay. Raises Refusal."""
    end(units_of("*"))


def _systemctl(*arguments: str, within_s: float) -> Outcome:
    try:
        return run("systemctl", "--no-ask-password", *arguments, within_s=within_s)
    except FileNotFoundError as error:
        raise Refusal("failed", "there is no systemd to run readers") from error
