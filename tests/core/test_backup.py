"""An archive may come from anybody: its manifest is read with care."""

import json
from typing import Any

import pytest

from agent.core.backup import BackupUnusable, Kept, Manifest, parse_manifest

DIGEST = "ab" * 32


def told(**changed: Any) -> dict[str, Any]:
    files = [
        Kept(name, 1, DIGEST) for name in ("ledger.sqlite", "custody.jsonl", "config/agent.toml", "state/stores/c")
    ]
    manifest = Manifest("hub7", "0.1.0", "2027-01-01T00:00:00+00:00", 3, 12, DIGEST, tuple(files))
    return json.loads(manifest.text()) | changed  # type: ignore[no-any-return]


def parsed(**changed: Any) -> Manifest:
    return parse_manifest(json.dumps(told(**changed)).encode())


def with_file(**changed: Any) -> list[dict[str, Any]]:
    return [*told()["files"], {"name": "config/x", "size": 1, "sha256": DIGEST, "secret": True} | changed]


def test_what_is_written_is_read_back() -> None:
    manifest = parsed()
    assert json.loads(manifest.text()) == told()
    assert [path for path, _ in manifest.in_part("config")] == ["agent.toml"]
    assert [path for path, _ in manifest.in_part("state")] == ["stores/c"]
    assert manifest.named("config/agent.toml").size == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b'"x"',
        b"[" * 100_000,
        b'{"format": "bwv-backup/2"}',
        b'{"format": "bwv-backup/1"}',
        b'{"format": "bwv-backup/1", "files": [1]}',
        b'{"format": "bwv-backup/1", "files": [{"name": 1}]}',
    ],
)
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    with pytest.raises(BackupUnusable):
        parse_manifest(raw)


@pytest.mark.parametrize(
    "changed",
    [
        {"station": 7},
        {"head": None},
        {"events": -1},
        {"schema": "3"},
        {"events": True},
        {"more": "x"},
        {"made_at": "soon"},
        {"made_at": "2027-01-01T00:00:00"},
        {"made_at": 7},
        {"files": []},
        {"files": told()["files"][:1]},
        {"files": told()["files"][1:]},
        {"files": [*told()["files"], told()["files"][0]]},
    ],
)
def test_a_manifest_that_lacks_something_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BackupUnusable):
        parsed(**changed)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "agent.toml",
        "/etc/passwd",
        "config",
        "config/",
        "config//x",
        "config/./x",
        "config/../x",
        "config/a/../../x",
        "../config/x",
        "spool/x",
        "config/\0",
        "manifest.json",
        "config/.agent.toml.part",
        "config/.hidden/x",
        "state/ledger.sqlite",
        "state/ledger.witness",
        "state/stores",
        "state/stores/.c",
        "state/stores/a/b",
        "state/spool/objects",
        5,
    ],
)
def test_no_name_leaves_its_part(name: object) -> None:
    with pytest.raises(BackupUnusable):
        parsed(files=with_file(name=name))


@pytest.mark.parametrize(
    "changed",
    [{"size": -1}, {"size": 1.5}, {"sha256": "AB" * 32}, {"sha256": "ab"}, {"sha256": 1}, {"secret": "no"}, {"x": 1}],
)
def test_a_file_is_described_exactly(changed: dict[str, Any]) -> None:
    with pytest.raises(BackupUnusable):
        parsed(files=with_file(**changed))
