"""Turns rows of the ledger into values of core and back."""

from typing import Any

from agent.core.clip import CameraId, Clip, ClipId, Copy, Custody, Entry, SessionId
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger.custody import from_us

CLIP_COLUMNS = (
    "id, camera, session, path, size_bytes, mtime_ns, role, event, requested, custody, copy, sha256, hold, problem,"
    " read_in, looked_in, unlinked_in, held_back"
)


def clip_of(row: tuple[Any, ...]) -> Clip:
    """Read a row of CLIP_COLUMNS."""
    (
        ident,
        camera,
        session,
        path,
        size,
        mtime,
        role,
        event,
        requested,
        custody,
        copy,
        sha256,
        hold,
        problem,
        read,
        looked,
        unlinked,
        held_back,
    ) = row
    return Clip(
        id=ClipId(ident),
        camera=CameraId(camera),
        session=SessionId(session),
        entry=Entry(bytes(path), size, mtime),
        role=role,
        event=bool(event),
        requested=bool(requested),
        custody=Custody(custody),
        copy=Copy(copy),
        sha256=None if sha256 is None else Digest(sha256),
        hold=hold,
        problem=problem,
        read_in=None if read is None else SessionId(read),
        looked_in=None if looked is None else SessionId(looked),
        unlinked_in=None if unlinked is None else SessionId(unlinked),
        held_back=held_back,
    )


RECEIPT_COLUMNS = "store, kind, sha256, size_bytes, handle, issued_us, proof"


def receipt_of(row: tuple[Any, ...]) -> Receipt:
    """Read a row of RECEIPT_COLUMNS."""
    store, kind, sha256, size, handle, issued_us, proof = row
    return Receipt(store, ReceiptKind(kind), Digest(sha256), size, handle, from_us(issued_us), proof)
