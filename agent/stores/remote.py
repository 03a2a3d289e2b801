"""What is known about one store behind the network: its address, our credential, and under which clock we ask."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from agent.core.errors import StoreLied
from agent.ports import Clock
from agent.stores.credential import Credential
from agent.stores.endpoint import Endpoint
from agent.stores.route import Route
from agent.stores.sighting import Sighting
from agent.stores.this_machine import leads_here
from agent.stores.trust import Trust

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Remote:
    """`name` is the store's in messages; `station` is ours as the store's receipts must name it.

    `passed` is a moment that has certainly passed, for a clock that may be wrong.
    `same_machine` is what the address says; it is asked once, so that it stays what the store was opened as.
    """

    name: str
    endpoint: Endpoint
    station: str
    clock: Clock
    tls: ssl.SSLContext
    credential: Credential = field(default_factory=Credential)
    passed: datetime = LONG_AGO
    route: Route = field(default_factory=Route)
    trust: Trust | None = None  # where the files behind `tls` may change while the agent runs
    sighting: Sighting = field(default_factory=Sighting)  # how the store presented itself last
    same_machine: bool = field(init=False)

    def __post_init__(self) -> None:
        """Look whether the address is one of this machine. Blocks on a small file."""
        object.__setattr__(self, "same_machine", self.endpoint.is_this_machine)

    @property
    def context(self) -> ssl.SSLContext:
        """What a new connection is made with, as the files stand now."""
        return self.tls if self.trust is None else self.trust.context

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What one request carries: `more`, and the credential as it is now."""
        return {**self.credential.headers(), **(more or {})}

    def refuse_here(self, response: httpx.Response) -> None:
        """Make sure that a proof comes from where the store is said to be. Raises StoreLied, OSError.

        A second copy under another name of this machine would be lost together with the spool. Where a proxy stands
        between, the connection ends there and shows nothing.
        """
        if self.route.proxy is None and not self.same_machine and leads_here(response):
            hint = "If it shall be a store on this machine, write 127.0.0.1 into its url; otherwise mend the name."
            raise StoreLied(f"store {self.name}: the store's name leads to this machine", hint=hint)
