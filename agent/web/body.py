"""The body of a POST request: one JSON object, bounded in size and time."""

import asyncio
import json
from typing import NoReturn

from starlette.requests import ClientDisconnect, Request

from agent.ports import JsonObject
from agent.web.refusal import Refusal

MAX_BYTES = 65_536
READ_S = 10.0


async def json_object(request: Request) -> JsonObject:
    """Read the body. Raises Refusal: 415 not JSON by its type, 413 too large, 408 too slow, 400 no object."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "the body is not JSON", "Send Content-Type: application/json.")
    raw = await _read(request)
    try:
        value = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body is not JSON", "Expected one JSON object in UTF-8.") from error
    if not isinstance(value, dict):
        raise Refusal(400, "the body is JSON, but no object", "Expected one JSON object.")
    return value


async def _read(request: Request) -> bytes:
    raw = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for block in request.stream():
                raw += block
                if len(raw) > MAX_BYTES:
                    raise Refusal(413, "the body is too large", f"At most {MAX_BYTES} bytes are read.")
    except TimeoutError as error:
        raise Refusal(408, "the body came too slowly", f"Send it within {READ_S:.0f} s.") from error
    except ClientDisconnect as error:
        raise Refusal(400, "the body ended early", "Send the whole body.") from error
    return bytes(raw)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
