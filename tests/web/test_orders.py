"""Orders through the Unix socket: actions, and offloads as a stream of lines."""

import asyncio
import json
from pathlib import Path

import pytest

from agent.core.errors import ActionRefused, SpoolFull
from tests.fakes.desk import FakeDesk
from tests.web.serving import serving, until

WHO = {"actor": "Sgt Miller", "reason": "court order", "camera": "X1"}


async def test_an_action_is_passed_on_and_its_answer_comes_back(tmp_path: Path) -> None:
    desk = FakeDesk()
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post("/api/v1/actions/seize", json=WHO)
    assert (answer.status_code, answer.json()) == (200, {"done": "seize done"})
    assert desk.asked == [("seize", WHO)]


async def test_a_refused_action_says_why_and_what_to_do(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.failure = ActionRefused("Bay 3 is empty.", hint="Look at the bays.")
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post("/api/v1/actions/urgent-release", json=WHO)
    assert answer.status_code == 409
    assert answer.json() == {"error": "Bay 3 is empty.", "hint": "Look at the bays."}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"not json", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"a": "' + b"x" * 65_536 + b'"}', "application/json", 413),
    ],
)
@pytest.mark.parametrize("route", ["actions/seize", "offload"])
async def test_a_body_that_is_no_order_never_reaches_the_desk(
    tmp_path: Path, body: bytes, kind: str, status: int, route: str
) -> None:
    desk = FakeDesk()
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post(f"/api/v1/{route}", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "hint"}
    assert desk.asked == []


@pytest.mark.parametrize("name", ["", "Seize", "a/b", "x" * 40, "%00"])
async def test_a_word_that_is_no_action_is_not_found(tmp_path: Path, name: str) -> None:
    desk = FakeDesk()
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post(f"/api/v1/actions/{name}", json=WHO)
    assert answer.status_code == 404
    assert desk.asked == []


async def test_an_offload_is_streamed_line_by_line(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.steps = [{"done_bytes": 1}, {"done_bytes": 2}, {"result": {"clips": []}}]
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post("/api/v1/offload", json={"path": "/media/card"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == desk.steps
    assert desk.asked == [("offload", {"path": "/media/card"})]


@pytest.mark.parametrize(
    "error", [ActionRefused("No folder.", hint="Give one."), SpoolFull("The spool is full.", hint="Give one.")]
)
async def test_an_offload_that_fails_ends_with_the_error(tmp_path: Path, error: Exception) -> None:
    desk = FakeDesk()
    desk.steps = [{"done_bytes": 1}, error]
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post("/api/v1/offload", json={})
    last = json.loads(answer.text.splitlines()[-1])
    assert last == {"error": str(error), "hint": "Give one."}


async def test_an_error_inside_a_task_group_is_told_all_the_same(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.steps = [ExceptionGroup("group", [ExceptionGroup("inner", [SpoolFull("The spool is full.")])])]
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post("/api/v1/offload", json={})
    assert json.loads(answer.text)["error"] == "The spool is full."


async def test_an_offload_that_crashes_ends_with_an_internal_error(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.steps = [{"done_bytes": 1}, RuntimeError("secret")]
    async with serving(desk, tmp_path) as api:
        answer = await api.orders.post("/api/v1/offload", json={})
    assert "secret" not in answer.text
    assert json.loads(answer.text.splitlines()[-1])["error"] == "internal error"


async def test_an_offload_ends_when_its_client_goes(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.steps, desk.endless = [{"done_bytes": 1}], True
    async with serving(desk, tmp_path) as api:
        async with api.orders.stream("POST", "/api/v1/offload", json={}) as answer:
            await anext(answer.aiter_lines())
            assert desk.open_hand_overs == 1
        await until(lambda: desk.open_hand_overs == 0)


async def test_an_offload_is_told_that_the_agent_stops(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.steps, desk.endless = [{"done_bytes": 1}], True
    async with serving(desk, tmp_path) as api, api.orders.stream("POST", "/api/v1/offload", json={}) as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        api.stop.set()
        async with asyncio.timeout(3):
            last = json.loads(await anext(lines))
    assert last["error"] == "the agent is stopping"
    assert desk.open_hand_overs == 0


async def test_the_agent_stops_only_after_an_offload_has_let_go_of_its_camera(tmp_path: Path) -> None:
    desk = FakeDesk()
    desk.steps, desk.slow_end = [{"note": "x" * 100_000}] * 50, True
    async with serving(desk, tmp_path) as api, api.orders.stream("POST", "/api/v1/offload", json={}) as answer:
        api.stop.set()  # while the agent waits for this client, which does not read
        last = [line async for line in answer.aiter_lines()][-1]
        assert json.loads(last)["error"] == "the agent is stopping"
        assert desk.open_hand_overs == 0


async def test_orders_can_only_be_posted(tmp_path: Path) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        answer = await api.orders.get("/api/v1/offload")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
