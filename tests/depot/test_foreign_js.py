"""A client that others wrote: tus-js-client, in Node."""

import json
import subprocess
from pathlib import Path
from typing import Any

from agent.depot.listing import list_uploads
from tests.depot.station import Station, digest_of, pattern

PEERS = Path(__file__).resolve().parents[1] / "peers"
NODE = PEERS / "node_modules" / ".bin" / "node"


def upload(station: Station, file: Path, *more: str) -> dict[str, Any]:
    assert NODE.exists(), "tus-js-client is not installed; run scripts/peers"
    command = [str(NODE), "upload.mjs", station.url, str(file), station.token, "700000", *more]
    done = subprocess.run(  # noqa: S603 - a program that is locked and hash-checked
        command, cwd=PEERS, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_tus_js_client_uploads_a_file_in_pieces(station: Station, place: Path, tmp_path: Path) -> None:
    data = pattern(2_500_000)
    file = tmp_path / "clip.mp4"
    file.write_bytes(data)
    said = upload(station, file)
    assert said["url"].startswith(station.url)
    assert (place / "objects" / digest_of(data)).read_bytes() == data
    assert list_uploads(place)[0]["name"] == "clip.mp4"


def test_tus_js_client_goes_on_where_an_earlier_run_stopped(station: Station, place: Path, tmp_path: Path) -> None:
    data = pattern(2_500_000)
    file = tmp_path / "clip.mp4"
    file.write_bytes(data)
    first = upload(station, file, "-", "1400000")
    assert first["offset"] == 1_400_000
    assert station.offset(first["url"]) == 1_400_000
    second = upload(station, file, first["url"])
    assert (second["url"], second["first"]) == (first["url"], 2_100_000)
    assert (place / "objects" / digest_of(data)).read_bytes() == data
