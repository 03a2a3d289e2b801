"""How a store is reached, in the configuration."""

import re
from pathlib import Path

import pytest

from agent.config import ConfigErrors, load_config
from agent.config.adapters import store_settings
from agent.config.notices import notices_of
from agent.devices.profiles import LoadedProfiles
from agent.stores.throttle import Throttle

DOCS = Path(__file__).parents[2] / "docs"
STATION = '[station]\nid = "hub7"\nstate_dir = "state"\n'
STORE = '[[stores]]\nname = "central"\nurl = "tus+https://store.example/files/"\nrequire = "readback"\n'
FOLDER = '[[stores]]\nname = "folder"\nurl = "file:///srv/evidence"\nrequire = "readback"\n'


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "proxy.credential").write_text("hub7:secret")
    (tmp_path / "proxy.credential").chmod(0o600)
    return tmp_path / "agent.toml"


def mistakes(main: Path, text: str) -> dict[str, str]:
    main.write_text(STATION + text)
    with pytest.raises(ConfigErrors) as caught:
        load_config(main)
    return {p.key: p.reason for p in caught.value.problems}


def test_a_store_may_be_reached_by_a_proxy_an_interface_and_an_address(main: Path) -> None:
    ways = 'proxy = "http://proxy.example:3128"\nproxy_credential = "proxy.credential"\n'
    main.write_text(f'{STATION}{STORE}{ways}interface = "eth1"\nsource = "10.0.0.7"\n')
    (table,) = load_config(main).stores
    found = store_settings(table, Throttle())
    assert (found.proxy, found.proxy_credential) == ("http://proxy.example:3128", main.parent / "proxy.credential")
    assert (found.interface, found.source) == ("eth1", "10.0.0.7")


def test_without_a_word_the_kernel_chooses(main: Path) -> None:
    main.write_text(STATION + STORE)
    (table,) = load_config(main).stores
    found = store_settings(table, Throttle())
    assert (found.proxy, found.proxy_credential, found.interface, found.source) == (None, None, None, None)


def test_what_cannot_be_an_interface_or_an_address_is_a_mistake(main: Path) -> None:
    found = mistakes(main, f'{STORE}interface = "an interface"\nsource = "hub7.example"\n')
    assert set(found) == {"stores.0.interface", "stores.0.source"}


def test_a_credential_without_a_proxy_and_one_that_others_can_read_are_mistakes(main: Path) -> None:
    (main.parent / "proxy.credential").chmod(0o644)
    found = mistakes(main, f'{STORE}proxy = "http://proxy.example:3128"\nproxy_credential = "proxy.credential"\n')
    assert "chmod 600" in found["stores.0.proxy_credential"]
    (main.parent / "proxy.credential").chmod(0o600)
    found = mistakes(main, f'{STORE}proxy_credential = "proxy.credential"\n')
    assert "no proxy" in found["stores.0.proxy_credential"]


def test_a_directory_is_reached_by_no_way_of_ours(main: Path) -> None:
    found = mistakes(main, f'{FOLDER}interface = "eth1"\nproxy = "http://proxy.example:3128"\n')
    assert set(found) == {"stores.0.interface", "stores.0.proxy"}


@pytest.mark.parametrize(("interface", "told"), [("dockmodem9", 1), ("lo", 0)])
def test_an_interface_that_is_not_there_now_is_worth_a_word_and_no_mistake(
    main: Path, interface: str, told: int
) -> None:
    main.write_text(f'{STATION}{STORE}interface = "{interface}"\n')
    notices = notices_of(load_config(main), LoadedProfiles((), ()))
    assert [n for n in notices if "network interface" in n] == (
        [f"Store central: there is no network interface {interface} now."] * told
    )


def test_the_examples_in_the_documentation_are_right(main: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "network.md").read_text("utf-8"), re.DOTALL)
    settings = []
    for block in blocks:
        main.write_text(f'{STATION}{block}require = "readback"\n')
        (table,) = load_config(main).stores
        settings.append(store_settings(table, Throttle()))
    assert [(s.proxy, s.interface, s.source) for s in settings] == [
        ("http://proxy.force.example:3128", None, None),
        (None, "eth1", "10.0.0.7"),
    ]
