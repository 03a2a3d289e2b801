"""What a person asks of the station, brought to the running service or, where that is enough, to the ledger."""

from pathlib import Path
from typing import Any

from agent.cli.failure import NotRunning
from agent.cli.reach import reach
from agent.cli.wording import safe


def ask(config_file: Path, action: str, *, actor: str, reason: str, **fields: str) -> None:
    """Do it and say so. Raises ActionRefused, NotRunning, ConfigErrors."""
    from agent.cli.service import Service

    station = reach(config_file)
    request = {"actor": actor, "reason": reason, **fields}
    if isinstance(station, Service):
        with station:
            done = station.act(action, request)
    else:
        from agent.cli.stopped_station import act_on_ledger

        done = act_on_ledger(station, action, request)
    print(safe(done))


def read(config_file: Path, what: str, **query: str | int) -> Any:  # noqa: ANN401 - whatever JSON the API has for it
    """Read one view of the running service. Raises NotRunning, ServiceFailed, ConfigErrors."""
    from agent.cli.service import Service

    station = reach(config_file)
    if not isinstance(station, Service):
        raise NotRunning("No service runs on this station.")
    with station:
        return station.get(what, **query)
