"""Custody events in the ledger: appended in the same transaction as the change they record."""

import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.core.clip import CameraId, ClipId
from agent.core.custody import GENESIS, ChainReport, JsonValue, event_line, line_digest, verify_chain
from agent.ledger.database import Tx
from agent.ports import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """The wall clock. Durations never come from it."""
    return datetime.now(UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Turn the ledger's time back into an aware datetime."""
    return _EPOCH + timedelta(microseconds=us)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "unknown"


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes events with what every event carries: station, wall and monotonic time, boot, tool version."""

    station: str
    version: str
    clock: Clock = utc_now
    boot: str = field(default_factory=_boot_id)

    def record(
        self,
        tx: Tx,
        event: str,
        fields: Mapping[str, JsonValue],
        *,
        clip: ClipId | None = None,
        camera: CameraId | None = None,
    ) -> int:
        """Append one event inside the caller's transaction; returns its number."""
        row = tx.conn.execute("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        seq, prev = (row[0] + 1, row[1]) if row else (1, GENESIS)
        now = self.clock()
        body: dict[str, JsonValue] = {
            "at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "monotonic_us": time.monotonic_ns() // 1000,
            "boot": self.boot,
            "station": self.station,
            "tool": self.version,
        }
        if camera is not None:
            body["camera"] = camera
        if clip is not None:
            body["clip"] = clip
        line = event_line(seq, prev, event, body | dict(fields))
        tx.conn.execute(
            "INSERT INTO events (seq, event, clip, camera, at_us, line, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq, event, clip, camera, to_us(now), line, line_digest(line)),
        )
        return seq


def newest_at(tx: Tx) -> datetime | None:
    """When the newest event happened, by the clock as it stood then; None for a ledger without events."""
    row = tx.conn.execute("SELECT at_us FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else from_us(row[0])


def tool_version(version: str) -> str:
    """What wrote an event: agent version, Python and kernel."""
    return f"dock-agent {version} (python {platform.python_version()}, linux {os.uname().release})"


def lines(tx: Tx) -> Iterator[str]:
    """All event lines in order."""
    for (line,) in tx.conn.execute("SELECT line FROM events ORDER BY seq"):
        yield line


def verify(tx: Tx) -> ChainReport:
    """Walk the chain from the start; the ledger's own columns are not believed."""
    return verify_chain(lines(tx))
