"""JSON answers. Plain ASCII, so that no text, however broken, fails to be encoded."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from agent.core.custody import JsonValue
from agent.web.refusal import Refusal


def json_text(value: JsonValue | Mapping[str, JsonValue] | list[dict[str, JsonValue]]) -> str:
    """Write a value on one line. Raises ValueError for numbers that JSON does not have."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def json_answer(value: JsonValue | Mapping[str, JsonValue] | list[dict[str, JsonValue]], status: int = 200) -> Response:
    """Answer with a value."""
    return Response(json_text(value), status, media_type="application/json")


def refused(refusal: Refusal) -> Response:
    """Answer with a refusal: `{"error", "hint"}`."""
    answer = json_answer({"error": refusal.error, "hint": refusal.hint}, refusal.status)
    if refusal.status == 405:  # noqa: PLR2004 - RFC 9110, section 15.5.6: this one must name the methods
        answer.headers["Allow"] = "GET, HEAD"
    return answer
