"""What is dear to make is made once, and never hindered by what a killed process left half-made."""

from pathlib import Path

import pytest

from tests.lab.cache import made


def fill(folder: Path) -> None:
    assert list(folder.iterdir()) == []
    (folder / "disk.raw").write_bytes(b"disk")


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCK_LAB_DIR", str(tmp_path))


def test_it_is_made_once() -> None:
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        fill(folder)

    first = made("images", "a" * 16, make, keep=2)
    assert made("images", "a" * 16, make, keep=2) == first
    assert (first / "disk.raw").read_bytes() == b"disk"
    assert len(calls) == 1


def test_what_was_left_half_made_and_cannot_be_removed_is_not_in_the_way(tmp_path: Path) -> None:
    """As after a kill that left mounts below the folder; here a file, which cannot be emptied as a folder is."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{'a' * 16}.part").write_bytes(b"left")
    assert (made("images", "a" * 16, fill, keep=2) / "disk.raw").exists()


def test_what_could_not_be_made_is_made_at_the_next_asking() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        made("images", "a" * 16, fail, keep=2)
    assert (made("images", "a" * 16, fill, keep=2) / "disk.raw").exists()
