"""The record of a store's commissioning: one small file beside the ledger, `stores/NAME.json` in the state directory.

It is a file and not a row of the ledger, because the probe is a process of its own that must also work while the
service holds the ledger. It is replaced whole and durably: a probe that was interrupted leaves the old one. The digest
in it shows damage, not malice: who may write here may write the ledger as well. Blocks.
"""

import hashlib
import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.core.commissioning import Certificate, Commissioning, Probe, Seen, Verdict
from agent.core.object import ReceiptKind
from agent.files.durable import make_directory, sync_directory
from agent.ports import JsonObject

FOLDER = "stores"
MAX_BYTES = 256 << 10
_FORMAT = 1
_MODE = 0o600


def record_path(state_dir: Path, store: str) -> Path:
    """Where the record of a store lies."""
    return state_dir / FOLDER / f"{store}.json"


def read_record(path: Path) -> Commissioning | None:
    """What was found last; None where there is no record, or none that is whole."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        fields = json.loads(raw)
        if len(raw) > MAX_BYTES or fields.pop("digest") != _digest(fields) or fields["format"] != _FORMAT:
            return None
        return _parsed(fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def write_record(path: Path, record: Commissioning) -> None:
    """Put the record there durably: the old one or the new one is there at any time. Raises OSError."""
    fields: dict[str, Any] = {"format": _FORMAT, **facts(record)}
    text = json.dumps({**fields, "digest": _digest(fields)}, indent=1) + "\n"
    make_directory(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        with os.fdopen(fd, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(fd)
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def facts(record: Commissioning) -> JsonObject:
    """The record as a JSON object."""
    certificate = record.seen.certificate
    return {
        "store": record.store,
        "url": record.place,
        "at": record.at.isoformat(),
        "server": record.seen.server,
        "certificate": None if certificate is None else _certificate_facts(certificate),
        "kinds": [kind.word for kind in sorted(record.kinds, reverse=True)],
        "probes": [
            {"name": p.name, "sent": p.sent, "answered": p.answered, "verdict": p.verdict.value} for p in record.probes
        ],
        "left": list(record.left),
    }


def _certificate_facts(certificate: Certificate) -> JsonObject:
    return {
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "begins": certificate.begins.isoformat(),
        "ends": certificate.ends.isoformat(),
        "root": certificate.root,
        "root_name": certificate.root_name,
    }


def _parsed(fields: dict[str, Any]) -> Commissioning:
    certificate = fields["certificate"]
    return Commissioning(
        store=_text(fields["store"]),
        place=_text(fields["url"]),
        at=datetime.fromisoformat(fields["at"]),
        seen=Seen(fields["server"], None if certificate is None else _parsed_certificate(certificate)),
        kinds=frozenset(map(ReceiptKind.of, fields["kinds"])),
        probes=tuple(
            Probe(_text(p["name"]), _text(p["sent"]), _text(p["answered"]), Verdict(p["verdict"]))
            for p in fields["probes"]
        ),
        left=tuple(map(_text, fields["left"])),
    )


def _parsed_certificate(fields: dict[str, Any]) -> Certificate:
    return Certificate(
        fingerprint=_text(fields["fingerprint"]),
        subject=_text(fields["subject"]),
        issuer=_text(fields["issuer"]),
        begins=datetime.fromisoformat(fields["begins"]),
        ends=datetime.fromisoformat(fields["ends"]),
        root=fields["root"],
        root_name=fields["root_name"],
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
