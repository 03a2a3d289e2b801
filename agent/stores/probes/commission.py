"""One run of all probes of one store: bounded in time, and tidied up after, however it ends.

Rules: only on a person's command, never at a start; what is asked goes to the store as it is configured, with its
credential and its certificate. Nothing is recorded here: a run that did not end says nothing about the store.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from agent.core.commissioning import Certificate, Commissioning, Seen
from agent.core.errors import ConfigError, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.ports import Clock
from agent.stores.client import directory_root, s3_parts, tus_parts
from agent.stores.control import Control
from agent.stores.probes.certificate import look_at_certificate
from agent.stores.probes.directory import DirectoryProbe
from agent.stores.probes.findings import Findings
from agent.stores.probes.tus import TusProbe
from agent.stores.remote import Remote
from agent.stores.settings import StoreSettings
from agent.stores.standing import Standing
from agent.stores.workers import Workers

LONGEST_S = 300.0
CLEAN_S = 30.0
CALL_S = 120.0
"""For one request: the largest body has 5 MiB, and a line may be slow."""


class Probing(Protocol):
    """One run of the probes of one kind of store."""

    findings: Findings

    async def run(self) -> frozenset[ReceiptKind]:
        """Ask everything."""
        ...

    async def clean(self) -> None:
        """Remove what was created."""
        ...


class Commission:
    """What `run` goes by, and what it left behind even if it failed."""

    def __init__(self, settings: StoreSettings, station: str, clock: Clock, *, longest_s: float = LONGEST_S) -> None:
        """Nothing is asked yet; `longest_s` is for all probes together."""
        self._settings, self._station, self._clock = settings, station, clock
        self._longest_s = longest_s
        self.left: list[str] = []

    async def run(self, before: Certificate | None = None) -> Commissioning:
        """Probe the store; `before` is its certificate at the last probe.

        Raises StoreError kinds when it cannot even be used, ConfigError. Cancellation: what was created is removed, as
        far as that goes in CLEAN_S.
        """
        match self._settings.url.partition(":")[0]:
            case "tus+http" | "tus+https":
                return await self._tus(before)
            case "s3+http" | "s3+https":
                return await self._s3(before)
            case "file":
                return await self._directory()
            case "axis":
                hint = "It needs none: each clip is read back there before it counts, whatever the destination says."
                raise ConfigError(f"store {self._settings.name}: content destinations are not probed", hint=hint)
            case scheme:
                raise ConfigError(f"store {self._settings.name}: {scheme} is no kind of store that is known")

    async def _tus(self, before: Certificate | None) -> Commissioning:
        remote, keys = tus_parts(self._settings, self._station, self._standing())
        async with self._control(remote) as control:
            probe = TusProbe(remote, control, keys)
            kinds = await self._asked(probe)
        return self._recorded(remote, probe.findings, kinds, before)

    async def _s3(self, before: Certificate | None) -> Commissioning:
        from agent.stores.probes.s3 import S3Probe  # noqa: PLC0415 - it loads the library that signs

        remote, address, signature = s3_parts(self._settings, self._station, self._standing())
        async with self._control(remote, takes_bodies=True) as control:
            probe = S3Probe(remote, control, address, signature)
            kinds = await self._asked(probe)
        return self._recorded(remote, probe.findings, kinds, before)

    async def _directory(self) -> Commissioning:
        probe = DirectoryProbe(self._settings.name, directory_root(self._settings))
        workers = Workers(self._settings.name, 1)
        try:
            kinds = await workers.run(probe.run, stall_s=self._longest_s)
        finally:
            try:
                await workers.run(probe.clean, stall_s=CLEAN_S)
            finally:
                workers.close()
                self.left = probe.findings.left
        return self._made(Seen(f"file system {probe.system}", None), probe.findings, kinds)

    def _standing(self) -> Standing:
        return Standing(self._settings.name, self._settings.url, self._settings.require, self._clock)

    @asynccontextmanager
    async def _control(self, remote: Remote, *, takes_bodies: bool = False) -> AsyncIterator[Control]:
        connect_s = self._settings.connect_s
        control = Control(remote, connect_s, min(CALL_S, self._longest_s), takes_bodies=takes_bodies)
        try:
            yield control
        finally:
            await control.close()

    async def _asked(self, probe: Probing) -> frozenset[ReceiptKind]:
        try:
            async with asyncio.timeout(self._longest_s):
                return await probe.run()
        except TimeoutError as error:
            text = f"store {self._settings.name}: the probes were not over within {self._longest_s:.0f} s"
            raise StoreUnreachable(text, hint="Try again when the line is better; nothing was recorded.") from error
        finally:
            try:
                async with asyncio.timeout(CLEAN_S):
                    await probe.clean()
            except TimeoutError:
                probe.findings.left.append(f"perhaps more: tidying up was not over within {CLEAN_S:.0f} s")
            self.left = probe.findings.left

    def _recorded(
        self, remote: Remote, findings: Findings, kinds: frozenset[ReceiptKind], before: Certificate | None
    ) -> Commissioning:
        seen = remote.sighting.last or Seen(None, None)
        own_ca = self._settings.ca is not None
        look_at_certificate(findings, seen.certificate, before, own_ca=own_ca, now=self._clock())
        return self._made(seen, findings, kinds)

    def _made(self, seen: Seen, findings: Findings, kinds: frozenset[ReceiptKind]) -> Commissioning:
        name, place = self._settings.name, self._settings.url
        return Commissioning(name, place, self._clock(), seen, kinds, tuple(findings.probes), tuple(findings.left))
