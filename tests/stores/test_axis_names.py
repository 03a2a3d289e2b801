"""How clips, cameras and officers are named at a content destination, and how their metadata is written."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.ports import Shipment
from agent.stores.axis_filing import Filing, Sealed
from agent.stores.axis_metadata import OF_OBJECT, clip_facts, headers_of
from agent.stores.axis_names import Moment, object_of, recordings_of, serial_of, user_id
from tests.contracts.store_place import make_shipment
from tests.fakes.axis_rules import CLIP, RECORDING, broken_by_headers

OFFICER = "0b7e6ad0-8a5d-4f8e-9a3e-2f6f8c1d2e3f"


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    return make_shipment(tmp_path, b"clip")


@pytest.mark.parametrize(
    ("claim", "iso", "zone"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", None),
        ("2026-07-02T03:04:05+02:00", "2026-07-02T01:04:05Z", None),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z", None),
        ("2026-10-25T01:30:00[Europe/London]", "2026-10-25T00:30:00Z", "Europe/London"),
    ],
)
def test_a_claimed_time_is_told_in_utc(claim: str, iso: str, zone: str | None) -> None:
    moment = Moment.of(claim)
    assert moment is not None
    assert (moment.iso, moment.zone) == (iso, zone)


@pytest.mark.parametrize(
    "claim",
    [
        None,
        "",
        "yesterday",
        "2026-01-02T03:04:05[No/Where]",
        "2026-13-02T03:04:05Z",
        "0001-01-01T00:00:00Z",
        "2026-01-02T03:04:05[../x]",
    ],
)
def test_what_is_no_time_is_unknown(claim: str | None, shipment: Shipment) -> None:
    assert Moment.of(claim) is None
    label = replace(shipment.label, started_at=claim)
    assert RECORDING.fullmatch(recordings_of(label, shipment.sha256)[0])
    assert object_of(label, shipment.sha256).startswith("UnknownTime_")


def test_names_are_the_same_in_every_run(shipment: Shipment) -> None:
    """Another version must find what this one stored: these names never change."""
    assert recordings_of(shipment.label, shipment.sha256) == (
        "db705569-2aaf-5f18-b9b9-2598c548dc1d_CAM-7_20260102T030405Z",
        "db705569-2aaf-5f18-b9b9-2598c548dc1d_CAM-7_20260102T030405Z_" + shipment.sha256[:16],
    )
    assert object_of(shipment.label, shipment.sha256) == f"20260102_030405_{shipment.sha256}.mp4"


@pytest.mark.parametrize(
    "camera",
    ["", ".", "..", "a/b", "a\r\nX-Auth-Token: x", "CAM 7", "CAM_7", "C\u00e4m", "x" * 200, "\udcff", "%2F", "?a=b#c"],
)
def test_a_camera_with_any_name_gets_one_that_is_safe_and_its_own(camera: str, shipment: Shipment) -> None:
    serial = serial_of(camera)
    label = replace(shipment.label, camera=CameraId(camera))
    assert RECORDING.fullmatch(recordings_of(label, shipment.sha256)[0])
    assert serial != serial_of(camera + "!")
    assert serial == serial_of(camera)


def test_plain_serials_stay_as_they_are() -> None:
    assert serial_of("CAM-7~2") == "CAM-7~2"


def test_an_officer_whose_name_is_a_uuid_keeps_it() -> None:
    assert user_id(OFFICER.upper()) == OFFICER
    assert user_id("PC 4711") != user_id(None)


@pytest.mark.parametrize(
    "path",
    [b"DCIM/\xff\xfe a.MP4", b"a\r\nX-Auth-Token: x.mp4", "\u00e4\u00f6\U0001f600".encode() * 40, b"..", b"x" * 300],
)
def test_metadata_never_breaks_a_header_whatever_a_file_is_called(path: bytes, shipment: Shipment) -> None:
    odd = replace(shipment, label=replace(shipment.label, path=path, role="r" * 99))
    headers = headers_of(OF_OBJECT, clip_facts(odd))
    assert broken_by_headers(headers) == []
    assert all("\r" not in value and "\n" not in value for value in headers.values())
    assert unquote(headers["X-Object-Meta-Sha256"]) == shipment.sha256
    assert CLIP.fullmatch(object_of(odd.label, odd.sha256))


@pytest.mark.parametrize(
    "filing",
    [
        Filing("box", "20260102_030405_aa.mp4"),
        Filing("box", "x-1.mp4", Sealed(16, Digest("a" * 64), Digest("b" * 64))),
        Filing("RejectedContent_UnknownTime_x", "x.bin", rejected=True),
    ],
)
def test_a_filing_is_read_as_it_was_written(filing: Filing) -> None:
    assert Filing.parse(filing.text()) == filing


@pytest.mark.parametrize(
    "text",
    [
        None, "", "{}", "[]", "{", "[" * 3000, '{"url": 7}', "x" * 5000,
        '{"container": "a", "object": "..", "sealed": null, "rejected": false}',
        '{"container": "a/b", "object": "c", "sealed": null, "rejected": false}',
        '{"container": "a", "object": "c?d", "sealed": null, "rejected": false}',
        '{"container": "a", "object": "c", "sealed": [0, "", ""], "rejected": false}',
        '{"container": "a", "object": "c", "sealed": null, "rejected": 0}',
    ],
)  # fmt: skip
def test_any_other_text_is_no_filing(text: str | None) -> None:
    assert Filing.parse(text) is None
