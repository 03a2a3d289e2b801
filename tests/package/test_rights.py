"""How well the packaged units shut in what they start: `systemd-analyze` on the files of the package."""

import re
from pathlib import Path

import pytest

from tests.package.container import Container
from tests.package.packages import command, deb
from tests.package.station import install

pytestmark = [pytest.mark.package, pytest.mark.timeout(240)]

MOST = {
    "dock-agent.service": 1.5,
    "dock-depot.service": 1.5,
    "dock-helper.service": 4.0,
    "dock-reader@.service": 1.5,
    "dock-reader-ext4@.service": 1.5,
    "dock-reader-usb@.service": 1.5,
}
NO_CORE = re.compile(r"(?m)^LimitCORE=0$")


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("units")
    command("dpkg-deb", "--extract", deb(), tree)
    return tree / "lib/systemd/system"


def test_each_service_of_the_package_is_looked_at(units: Path) -> None:
    assert {path.name for path in units.glob("*.service")} == set(MOST)


@pytest.mark.parametrize("name", MOST)
def test_a_unit_is_no_more_exposed_than_it_may_be(units: Path, name: str, tmp_path: Path) -> None:
    unit = tmp_path / name.replace("@.", "@1.")
    unit.write_bytes((units / name).read_bytes())
    told = command("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert overall is not None, told
    assert float(overall[1]) <= MOST[name]


@pytest.mark.parametrize("name", MOST)
def test_a_unit_leaves_no_core_and_has_limits(units: Path, name: str) -> None:
    text = (units / name).read_text("utf-8")
    assert NO_CORE.search(text), "a core would hold footage or keys"
    assert {"MemoryMax", "TasksMax"} <= set(re.findall(r"(?m)^(\w+)=", text))


def test_systemd_understands_every_unit(machine: Container) -> None:
    install(machine, deb())
    names = [*MOST, "dock-helper.socket"]
    for name in names:
        done = machine.run(f"systemd-analyze verify --man=no {name.replace('@.', '@1.')} 2>&1")
        assert (done.returncode, done.stdout) == (0, ""), name
