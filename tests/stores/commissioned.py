"""Probing one store as the command does, and what it found in short."""

from datetime import UTC, datetime
from pathlib import Path

from agent.core.commissioning import Certificate, Commissioning
from agent.core.object import ReceiptKind
from agent.stores.probes.commission import Commission
from agent.stores.settings import StoreSettings


def utc_now() -> datetime:
    return datetime.now(UTC)


async def probed(
    url: str,
    require: ReceiptKind = ReceiptKind.READBACK,
    *,
    before: Certificate | None = None,
    longest_s: float = 60.0,
    **files: Path | None,
) -> Commissioning:
    settings = StoreSettings("central", url, require, connect_s=3.0, stall_s=5.0, **files)  # type: ignore[arg-type]
    return await Commission(settings, "hub7", utc_now, longest_s=longest_s).run(before)


def verdicts(record: Commissioning) -> dict[str, str]:
    return {probe.name: probe.verdict.value for probe in record.probes}


def credential_file(folder: Path, text: str) -> Path:
    path = folder / "credential"
    path.write_text(text)
    return path
