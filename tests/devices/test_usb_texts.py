"""What devices call themselves: real files that are read, and pipes that keep a reader waiting as the kernel may."""

import asyncio
import os
from pathlib import Path

import pytest

from agent.devices import usb_texts
from agent.devices.usb_texts import Texts, UsbTexts, read_texts

LIMIT_S = 10.0
BRIEFLY_S = 0.05


class Device:
    """A folder of sysfs; without a serial the kernel keeps whoever asks for it waiting until `tell`."""

    def __init__(self, place: Path, name: str, serial: str | None = None) -> None:
        self.place = place / name
        self.place.mkdir()
        (self.place / "product").write_text("BodyCam\n")
        if serial is None:
            os.mkfifo(self.place / "serial")
        else:
            (self.place / "serial").write_text(f"{serial}\n")

    def tell(self, serial: str) -> None:
        """Answer whoever has asked; waits for him."""
        (self.place / "serial").write_text(f"{serial}\n")


@pytest.fixture
def answered() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def texts(answered: asyncio.Event) -> UsbTexts:
    return UsbTexts(answered.set)


def test_what_is_missing_or_empty_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "serial").write_text("\n")
    assert read_texts("t", tmp_path) == Texts(None, None)


async def test_a_device_is_asked_once(texts: UsbTexts, tmp_path: Path) -> None:
    for name, text in (("serial", "BWC1\n"), ("product", "BodyCam\n")):
        (tmp_path / name).write_text(text)
    texts.of("a", tmp_path)
    await texts.wait(LIMIT_S)
    (tmp_path / "serial").write_text("BWC2\n")
    assert texts.of("a", tmp_path) == Texts("BWC1", "BodyCam")
    assert texts.of("b", tmp_path) is None  # another docking of it
    await texts.wait(LIMIT_S)
    assert texts.of("b", tmp_path) == Texts("BWC2", "BodyCam")
    texts.keep(["b"])
    assert texts.of("a", tmp_path) is None


async def test_a_silent_device_is_waited_for_once_and_told_of_when_it_speaks(
    texts: UsbTexts, answered: asyncio.Event, tmp_path: Path
) -> None:
    silent, other = Device(tmp_path, "1-1.3"), Device(tmp_path, "1-1.4", "BWC4")
    assert (texts.of("3", silent.place), texts.of("4", other.place)) == (None, None)
    await texts.wait(BRIEFLY_S)
    assert (texts.of("3", silent.place), texts.of("4", other.place)) == (None, Texts("BWC4", "BodyCam"))
    async with asyncio.timeout(LIMIT_S / 2):
        await texts.wait(LIMIT_S)  # for nobody
    answered.clear()
    silent.tell("BWC3")
    async with asyncio.timeout(LIMIT_S):
        await answered.wait()
    assert texts.of("3", silent.place) == Texts("BWC3", "BodyCam")


async def test_only_so_many_are_asked_at_once_and_who_has_left_counts_until_the_kernel_lets_go(
    texts: UsbTexts, answered: asyncio.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb_texts, "MOST", 2)
    devices = [Device(tmp_path, "1-1.0"), Device(tmp_path, "1-1.1"), Device(tmp_path, "1-1.2", "BWC2")]
    for number, device in enumerate(devices):
        assert texts.of(str(number), device.place) is None
    texts.keep([])
    await texts.wait(BRIEFLY_S)
    assert texts.of("2", devices[2].place) is None
    devices[0].tell("BWC0")
    async with asyncio.timeout(LIMIT_S):
        await answered.wait()
    assert texts.of("2", devices[2].place) is None  # asked only now
    await texts.wait(LIMIT_S)
    assert texts.of("2", devices[2].place) == Texts("BWC2", "BodyCam")
    devices[1].tell("BWC1")
