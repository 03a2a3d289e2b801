"""What blocks on the spool's disk runs beside the event loop, and nothing of it goes on behind anybody's back."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.clip import CameraId, Custody
from agent.core.errors import CameraGone
from agent.ledger import fleet
from agent.ledger.spool import SpoolPart
from agent.services.kit import Kit
from agent.services.offload import offload
from agent.services.progress import Progress
from tests.services.stage import ScriptedStore, kit_in, listed

LIMIT_S = 20.0


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with kit_in(tmp_path, ScriptedStore()) as made:
        yield made


@pytest.mark.parametrize("fails", [False, True])
async def test_however_often_it_is_cancelled_disk_work_has_ended_before_its_caller(kit: Kit, fails: bool) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(LIMIT_S)
        ended.set()
        if fails:
            raise OSError("the disk is gone")

    try:
        async with asyncio.timeout(LIMIT_S):
            caller = asyncio.create_task(kit.on_disk(work))
            await asyncio.to_thread(begun.wait, LIMIT_S)
            for _ in range(3):
                caller.cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not caller.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert ended.is_set()
    finally:
        go_on.set()


async def test_a_copy_that_ends_early_is_dropped_beside_the_event_loop(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = listed(kit, "CAM1", b"footage")
    dropped_in: list[threading.Thread] = []
    real = SpoolPart.drop

    def drop(self: SpoolPart) -> None:
        dropped_in.append(threading.current_thread())
        real(self)

    monkeypatch.setattr(SpoolPart, "drop", drop)

    class Leaving:
        """A camera that is pulled while it is read."""

        async def read(self, *_: object, **__: object) -> None:
            raise CameraGone("the camera was taken out")

    with pytest.raises(CameraGone):
        await offload(kit, Leaving(), clip, "1", Progress())  # type: ignore[arg-type]
    assert dropped_in
    assert threading.main_thread() not in dropped_in
    assert list((kit.spool.root / "incoming").iterdir()) == []
    aboard = kit.database.run_blocking(lambda tx: fleet.clips_aboard(tx, CameraId("CAM1"), Custody.LISTED, 9))
    assert [each.id for each in aboard] == [clip.id]
