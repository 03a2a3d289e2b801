"""A station whose store is reached by a way of its own: the way goes and comes back, and nothing is lost."""

import json

from agent.core.clip import Custody
from tests.fakes.proxy import FakeProxy
from tests.scenarios.shift import Running, Shift


async def until_told(running: Running, words: str) -> None:
    async def said() -> bool:
        return words in json.dumps((await running.agent.desk.health())["problems"])

    await running.until(said, f"health says {words}")


async def test_while_an_interface_is_missing_footage_is_taken_and_kept_and_people_are_told(shift: Shift) -> None:
    shift.write_config(network='interface = "dockmodem9"')
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await until_told(running, "there is no network interface dockmodem9")
        await running.until_advice("1", "take, footage still aboard")
        assert {clip.custody for clip in await running.clips()} == {Custody.SPOOLED}
        assert len(shift.aboard(camera)) == len(shift.truth(camera))
        assert shift.depot.held() == {}
    shift.write_config(network='interface = "lo"\nsource = "127.0.0.2"')
    async with shift.station() as running:
        await running.until_advice("1", "take")
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_proxy_that_goes_and_comes_back_costs_nothing_but_time(shift: Shift) -> None:
    async with FakeProxy() as proxy:
        shift.write_config(network=f'proxy = "{proxy.url}"\ninsecure = true')
        camera = shift.camera("CAM1")
        proxy.down()
        async with shift.station() as running:
            camera.dock(shift.bay(1))
            await until_told(running, f"no connection to the proxy {proxy.address}")
            assert shift.depot.held() == {}, "nothing goes past it"
            await proxy.up()
            await running.ask("retry")
            await running.until_advice("1", "take")
            await running.chain_holds()
        assert {"POST", "GET"} <= set(proxy.methods())
    shift.nothing_lost()


async def test_a_station_that_leaves_the_line_to_others_confirms_all_the_same(shift: Shift) -> None:
    shift.write_config(more="[bandwidth]\nyield_to_others = true")
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        line = running.agent.kit.bandwidth.line("central")
        assert line.wanted
        assert line._base.minutes, "the connections were looked at"
    shift.nothing_lost()
