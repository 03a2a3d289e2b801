"""A force's list of cameras as a table program writes it: CSV in UTF-8, with commas or semicolons."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from agent.core.enrolment import Enrolment, exact, usb_id_of

MAX_BYTES = 8 << 20


def read_inventory(file: Path) -> list[Enrolment]:
    """Read the columns `serial` and perhaps `usb`; without such a heading the first column has the serials.

    Each row is one camera, never a pattern. Raises OSError, and ValueError for what is no such list.
    """
    with file.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    text = raw.decode("utf-8-sig")
    semicolons = ";" in text.partition("\n")[0]
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";" if semicolons else ",", strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    heading = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "serial" not in heading:
        return [_entry(row, number, 0, None) for number, row in enumerate(rows, 1) if _says_something(row)]
    serial_at, usb_at = heading.index("serial"), heading.index("usb") if "usb" in heading else None
    return [_entry(row, number, serial_at, usb_at) for number, row in enumerate(rows[1:], 2) if _says_something(row)]


def _says_something(row: Sequence[str]) -> bool:
    return any(cell.strip() for cell in row)


def _entry(row: Sequence[str], number: int, serial_at: int, usb_at: int | None) -> Enrolment:
    serial, usb = (row[at].strip() if at is not None and at < len(row) else "" for at in (serial_at, usb_at))
    if not serial:
        raise ValueError(f"row {number} has no serial")
    usb_id = usb_id_of(usb)
    if usb and usb_id is None:
        raise ValueError(f"row {number}: {usb!r} is no USB id such as 1209:bc01")
    try:
        return Enrolment.parse(str(exact(serial, usb_id)))
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from error
