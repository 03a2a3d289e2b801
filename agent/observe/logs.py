"""Logs: one event a line. JSON for machines, coloured words when a person looks at a terminal."""

import logging
import sys
from contextlib import suppress
from typing import TextIO

import structlog


class _Printer(structlog.PrintLogger):
    """Prints lines, and loses one that cannot be written: a full disk behind stderr must not end the service."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure_logs(stream: TextIO | None = None, *, level: str = "info", as_json: bool | None = None) -> None:
    """Set up logging once per process; `as_json` None means: unless the stream is a terminal."""
    stream = stream or sys.stderr
    for_machines = not stream.isatty() if as_json is None else as_json
    # Tracebacks stay plain: the decorated ones show local variables, and a credential may be among them.
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if for_machines
        else [structlog.dev.ConsoleRenderer(pad_event_to=24, exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: _Printer(stream),
        cache_logger_on_first_use=False,
    )
