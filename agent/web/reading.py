"""The routes that only read. None of them serves bytes of a clip."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from agent.ports import Desk
from agent.web.answer import json_answer
from agent.web.metrics import CONTENT_TYPE, metrics_text
from agent.web.query import SEQ_MAX, Query
from agent.web.refusal import Refusal

T = TypeVar("T")

ANSWER_S = 10.0
"""The desk has this long to answer one question."""
_ROWS = {"default": 200, "least": 1, "most": 10_000}
_UPLOADS = {"default": 200, "least": 1, "most": 1000}


class Reading:
    """Answers from one desk."""

    def __init__(self, desk: Desk) -> None:
        """Ask `desk`."""
        self._desk = desk

    async def station(self, request: Request) -> Response:
        """The station as a whole."""
        Query(request.query_params, ())
        return json_answer(await answered(self._desk.station()))

    async def bays(self, request: Request) -> Response:
        """Every bay with its one advice."""
        Query(request.query_params, ())
        return json_answer(await answered(self._desk.bays()))

    async def clips(self, request: Request) -> Response:
        """Clips, newest sighting first."""
        query = Query(request.query_params, ("camera", "custody", "limit"))
        wanted = self._desk.clips(camera=query.camera(), custody=query.custody(), limit=query.number("limit", **_ROWS))
        return json_answer(await answered(wanted))

    async def queue(self, request: Request) -> Response:
        """Running and waiting uploads."""
        limit = Query(request.query_params, ("limit",)).number("limit", **_UPLOADS)
        return json_answer(await answered(self._desk.queue(limit=limit)))

    async def events(self, request: Request) -> Response:
        """Custody events, for reading."""
        after, limit = _range(request)
        return json_answer(await answered(self._desk.events(after=after, limit=limit)))

    async def custody(self, request: Request) -> Response:
        """Custody events as the exact lines that can be verified, each ended by a line feed."""
        after, limit = _range(request)
        lines = await answered(self._desk.custody_lines(after=after, limit=limit))
        raw = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        return Response(raw, media_type="text/plain")

    async def health(self, request: Request) -> Response:
        """What a person should look at. Always 200: it is the agent that answers."""
        Query(request.query_params, ())
        return json_answer(await answered(self._desk.health()))

    async def metrics(self, request: Request) -> Response:
        """Counts and bytes for Prometheus."""
        Query(request.query_params, ())
        station = await answered(self._desk.station())
        bays = await answered(self._desk.bays())
        health = await answered(self._desk.health())
        return Response(metrics_text(station, bays, health), headers={"Content-Type": CONTENT_TYPE})


async def answered(question: Awaitable[T]) -> T:
    """Wait for the desk, but not for ever. Raises Refusal 503."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await question
    except TimeoutError as error:
        hint = "It is busy or its disk hangs; try again, and look at its log if this stays so."
        raise Refusal(503, f"the agent did not answer within {ANSWER_S:.0f} s", hint) from error


def _range(request: Request) -> tuple[int, int]:
    query = Query(request.query_params, ("after", "limit"))
    return query.number("after", default=0, least=0, most=SEQ_MAX), query.number("limit", **_ROWS)
