"""The routes that ask for something to be done; only the Unix socket has them."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.core.errors import ActionRefused, AgentError
from agent.ports import Desk, JsonObject
from agent.web.answer import json_answer, json_text
from agent.web.body import json_object
from agent.web.lifeline import while_wanted
from agent.web.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.core.custody import JsonValue

log = structlog.get_logger()

ACT_S = 60.0
"""An urgent release may have to wait for an open wipe window; nothing takes longer."""
_ACTION = re.compile(r"[a-z][a-z-]{0,31}")
_HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/x-ndjson")]}
_STOPPED: "Mapping[str, JsonValue]" = {
    "error": "the agent is stopping",
    "hint": "Nothing is lost; give the folder again once the agent runs.",
}
_INTERNAL: "Mapping[str, JsonValue]" = {"error": "internal error", "hint": "The agent's log says more."}


class Orders:
    """Passes orders to one desk. `closing` ends offloads that run."""

    def __init__(self, desk: Desk, closing: asyncio.Event) -> None:
        """Order from `desk`."""
        self._desk = desk
        self._closing = closing

    async def act(self, request: Request) -> Response:
        """Do what a person asks; a refusal of the desk is answered with 409."""
        action = str(request.path_params["action"])
        if _ACTION.fullmatch(action) is None:
            raise Refusal(404, "there is no such action", "An action is a word in small letters, such as seize.")
        body = await json_object(request)
        try:
            async with asyncio.timeout(ACT_S):
                done = await self._desk.act(action, body)
        except ActionRefused as error:
            raise Refusal(409, str(error), error.hint) from error
        except TimeoutError as error:
            hint = "It may have been done in part: look at the bays and at the custody events."
            raise Refusal(503, f"the agent did not finish within {ACT_S:.0f} s", hint) from error
        return json_answer(done)

    async def offload(self, request: Request) -> "HandOver":
        """Offload a folder; the answer is a stream."""
        return HandOver(self._desk, await json_object(request), self._closing)


class HandOver:
    """The answer to an offload: one JSON object a line, progress first, then the result or an error.

    The offload stops when the client goes; what is in the spool by then stays and is uploaded.
    """

    def __init__(self, desk: Desk, wanted: JsonObject, closing: asyncio.Event) -> None:
        """Nothing happens before the call."""
        self._desk, self._wanted, self._closing = desk, wanted, closing
        self._ended = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the lines."""
        await send(_HEAD)
        try:
            await while_wanted(self._run(send), receive, self._closing)
        except BaseExceptionGroup as group:
            known = _known(group)
            await _line(send, _INTERNAL if known is None else {"error": str(known), "hint": known.hint}, last=True)
            if known is None:
                raise
            log.info("offload.refused", code=known.code)
            return
        await _line(send, None if self._ended else _STOPPED, last=True)

    async def _run(self, send: Send) -> None:
        steps: AsyncIterator[JsonObject] = self._desk.hand_over(self._wanted)
        try:
            async for step in steps:
                await _line(send, step)
            self._ended = True
        finally:
            if isinstance(steps, AsyncGenerator):
                await steps.aclose()  # it may hold a camera open


async def _line(send: Send, value: "Mapping[str, JsonValue] | None", *, last: bool = False) -> None:
    body = b"" if value is None else f"{json_text(value)}\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": not last})


def _known(group: BaseExceptionGroup[BaseException]) -> AgentError | None:
    """Find the error that people may read, when there is nothing else in the group."""
    known, other = group.split(AgentError)
    if known is None or other is not None:
        return None
    first: BaseException = known
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first if isinstance(first, AgentError) else None
