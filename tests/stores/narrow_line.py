"""An upload over a line that really is narrow, with others on it: prints what was seen as one JSON object.

Run it in a network of its own: everything on the loopback device there goes through one slow queue of a second.

    unshare -Urn python -m tests.stores.narrow_line DIRECTORY [yields|holds]

First the upload is alone, then others send at OTHERS of the line's rate, then they have gone. A telephone is a small
packet every FRAME_S, of which the time on the way is taken.
"""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import structlog

from agent.ports import Transfer, UploadStopped
from agent.services.yielding import Yielding
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.remote import Remote
from agent.stores.route import Route
from agent.stores.throttle import Throttle
from agent.stores.tus import TusStore
from tests.contracts.store_place import MIB, Hints, make_shipment
from tests.fakes.hostile_store import HostileStore

RATE = 1_000_000
OTHERS = 0.6
ALONE_S, SHARED_S, AFTER_S = 4.0, 8.0, 7.0
FRAME_S = 0.02
FRAME_BYTES = 1_200
SETUP = (
    "/usr/sbin/ip link set lo mtu 1500 up",
    "/usr/sbin/tc qdisc add dev lo root tbf rate 8mbit burst 16kb latency 1000ms",
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What held, and how long the newest telephone packet was on its way, so many seconds after the beginning."""

    at_s: float
    limit: int | None
    phone_s: float
    arrived_bytes: int
    shown: str | None


class Phone(asyncio.DatagramProtocol):
    """Takes packets that name the time at which they were sent."""

    last_s = 0.0

    def datagram_received(self, data: bytes, _: object) -> None:
        self.last_s = time.monotonic() - float(data.split(b" ")[0])


class Greedy(Route):
    """Sends by the congestion control that fills any buffer; one that keeps queues short needs less of us."""

    def transport(self, tls: ssl.SSLContext, limits: httpx.Limits) -> httpx.HTTPTransport:
        option = (socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        return httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits, socket_options=[option])


async def call(to: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            sender.sendto(f"{time.monotonic()} ".encode().ljust(160), to)
            await asyncio.sleep(FRAME_S)


async def others(rate: float) -> None:
    """Send to nobody, however full the line is."""
    began, sent_bytes = time.monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.setblocking(False)
        while True:
            while sent_bytes < rate * (time.monotonic() - began):
                with suppress(BlockingIOError):  # what the line does not take is lost
                    sender.sendto(bytes(FRAME_BYTES), sender.getsockname())
                sent_bytes += FRAME_BYTES
            await asyncio.sleep(0.005)


async def measure(directory: Path, *, yields: bool) -> list[Moment]:
    loop, transfer, line = asyncio.get_running_loop(), Transfer(), Yielding("central")
    line.wanted = yields
    shipment = make_shipment(directory, bytes(48 * MIB))
    moments: list[Moment] = []
    async with HostileStore() as server, asyncio.TaskGroup() as group:
        phone, protocol = await loop.create_datagram_endpoint(Phone, ("127.0.0.1", 0))
        remote = Remote(
            "central",
            Endpoint.of(server.url),
            "hub7",
            lambda: datetime.now(UTC),
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            route=Greedy(),
        )
        store = TusStore(remote, None, TusLimits(patch_bytes=2 * MIB), throttle=Throttle(watch=line))

        async def send() -> None:
            with suppress(UploadStopped):
                await store.send(shipment, None, transfer, Hints(transfer).keep)

        async def look(seconds: float) -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(0.25)
                view = line.view()
                arrived_bytes = sum(map(len, server.stored()))
                moments.append(
                    Moment(
                        round(time.monotonic() - began, 2),
                        line.limit(),
                        round(protocol.last_s, 3),
                        arrived_bytes,
                        None if view is None else str(view["shown"]),
                    )
                )

        began = time.monotonic()
        group.create_task(send())
        calling = group.create_task(call(phone.get_extra_info("sockname")))
        await look(ALONE_S)
        more = group.create_task(others(RATE * OTHERS))
        await look(SHARED_S)
        more.cancel()
        await look(AFTER_S)
        transfer.stop.set()
        calling.cancel()
    phone.close()
    await store.close()
    return moments


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for command in SETUP:
        subprocess.run(command.split(), check=True)  # noqa: S603 - as they stand above
    found = asyncio.run(measure(Path(sys.argv[1]), yields="holds" not in sys.argv))
    print(json.dumps([asdict(moment) for moment in found]))  # noqa: T201
