"""docs/api.md names every route, and its examples have the keys that the tests' desk shows."""

import asyncio
import json
import re
from pathlib import Path

from starlette.routing import Route

from agent.web.application import create_app
from tests.fakes.desk import FakeDesk, bay_view, station_view

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


async def test_every_route_is_described() -> None:
    app = create_app(FakeDesk(), writable=True, allowed_hosts=frozenset(), closing=asyncio.Event())
    for route in app.routes:
        assert isinstance(route, Route)
        path = re.sub(r"\{.*", "", route.path)
        assert f"GET {path}" in TEXT or f"POST {path}" in TEXT, path


def test_the_examples_are_json_with_the_keys_that_tests_use() -> None:
    station, bays, *rest = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL))
    assert set(station) == set(station_view())
    assert set(bays[0]) == set(bay_view("1"))
    assert len(rest) == 4
