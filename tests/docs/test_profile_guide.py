"""docs/profiles.md: its example is a profile that does what its table says, and every key has its line."""

import re
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from agent.core.profile import (
    Profile,
    UsbId,
    choose_profile,
    classify,
    clip_stem,
    is_event,
    read_identity,
    read_name,
    sidecar_of,
)
from agent.devices.profile_tables import ProfileFile
from agent.devices.profiles import load_profiles
from agent.devices.usb_policy import Admit, Refuse, Seen, admit

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "profiles.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([^`]+/[^`]+)` \| ([a-z, ]+) \| (.+) \|$", TEXT, re.MULTILINE)
BC2 = UsbId(0x1209, 0xBC02)


@pytest.fixture
def example(tmp_path: Path) -> Profile:
    (block,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "example.toml").write_text(block)
    loaded = load_profiles(tmp_path, station_zone=ZoneInfo("Europe/London"))
    assert loaded.problems == ()
    (profile,) = loaded.profiles
    return profile


def told_of(profile: Profile, path: bytes) -> tuple[str, str]:
    """A row of the table as the loaded profile has it."""
    facts = read_name(profile, path)
    role = str(classify(profile, path))
    marked = ", marked" if role == "clip" and is_event(profile, path, facts) else ""
    if facts.camera is None or facts.started_at is None:
        return role + marked, "nothing"
    return role + marked, f"{facts.camera}, {facts.started_at.local}, number {facts.sequence}"


def keys_of(table: type[BaseModel], above: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in table.model_fields.items():
        parts = (field.annotation, *get_args(field.annotation))
        inner = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)
        found |= {above + name} if inner is None or (name == "usb" and above) else keys_of(inner, f"{above}{name}.")
    return found


def test_the_table_is_what_the_example_does(example: Profile) -> None:
    assert len(ROWS) == 7
    for path, role, claims in ROWS:
        assert told_of(example, path.encode()) == (role, claims), path


def test_the_example_fits_its_camera_and_no_other(example: Profile) -> None:
    paths = [path.encode() for path, _, _ in ROWS]
    assert choose_profile([example], paths) is example
    assert choose_profile([example], [path for path in paths if not path.startswith(b"SYSTEM")]) is None


def test_the_examples_sidecar_belongs_to_its_clip(example: Profile) -> None:
    clip, sidecar = ROWS[0][0].encode(), ROWS[1][0].encode()
    assert sidecar_of(example, sidecar) == clip_stem(example, clip)


def test_the_example_reads_the_serial_from_its_marker(example: Profile) -> None:
    assert read_identity(example, b"BC2 v1.4\r\nSN: BC2A0017\r\n") == "BC2A0017"
    assert example.identity.path in {path.encode() for path, _, _ in ROWS}


def test_the_example_lets_in_its_disk_and_nothing_that_types(example: Profile) -> None:
    assert isinstance(admit(Seen(BC2, frozenset({"08:06:50"})), [example]), Admit)
    refused = admit(Seen(BC2, frozenset({"08:06:50", "03:01:01"})), [example])
    assert isinstance(refused, Refuse)
    assert refused.reason == "extra_interfaces"


def test_every_key_of_a_profile_has_its_line_and_every_line_its_key() -> None:
    told = [
        name for line in re.findall(r"^\| (`.+?`) \| ", TEXT, re.MULTILINE) for name in re.findall(r"`([^`]+)`", line)
    ]
    told = [name for name in told if "/" not in name]
    assert sorted(told) == sorted(keys_of(ProfileFile))
