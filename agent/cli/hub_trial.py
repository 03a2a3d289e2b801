"""Cuts the power of one bay's port for a moment and tells what was seen of it.

Rules: a port with something in it is touched only when the running service says that nothing goes on there and a person
has named the camera. The helper gives the power back, whatever becomes of us meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cli.hub_ports import BayPort, ask
from agent.core.bay import Advice

CYCLE_S = 60.0
BACK_S = 15.0
"""How long what was in the port has to come back."""
_STEP_S = 0.1
_CALM = frozenset({Advice.TAKE, Advice.TAKE_ABOARD})

Look = Callable[[], tuple[BayPort, ...]]


@dataclass(frozen=True, slots=True)
class Trial:
    """What was seen; `left` and `returned` are None when nothing was in the port."""

    by: str  # what the helper switched it by
    off: bool | None  # the hub said that the power was off; None when the kernel cannot tell
    on: bool | None  # and that it is on again
    left: bool | None
    returned: bool | None

    @property
    def works(self) -> bool:
        """Whether nothing speaks against it."""
        return False not in {self.off, self.on, self.left, self.returned} and self.off is not None


def why_not(ports: tuple[BayPort, ...], view: Mapping[str, Any] | None, camera: str | None) -> str | None:
    """Why the power of this bay must not be cut now; None when it may be.

    `view` is what the running service says of the bay, None when none runs; `camera` the serial that a person named.
    """
    occupied = bool(view and view.get("occupied"))
    if not occupied and not any(port.device for port in ports):
        return None
    if view is None:
        return "Something is in it, and no service runs that knows whether it is being read. Take it out first."
    if not occupied:
        return "Something is in it of which the service knows nothing. Take it out first."
    there = view.get("camera")
    if camera is None or camera != there:
        return "A camera is in it. Take it out, or, if its power may be cut, name it: --camera SERIAL."
    if view.get("seized"):
        return "Its camera is seized, and nobody may cut its power."
    if view.get("advice") not in _CALM:
        return f"Its camera is busy: {view.get('reason')}. Wait until the bay says that it may be taken."
    return None


def run_trial(helper: Path, bay: str, look: Look) -> Trial:
    """Do it; takes some seconds. Raises CameraError."""
    return asyncio.run(_run(helper, bay, look))


async def _run(helper: Path, bay: str, look: Look) -> Trial:
    before = look()
    seen: list[tuple[BayPort, ...]] = []
    async with asyncio.TaskGroup() as group:
        cycle = group.create_task(ask(helper, "power", within_s=CYCLE_S, bay=bay, to="cycle"))
        while not cycle.done():
            seen.append(await asyncio.to_thread(look))
            await asyncio.sleep(_STEP_S)
    answer = cycle.result()
    numbers = {port.device_number for port in before if port.device}
    after = look()
    try:
        async with asyncio.timeout(BACK_S):
            while numbers and not _new(after, numbers):
                await asyncio.sleep(_STEP_S)
                after = await asyncio.to_thread(look)
    except TimeoutError:
        pass
    return Trial(
        by=str(answer.get("by")),
        off=_any_off(seen),
        on=_all_on(after),
        left=any(not any(port.device for port in ports) for ports in seen) if numbers else None,
        returned=_new(after, numbers) if numbers else None,
    )


def _new(ports: tuple[BayPort, ...], numbers: set[str | None]) -> bool:
    """Whether something is there that was not there before; what comes back has another number."""
    return any(port.device and port.device_number not in numbers for port in ports)


def _any_off(seen: list[tuple[BayPort, ...]]) -> bool | None:
    """Whether at some time every half of the port was without power."""
    told = [[port.power for port in ports] for ports in seen]
    return None if any(None in each for each in told) else any(True not in each for each in told)


def _all_on(ports: tuple[BayPort, ...]) -> bool | None:
    told = [port.power for port in ports]
    return None if None in told else False not in told
