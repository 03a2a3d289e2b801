"""A station that is cut off from its store until the spool is full, and then is not any more."""

from urllib.parse import urlsplit

import pytest

from agent.core import retry_policy
from agent.core.clip import Custody
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Way
from tests.scenarios.shift import Shift

NOBODY = ("127.0.0.1", 1)


async def test_cut_off_until_the_spool_is_full_cameras_keep_their_clips_and_all_goes_on_by_itself(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "CAP_S", 1.0)  # what would be five minutes; nobody says "retry" in this test
    parts = urlsplit(str(shift.depot.facts["url"]))
    first, second = shift.camera("CAM1"), shift.camera("CAM2")
    async with Badwan(NOBODY) as line:
        shift.depot.facts["url"] = line.carry(str(shift.depot.facts["url"]))
        shift.write_config()
        async with shift.station() as running:
            first.dock(shift.bay(1))
            await running.until_advice("1", "take, footage still aboard", "on the way")
            running.agent.kit.spool.reserve_bytes = 1 << 62
            second.dock(shift.bay(2))
            await running.until_advice("2", "take, footage still aboard", "waiting for the spool")
            await running.until(lambda: line.tally.refused > retry_policy.STRIKES, "the store is tried again and again")
            for camera, custody in ((first, Custody.SPOOLED), (second, Custody.LISTED)):
                assert {clip.custody for clip in await running.clips(camera)} == {custody}
                assert len(shift.aboard(camera)) == len(shift.truth(camera))
            assert shift.depot.held() == {}
            line.lead_to((parts.hostname or "", parts.port or 0))
            await running.until_advice("1", "take")
            assert len(shift.aboard(second)) == len(shift.truth(second))
            running.agent.kit.spool.reserve_bytes = 0  # as after a purge
            running.agent.kit.ring()
            await running.until_advice("2", "take")
        size_bytes = sum(path.stat().st_size for path in (shift.depot.directory / "objects").iterdir())
        assert line.tally.delivered[Way.UP] < 1.2 * size_bytes  # nothing was sent twice; small files have large headers
    shift.nothing_lost()
