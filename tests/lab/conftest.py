"""A station in a virtual machine, a second old, for each test.

Where a test fails while a machine is still there, the report has what the machine said last.
"""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.lab.depot import LabDepot
from tests.lab.machine import Machine
from tests.lab.recipe import depot_template, serving
from tests.lab.states import serving as state_of
from tests.lab.station import Station

PATIENCE_S = 300
"""A guest without KVM on a busy machine takes its time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("lab") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("lab") is not None:
        for machine in Machine.running:
            report.sections.append((f"machine in {machine.workdir.name}", machine.report()))
    return report


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[LabDepot]:
    shutil.copytree(depot_template() / "depot", tmp_path / "depot")
    with LabDepot(tmp_path / "depot") as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, depot: LabDepot) -> Iterator[Station]:
    with Machine.restore(state_of(serving), tmp_path / "machine", depot.port) as machine:
        running = Station(machine, depot, tmp_path)
        try:
            yield running
        finally:
            running.close()
