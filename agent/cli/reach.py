"""The way to the running service, or to the station's files where none runs.

A mistake in the configuration keeps nobody from a service that runs: it goes on with what it has taken over, and a
seizure must reach it. The mistake is then a warning.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.failure import report, report_system_error
from agent.cli.options import load
from agent.cli.terminal import say_error
from agent.core.errors import ConfigError

if TYPE_CHECKING:
    from agent.cli.service import Service
    from agent.config import Config


def reach(config_file: Path) -> "Service | Config":
    """The running service; the configuration where none runs. Raises ConfigErrors, OSError, ServiceFailed."""
    from agent.cli.service import find_service

    try:
        config = load(config_file)
    except (ConfigError, OSError) as error:
        return _reach_in_spite(config_file, error)
    return find_service(config.api.socket) or config


def _reach_in_spite(config_file: Path, error: ConfigError | OSError) -> "Service":
    from agent.cli.service import find_service
    from agent.config.whereabouts import find_socket

    socket = find_socket(config_file)
    service = None if socket is None else find_service(socket)
    if service is None:
        raise error
    if isinstance(error, OSError):
        report_system_error(error)
    else:
        report(error)
    say_error("Warning: the configuration has mistakes; the service goes on with what it had taken over before.")
    return service
