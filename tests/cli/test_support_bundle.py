"""Canaries are planted wherever a station keeps something; a support bundle has none of them."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from agent.core.clip import CameraId, Custody, Entry
from agent.ledger import clips, fleet, unlisted, upload_orders
from agent.ledger.clips import Move, Sighting
from tests.cli.command import Here
from tests.cli.conftest import Place, Service
from tests.fakes.desk import bay_view, station_view
from tests.ledger.stage import Stage

SERIAL = "X60CANARYSERIAL"
OFFICER = "Canary-Officer-Miller"
CLIP = "CANARYCLIP0001.MP4"
STORE = "canary-store"
HOST = "canary.evidence.example"
SECRET = "canarysecretcredential"
REASON = "canary case 2291"
BAY = "canarybay"
ODD = b"DCIM/\xffcanary-odd.mp4"
CANARIES = [SERIAL, OFFICER, CLIP, STORE, HOST, SECRET, REASON, BAY, "canary", "hub7canary", "2291"]


def traces(word: str) -> set[str]:
    """Every form in which a word could get into a file."""
    raw = word.encode()
    forms = {word, raw.hex(), base64.b64encode(raw).decode().rstrip("="), hashlib.sha256(raw).hexdigest()[:12]}
    return {form.lower() for form in forms}


def assert_clean(file: Path) -> dict[str, Any]:
    text = file.read_text("ascii").lower()
    found = sorted(word for word in CANARIES if any(trace in text for trace in traces(word)))
    assert found == []
    return json.loads(file.read_text())  # type: ignore[no-any-return]


@pytest.fixture
def planted(place: Place) -> Place:
    """A configuration with a canary in each of its texts, and a credential that is one."""
    root = place.config.parent
    for name in (f"{STORE}.credential", f"{STORE}.proxy"):
        secret = root / name
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
    text = place.config.read_text().replace('id = "hub7"', 'id = "hub7canary"')
    place.config.write_text(
        f'{text}[[bays]]\nname = "{BAY}"\nfolder = "/media/{BAY}"\n'
        f'[[stores]]\nname = "{STORE}"\nurl = "tus+https://{HOST}/canary/"\nrequire = "readback"\n'
        f'credential = "{STORE}.credential"\nproxy = "http://proxy.{HOST}:3128"\nproxy_credential = "{STORE}.proxy"\n'
        f'interface = "canary0"\n[cameras]\nenrolled = ["{SERIAL}", "canary*"]\n'
    )
    return place


def ledger_with_canaries(place: Place) -> None:
    stage = Stage(place.state / "ledger.sqlite")
    camera = CameraId(SERIAL)
    session = stage.dock(camera, claimed_by=OFFICER, bay=BAY)
    seen = [
        Sighting(Entry(path, 10, 1), "clip", event=False, officer=OFFICER) for path in (f"DCIM/{CLIP}".encode(), ODD)
    ]

    def work(tx: Any) -> None:
        rec = stage.recorder
        listing = clips.start_listing(tx, rec, camera, session)
        clips.reconcile(tx, rec, listing, seen)
        unlisted.finish_listing(tx, rec, listing)
        first, second = fleet.clips_aboard(tx, camera, Custody.LISTED, 9)
        clips.hold(tx, rec, first.id, f"{OFFICER}: {REASON}")
        clips.move(tx, rec, second, Move("clip.quarantined", custody=Custody.QUARANTINED, problem=f"{CLIP} {REASON}"))
        fleet.seize(tx, rec, camera, OFFICER, REASON)
        upload_orders.pause(tx, rec, STORE, OFFICER, REASON)

    stage.do(work)
    stage.close()


def log_with_canaries(folder: Path) -> Path:
    trace = (
        f'Traceback (most recent call last):\n  File "/opt/canary/agent/services/uploader.py", line 99, in _ship\n'
        f'  File "/opt/agent/canary_folder/jane_doe.py", line 7, in canary\n'
        f"    raise ValueError({CLIP!r})\nValueError: {CLIP} of {OFFICER}"
    )
    fields = {
        "camera": SERIAL,
        "bay": BAY,
        "problem": f"{CLIP} of {OFFICER} at {HOST} has {SECRET}. Take the camera out and put it back.",
        "path_hex": ODD.hex(),
        "stores": {STORE: "5 Mbit/s"},
        OFFICER: SECRET,
        "exception": trace,
        "size_bytes": 734003200,
        "level": "error",
        "timestamp": "2027-01-01T10:00:00.123456Z",
    }
    lines = [
        json.dumps({"event": "upload.crashed", **fields}),
        json.dumps({"event": "canary.miller", **fields}),
        json.dumps({"event": f"clip.{CLIP}", **fields}),
        json.dumps([SECRET]),
        f"plain text of {OFFICER} with {SECRET}",
        '{"event": "upload.crashed", "problem": ' + "[" * 100_000,
        f"{{{SECRET}",
    ]
    file = folder / "service.log"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_no_canary_of_a_stopped_station_gets_into_a_bundle(here: Here, planted: Place, tmp_path: Path) -> None:
    ledger_with_canaries(planted)
    log = log_with_canaries(tmp_path)
    output = tmp_path / "bundle.json"
    ended = here("support-bundle", str(output), "--log", str(log), "--config", str(planted.config))
    assert (ended.code, ended.err) == (0, "")
    assert output.stat().st_mode & 0o777 == 0o600
    bundle = assert_clean(output)
    assert bundle["service"] is None
    assert bundle["ledger"]["first_fault"] is None
    assert bundle["ledger"]["by_event"]["camera.seized"] == 1
    tables = bundle["configuration"]["tables"]
    assert tables["wipe"] == {"enabled": False}
    assert tables["stores"][0]["url"].startswith("tus+https:~")
    assert tables["stores"][0]["require"] == "readback"
    assert bundle["log"]["other_lines"] == 6
    (line,) = bundle["log"]["lines"]
    assert (line["event"], line["level"], line["size_bytes"]) == ("upload.crashed", "error", 734003200)
    assert line["at"] == ["agent/services/uploader.py:99"]
    assert line["problem"].endswith(" Take the camera out and put it back.")
    assert line["camera"] == tables["cameras"]["enrolled"][0], "one camera has one token"


def test_no_canary_of_a_running_service_gets_into_a_bundle(
    here: Here, planted: Place, service: Service, tmp_path: Path
) -> None:
    views = station_view(station="hub7canary", notices=[f"Dock camera {SERIAL} again, {OFFICER}."])
    views["stores"][0] |= {"name": STORE, "problem": f"{HOST} refused {SECRET}", "paused": REASON}  # type: ignore[index,operator]
    service.desk.station_view = views
    service.desk.bay_views = [
        bay_view(BAY, camera=SERIAL, claimed_by=OFFICER, seized=REASON, uncopied={"count": 1, "names": [CLIP]})
    ]
    service.desk.health_view = {"ok": False, "problems": [f"bay {BAY}: {CLIP}"]}
    service.desk.queue_views = [{"camera": SERIAL, "store": STORE, "why": REASON, "state": "waiting", "size": 5}]
    service.desk.record("camera.seized", camera=SERIAL, actor=OFFICER, reason=REASON)
    output = tmp_path / "bundle.json"
    ended = here("support-bundle", str(output), "--lines", "0", "--config", str(planted.config), "--json")
    assert (ended.code, ended.err) == (0, "")
    bundle = assert_clean(output)
    assert bundle["ledger"] == {"events": 1, "first_fault": None, "by_event": {"camera.seized": 1}}
    bay = bundle["service"]["bays"][0]
    assert (bay["advice"], bay["occupied"]) == ("wait", True)
    assert bundle["service"]["queue"][0]["camera"] == bay["camera"]
    assert bundle["service"]["queue"][0]["state"] == "waiting"
    assert bundle["service"]["station"]["totals"]["clips"]["spooled"] == {"clips": 3, "bytes": 3000}


def test_a_broken_configuration_is_bundled_without_what_stands_in_it(
    here: Here, planted: Place, tmp_path: Path
) -> None:
    planted.config.write_text(
        planted.config.read_text() + f'[{SECRET}]\n"{OFFICER}" = "{REASON}"\n[confirm]\ncopies = "{SECRET}"\n'
    )
    output = tmp_path / "bundle.json"
    ended = here("support-bundle", str(output), "--lines", "0", "--config", str(planted.config))
    assert ended.code == 0
    bundle = assert_clean(output)
    assert bundle["configuration"]["tables"] is None
    assert len(bundle["configuration"]["problems"]) == 2


def test_a_damaged_ledger_does_not_keep_a_bundle_from_being_written(here: Here, planted: Place, tmp_path: Path) -> None:
    planted.state.mkdir()
    (planted.state / "ledger.sqlite").write_bytes(f"{SECRET} {OFFICER}".encode() * 1000)
    output = tmp_path / "bundle.json"
    ended = here("support-bundle", str(output), "--lines", "0", "--config", str(planted.config))
    assert ended.code == 0
    assert assert_clean(output)["ledger"] == {"error": "ledger.damaged"}


def test_two_bundles_have_no_token_in_common(here: Here, planted: Place, tmp_path: Path) -> None:
    tokens = []
    for name in ("a", "b"):
        here("support-bundle", str(tmp_path / name), "--lines", "0", "--config", str(planted.config))
        tokens.append({word for word in (tmp_path / name).read_text().replace('"', " ").split() if "~" in word})
    assert len(tokens[0]) > 5
    assert not tokens[0] & tokens[1]


def test_a_bundle_never_writes_over_a_file(here: Here, planted: Place, tmp_path: Path) -> None:
    output = tmp_path / "bundle.json"
    output.write_text("mine")
    assert here("support-bundle", str(output), "--config", str(planted.config)).code == 1
    assert output.read_text() == "mine"
