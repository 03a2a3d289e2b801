"""Parts of one upload on their way together: how many at a time, and what is left when one of them fails."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.core.errors import StoreError, StoreUnreachable
from agent.ports import Transfer, UploadStopped
from agent.stores.answer import BytesAltered
from agent.stores.s3_convoy import S3Convoy
from agent.stores.s3_sender import S3Progress
from agent.stores.s3_uploads import SentPart


class Road:
    """Sends nothing: the bytes of each part leave, and it arrives or fails, when the test says so."""

    def __init__(self) -> None:
        self.outcomes: dict[int, asyncio.Future[str]] = {}
        self.left: dict[int, Callable[[], None]] = {}
        self.arrived: list[tuple[int, str]] = []
        self.convoy = S3Convoy(self._send, self._keep)

    async def _send(self, number: int, left: Callable[[], None]) -> SentPart:
        self.left[number] = left
        return SentPart(number, await self.outcomes[number], "")

    async def _keep(self, part: SentPart) -> None:
        self.arrived.append((part.number, part.etag))

    async def start(self, number: int) -> None:
        async with asyncio.timeout(5):
            await self.convoy.turn()
        self.outcomes[number] = asyncio.get_running_loop().create_future()
        self.convoy.start(number)
        await asyncio.sleep(0)

    async def must_wait(self) -> bool:
        """Whether the next part has to wait."""
        waiting = asyncio.ensure_future(self.convoy.turn())
        for _ in range(5):
            await asyncio.sleep(0)
        if waiting.done():
            return False
        waiting.cancel()
        await asyncio.wait({waiting})
        return True


async def under_way() -> Road:
    """The bytes of part 1 have left; part 2 is leaving."""
    road = Road()
    await road.start(1)
    road.left[1]()
    await road.start(2)
    return road


async def failed(step: Callable[[], Awaitable[None]], road: Road) -> BaseException:
    try:
        await step()
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return await road.convoy.end(error)
    raise AssertionError("nothing failed")


async def test_the_next_part_leaves_once_the_bytes_of_the_one_before_have_and_not_sooner() -> None:
    road = Road()
    await road.start(1)
    assert await road.must_wait()
    road.left[1]()
    assert not await road.must_wait()
    await road.start(2)
    assert await road.must_wait()
    for number in (1, 2):
        road.outcomes[number].set_result(str(number))
    await road.convoy.all_arrived()
    assert sorted(road.arrived) == [(1, "1"), (2, "2")]


async def test_no_third_part_leaves_while_two_wait_for_their_answers() -> None:
    road = await under_way()
    road.left[2]()
    assert await road.must_wait()
    road.outcomes[2].set_result("two")
    assert not await road.must_wait()
    assert road.arrived == [(2, "two")]


async def test_a_part_that_was_answered_before_its_bytes_had_left_holds_nobody_up() -> None:
    road = Road()
    await road.start(1)
    road.outcomes[1].set_result("one")
    await road.start(2)
    assert road.arrived == [(1, "one")]


async def test_what_arrived_together_with_a_failure_is_kept() -> None:
    road = await under_way()
    road.outcomes[1].set_exception(StoreUnreachable("gone"))
    road.outcomes[2].set_result("two")
    assert isinstance(await failed(road.convoy.all_arrived, road), StoreUnreachable)
    assert (2, "two") in road.arrived


async def test_after_a_stop_the_answer_to_a_part_that_has_left_is_waited_for() -> None:
    road = await under_way()
    road.outcomes[2].set_exception(UploadStopped())
    asyncio.get_running_loop().call_later(0.05, lambda: road.outcomes[1].set_result("one"))
    assert isinstance(await failed(road.convoy.all_arrived, road), UploadStopped)
    assert (1, "one") in road.arrived


async def test_a_failure_that_stopped_the_other_part_is_what_is_told() -> None:
    road = await under_way()
    road.outcomes[2].set_exception(UploadStopped())
    asyncio.get_running_loop().call_later(0.05, lambda: road.outcomes[1].set_exception(StoreUnreachable("gone")))
    assert isinstance(await failed(road.convoy.all_arrived, road), StoreUnreachable)


async def test_after_altered_bytes_the_other_part_goes_on_to_its_end() -> None:
    road = await under_way()
    road.outcomes[1].set_exception(BytesAltered("other bytes"))
    asyncio.get_running_loop().call_later(0.05, lambda: road.outcomes[2].set_result("two"))
    assert isinstance(await failed(road.convoy.all_arrived, road), BytesAltered)
    assert (2, "two") in road.arrived


async def test_an_error_ends_the_other_part_at_once() -> None:
    road = await under_way()
    road.outcomes[1].set_exception(StoreError("no"))
    async with asyncio.timeout(5):
        assert isinstance(await failed(road.convoy.all_arrived, road), StoreError)
    assert road.outcomes[2].cancelled()


def test_progress_adds_up_what_is_there_and_under_way_and_only_rises() -> None:
    seen: list[int] = []
    transfer = Transfer(on_progress=seen.append)
    progress = S3Progress(transfer)
    progress.there(0, 10)
    second, third = progress.of_part(10), progress.of_part(20)
    second.on_progress(14)
    third.on_progress(25)
    again = progress.of_part(20)  # its bytes arrived otherwise
    again.on_progress(23)
    again.on_progress(30)
    second.on_progress(20)
    assert seen == [14, 19, 24, 30]
    assert transfer.sent_bytes == 30
    assert again.stop is transfer.stop
