from collections.abc import Iterator

import pytest

from tests.package.container import Container
from tests.package.packages import deb
from tests.package.station import configure, install


@pytest.fixture
def machine() -> Iterator[Container]:
    """A bare Debian 12, running."""
    with Container() as container:
        yield container


@pytest.fixture
def station(machine: Container) -> Container:
    """The package installed and configured."""
    install(machine, deb())
    configure(machine)
    return machine
