"""`dock-agent run`: the service."""

import asyncio
import signal
from typing import TYPE_CHECKING

from agent.cli.failure import expected_in
from agent.cli.options import DEFAULT_CONFIG, ConfigFile, load
from agent.core.errors import AgentError

if TYPE_CHECKING:
    from agent.config import Config

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    A wipe window that is open is finished first.
    """
    from agent.observe.logs import configure_logs

    settings = load(config)
    configure_logs()
    try:
        asyncio.run(_serve(settings))
    except BaseException as error:
        _log_crash(error)
        raise


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
