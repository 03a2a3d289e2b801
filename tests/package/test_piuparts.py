"""piuparts: what installing, upgrading, removing and purging leave behind on a system."""

import shutil
from pathlib import Path

import pytest

from tests.package.base import base
from tests.package.packages import command, deb, next_version
from tests.package.repository import Key, Repository

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


def test_piuparts_finds_nothing_after_install_upgrade_removal_and_purge(tmp_path: Path) -> None:
    published, root = tmp_path / "published", tmp_path / "root"
    with Key() as key:
        Repository(published, key).do("add", deb(), deb("dock-agent-mtp"))
    # Our base once more; the one archive that it knows is ours, with the version before.
    command("cp", "-a", base(), root)
    shutil.rmtree(root / "etc/apt/sources.list.d")
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    shutil.copy(published / "dock-agent.gpg", root / "etc/apt/trusted.gpg.d/dock-agent.gpg")
    place = ("--existing-chroot", root, "--bindmount", published)
    archive = ("--distribution", "canary", "--mirror", f"file:{published} deb12")
    said = command(
        *("piuparts", *place, *archive, "--no-eatmydata", "--skip-minimize"),
        next_version(deb(), tmp_path),
        seconds=800,
    )
    assert "PASS: Installation, upgrade and purging tests" in said
