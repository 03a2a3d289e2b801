"""Answers without an end: they cost time, never memory."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import AgentError
from agent.core.object import ReceiptKind
from agent.ports import Transfer
from tests.contracts.store_place import Hints, stopped_halfway
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import LIMITS, Try, adapter, half

HASTY = replace(LIMITS, connect_s=0.2, stall_s=0.4, answer_s=0.4, control_s=0.5)
MOST_BYTES = 24 << 20
"""Sockets' buffers, the store of the test included, and what the interpreter keeps. The floods are far larger."""


def resident(field: str) -> int:
    """Bytes of this process: now (VmRSS), or at most since `watch` (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def watch() -> int:
    """Begin to measure the peak anew; the bytes that are resident now."""
    Path("/proc/self/clear_refs").write_text("5")  # source: proc(5)
    return resident("VmRSS")


async def ask(attempt: Try, what: str, handle: str) -> None:
    if what in ("RECEIPT", "GET"):
        await attempt.store.prove(attempt.shipment, handle, [ReceiptKind.READBACK, ReceiptKind.SIGNED][what != "GET"])
    else:
        await attempt.send()


@pytest.mark.parametrize("fault", ["endless headers", "huge header", "flood of 1xx", "endless body", "bomb"])
@pytest.mark.parametrize("what", ["POST", "HEAD", "PATCH", "RECEIPT", "GET"])
async def test_a_flood_costs_no_memory(hostile: HostileStore, signed: Try, what: str, fault: str) -> None:
    handle = await signed.send()
    signed.hints = await stopped_halfway(half(hostile), signed.shipment) if what == "HEAD" else Hints(Transfer())
    await signed.use(adapter(hostile, HASTY, signed=True))
    hostile.faults |= {what: fault} | ({"RECEIPT": "status 404"} if what == "GET" else {})
    before = watch()
    async with asyncio.timeout(20):
        with pytest.raises(AgentError):
            await ask(signed, what, handle)
    assert resident("VmHWM") - before < MOST_BYTES
