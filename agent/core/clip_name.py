"""Which clip somebody means: its id, or how that begins, because people copy half an id."""

from collections.abc import Sequence

from agent.core.clip import ClipId
from agent.core.errors import ActionRefused

NAMED_MOST = 5
"""So many candidates are named; the caller needs to bring one more at most."""


def clip_meant(wanted: str, beginning: Sequence[str], *, by: str) -> ClipId:
    """Choose from the ids that begin with `wanted`; one that is exactly so is meant whatever else begins alike.

    `beginning` is in order and may end after NAMED_MOST + 1; `by` is who knows them. Raises ActionRefused, which
    names the candidates, unless there is exactly one.
    """
    if not beginning or not wanted:
        hint = "Look for its id with `dock-agent clips`."
        raise ActionRefused(f"{by} knows no clip {wanted}.", hint=hint)
    if beginning[0] == wanted or len(beginning) == 1:
        return ClipId(beginning[0])
    named = ", ".join(beginning[:NAMED_MOST]) + (" and others" if len(beginning) > NAMED_MOST else "")
    raise ActionRefused(f"More than one clip begins with {wanted}: {named}.", hint="Give more of the id.")
