"""The protocol between agent and reader.

One JSON object per line, both ways, over a Unix stream socket. The agent asks `{"id": n, "verb": ...}` with rising
ids; the reader gives exactly one answer, `{"id": n, "ok": {...}}` or `{"id": n, "error": {"code", "text", "errno"}}`.
Names of files are hex. An answer to a question that the agent has given up on is skipped by its id.

  open         driver, address           facts of the camera, and whether it can wipe
  exists       paths                     those that exist
  list, more   -                         rows (path, size, mtime_ns | path, reason) and whether that was all
  read         path, size, mtime_ns, fresh | path, limit; with the write end of a pipe
                                         size and mtime_ns, then the file's bytes into the pipe until it is closed
  finish       -                         sent, size, mtime_ns and mark, or what went wrong; asked when the pipe is empty
  leave        -                         writes out what a window changed and lets go of the medium
  enter        address, writable         opens it where it is now; writable is the wipe window, until the next leave
  wipe         path, size, mtime_ns, mark
                                         -

File bytes never pass through the socket, and each reading has a pipe of its own: two readings cannot get mixed up.
The size and time that count are looked at after the agent has emptied the pipe, when nothing of the file is still to
come. The mark is of the descriptor that was read, the same at the beginning and after the last
byte, and is handed back for a wipe. Listings are asked for batch by batch, so that nobody can be flooded.
"""

import json

LINE_BYTES = 64 << 10
"""No line is longer, in either direction."""
BATCH_ROWS = 500
BATCH_BYTES = 40_000
"""A batch ends once it is this long; the longest path (4096 + 256 bytes, as hex) still fits in the line."""
BATCH_S = 1.0
"""A walk that finds nothing for this long says so with an empty batch: that is its sign of life."""


def line_of(message: dict[str, object]) -> bytes:
    """Write one message."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def message_of(line: bytes) -> dict[str, object]:
    """Read one message. Raises ValueError for what is none."""
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(message, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of failure for the caller
    return message
