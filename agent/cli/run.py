"""`dock-agent run`: the service."""

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.failure import expected_in
from agent.cli.options import DEFAULT_CONFIG, ConfigFile, load
from agent.core.errors import AgentError, ConfigError

if TYPE_CHECKING:
    from agent.config import Config

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_LOOK_S = 1.0
AwaitConfig = Annotated[
    bool,
    typer.Option(
        "--await-config", help="Where there is no configuration yet, wait for one that holds, then end with 0."
    ),
]


def run(config: ConfigFile = DEFAULT_CONFIG, await_config: AwaitConfig = False) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    A wipe window that is open is finished first.
    """
    from agent.observe.logs import configure_logs

    if await_config and not config.exists():
        configure_logs()
        _await(config)
        return
    settings = load(config)
    configure_logs()
    try:
        asyncio.run(_serve(settings))
    except BaseException as error:
        _log_crash(error)
        raise


def _await(config: Path) -> None:
    """Tell the service manager that there is nothing to do yet, until the configuration can be used.

    The service then ends and is started as always, so that it has one way to begin. A file that is still being written,
    or is wrong, is waited for as well: its mistake is said once.
    """
    import structlog

    from agent.observe.notify import notify

    log = structlog.get_logger()
    said = ""
    while True:
        problem = _unusable(config)
        if not problem:
            log.info("config.found", path=str(config))
            return
        if problem != said:
            log.info("config.awaited", problem=problem)
            # A status is one line.
            why = problem.splitlines()[0] if config.exists() else "run dock-agent setup."
            notify(f"READY=1\nSTATUS=Not configured yet: {why}")
            said = problem
        notify("WATCHDOG=1")
        time.sleep(_LOOK_S)


def _unusable(config: Path) -> str:
    """Why the configuration cannot be used; empty when it can."""
    try:
        load(config)
    except ConfigError as error:
        return str(error)
    return ""


def _log_crash(error: BaseException) -> None:
    """Leave the traceback of an unexpected end in the log: stderr only gets a sentence, and nobody may be watching."""
    import structlog

    told = isinstance(error, AgentError | KeyboardInterrupt | SystemExit)  # these have words or a code of their own
    if not told and not (isinstance(error, BaseExceptionGroup) and expected_in(error)):
        structlog.get_logger().error("agent.crashed", exc_info=error)


async def _serve(config: "Config") -> None:
    import structlog

    from agent.app import serve

    log = structlog.get_logger()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stop.set)
    # Sent by habit after a change of the configuration, which is taken over by itself; it must not end the service.
    loop.add_signal_handler(
        signal.SIGHUP, lambda: log.info("agent.hangup", hint="a changed configuration is seen by itself")
    )
    try:
        await serve(config, stop=stop, on_ready=lambda where: log.info("agent.ready", address=where))
    finally:
        for number in (*_STOPPING, signal.SIGHUP):
            loop.remove_signal_handler(number)
