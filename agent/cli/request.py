"""What a person asks of the station, brought to the running service or, where that is enough, to the ledger."""

from pathlib import Path
from typing import Any

from agent.cli.failure import NotRunning
from agent.cli.options import load
from agent.cli.wording import safe


def ask(config_file: Path, action: str, *, actor: str, reason: str, **fields: str) -> None:
    """Do it and say so. Raises ActionRefused, NotRunning, ConfigErrors."""
    from agent.cli.service import find_service

    config = load(config_file)
    request = {"actor": actor, "reason": reason, **fields}
    service = find_service(config.api.socket)
    if service is None:
        from agent.cli.stopped_station import act_on_ledger

        done = act_on_ledger(config, action, request)
    else:
        with service:
            done = service.act(action, request)
    print(safe(done))


def read(config_file: Path, what: str, **query: str | int) -> Any:  # noqa: ANN401 - whatever JSON the API has for it
    """Read one view of the running service. Raises NotRunning, ServiceFailed, ConfigErrors."""
    from agent.cli.service import find_service

    service = find_service(load(config_file).api.socket)
    if service is None:
        raise NotRunning("No service runs on this station.")
    with service:
        return service.get(what, **query)
