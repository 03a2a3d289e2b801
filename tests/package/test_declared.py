"""What debian/tests declares, run as autopkgtest runs it, and the news that apt-listchanges shows."""

import pytest

from tests.package.base import LATER_FOLDER
from tests.package.container import Container
from tests.package.declared import FOLDER, declared, run
from tests.package.packages import deb
from tests.package.station import install

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

BROKEN = {
    "smoke": "mv /usr/lib/dock-agent/site/httpx /usr/lib/dock-agent/site/httpx.away",
    "service": "systemctl stop dock-helper.socket",
}
"""For each test, a fault of the package that it must notice."""


def test_every_test_is_declared_and_may_be_run() -> None:
    assert set(declared()) == {path.name for path in FOLDER.iterdir()} - {"control"} == set(BROKEN)
    assert all(path.stat().st_mode & 0o111 for path in FOLDER.iterdir() if path.name != "control")
    assert all("allow-stderr" in restrictions for restrictions in declared().values()), "words on stderr fail it else"


@pytest.mark.parametrize("name", declared())
def test_a_declared_test_passes_and_notices_a_package_that_is_broken(machine: Container, name: str) -> None:
    install(machine, deb())
    assert run(machine, name) == 0
    machine.sh(BROKEN[name])
    assert run(machine, name) != 0


def test_apt_listchanges_shows_the_news(machine: Container) -> None:
    install(machine, deb())
    machine.sh(f"apt-get install -y --no-install-recommends {LATER_FOLDER}/*.deb")
    shown = machine.sh(f"apt-listchanges --frontend=text --which=news --show-all /opt/{deb().name}")
    assert "Upgrades go forwards only" in shown
