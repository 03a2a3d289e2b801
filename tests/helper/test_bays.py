"""Which bays the helper believes in."""

import os
from pathlib import Path

import pytest

from agent.devices.topology import PortPath
from agent.helper.bays import Bays, fault_of
from tests.helper.tree import port


def names(bays: Bays) -> dict[str, str | None]:
    topology = bays.topology()
    return {str(path): topology.bay_at(str(path), "1-1.1") for path in topology.paths}


def test_bays_come_from_the_file_and_from_the_folder_beside_it(config: Path) -> None:
    (config.parent / "conf.d").mkdir(mode=0o755)
    more = config.parent / "conf.d/bays.toml"
    more.write_text(f'[[bays]]\nname = "3"\npaths = ["{port(3)}"]\n', "utf-8")
    assert names(Bays(config)) == {port(1): "1", port(2): "2", port(3): "3"}


def test_a_change_is_seen_without_a_restart(config: Path) -> None:
    bays = Bays(config)
    before = bays.topology()
    assert bays.topology() is before
    config.write_text(f'[[bays]]\nname = "9"\npaths = ["{port(4)}"]\n', "utf-8")
    assert names(bays) == {port(4): "9"}
    config.unlink()
    assert names(bays) == {}


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_to_is_left_out(
    config: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config.chmod(mode)
    assert names(Bays(config)) == {}
    assert "others than its owner may write to it" in capsys.readouterr().err


def test_a_file_in_a_folder_that_others_may_write_to_is_left_out(config: Path) -> None:
    config.parent.chmod(0o777)
    assert names(Bays(config)) == {}


def test_a_file_of_another_user_is_left_out(config: Path) -> None:
    facts = list(config.stat())
    facts[4] = os.geteuid() + 1 or 1
    assert fault_of(config.stat()) is None
    assert fault_of(os.stat_result(facts)) == "it belongs to another user; chown root it"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bays = 1",
        "bays = [1, {}]",
        '[[bays]]\nname = "1"',
        '[[bays]]\nname = "1"\nfolder = "/media/bay1"',
        '[[bays]]\nname = 1\npaths = ["x"]',
        '[[bays]]\nname = "../1"\npaths = ["pci-0000:00:14.0-usb-0:1.1"]',
        '[[bays]]\nname = "port-1-1.3"\npaths = ["pci-0000:00:14.0-usb-0:1.1"]',
        '[[bays]]\nname = "1"\npaths = ["/dev/sda", 5, "pci"]',
        "[[bays",
        "\0",
        "a = " + "[" * 5000,
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_no_bay_is_left_out(config: Path, text: str) -> None:
    config.write_text(text, "utf-8")
    assert names(Bays(config)) == {}


def test_a_file_that_is_no_text_does_not_take_the_others_with_it(config: Path) -> None:
    (config.parent / "conf.d").mkdir(mode=0o755)
    (config.parent / "conf.d/a.toml").write_bytes(b"\xff\xfe")
    (config.parent / "conf.d/b.toml").write_text("[[bays", "utf-8")
    assert len(names(Bays(config))) == 2


def test_one_bad_path_does_not_take_the_bay_with_it(config: Path) -> None:
    config.write_text(f'[[bays]]\nname = "1"\npaths = ["nowhere", "{port(2)}"]\n', "utf-8")
    assert Bays(config).topology().paths == {PortPath.parse(port(2))}


def test_two_bays_on_one_port_leave_no_bay_at_all(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f'[[bays]]\nname = "1"\npaths = ["{port(1)}"]\n[[bays]]\nname = "2"\npaths = ["{port(1)}"]\n'
    config.write_text(text, "utf-8")
    assert names(Bays(config)) == {}
    assert "bays 1 and 2 are both at" in capsys.readouterr().err


def test_what_the_files_say_makes_no_second_line_in_the_log(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(f'[[bays]]\nname = "a\\nmount bay=1: ok"\npaths = ["{port(1)}"]\n', "utf-8")
    Bays(config).topology()
    assert "\nmount" not in capsys.readouterr().err
