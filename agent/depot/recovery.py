"""Recovery: what a start does before the first request, and the only way back from a kill.

May itself be killed anywhere and begin anew. It removes nothing that may hold bytes a client was told of; what it
cannot explain it keeps and reports.
"""

import sqlite3
from pathlib import Path

from agent.depot.acceptance import Acceptance
from agent.depot.catalogue import Catalogue
from agent.depot.objects import Objects
from agent.depot.part import drop_part
from agent.depot.refusal import Refusal


def recover(incoming: Path, objects: Objects, catalogue: Catalogue, acceptance: Acceptance) -> tuple[str, ...]:
    """Bring disk and catalogue together; return what a person must look at, one sentence each."""
    problems = _finish_what_is_whole(catalogue, acceptance)
    known = {acceptance.part_of(upload.id).name for upload in catalogue.unfinished()}
    problems += _clear_incoming(incoming, known)
    finished = catalogue.finished()
    for upload in finished:
        if upload.sha256 is None or not objects.holds(upload.sha256, upload.length_bytes):
            problems.append(
                f"upload {upload.id} of station {upload.station} is recorded as finished, but objects/{upload.sha256}"
                " is missing or has another size: restore it from a copy, or let the station send it again"
            )
    strays = set(objects.names()) - {upload.sha256 for upload in finished}
    problems += [f"objects/{name} belongs to no upload; it was kept" for name in sorted(strays)]
    return tuple(problems)


def _finish_what_is_whole(catalogue: Catalogue, acceptance: Acceptance) -> list[str]:
    problems = []
    for upload in catalogue.unfinished():
        try:
            acceptance.resume(upload)
        except Refusal as refusal:
            # 404: a terminated upload whose row was left; 460: its client is told when it asks. Both are in order.
            if refusal.status not in (404, 460):
                problems.append(f"upload {upload.id}: {refusal}")
        except (OSError, sqlite3.Error) as error:
            problems.append(
                f"upload {upload.id} is whole but could not be finished: {error}; the next start tries again"
            )
    return problems


def _clear_incoming(incoming: Path, known: set[str]) -> list[str]:
    problems = []
    for path in sorted(incoming.iterdir()):
        if path.name in known:
            continue
        if path.is_file() and path.stat().st_size == 0:
            drop_part(path)  # made for an upload that was never recorded, so nobody was told of it
        else:
            problems.append(f"incoming/{path.name} belongs to no upload; it was kept")
    return problems
