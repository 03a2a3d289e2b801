"""What the configuration of a store may say, and which stores share the spool's fate."""

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind
from agent.stores.block_device import disks_beneath
from agent.stores.client import OpenedStore, open_store
from agent.stores.credential import Credential, read_credential
from agent.stores.endpoint import Endpoint
from agent.stores.s3_retention import LockMode, Retention
from agent.stores.settings import StoreSettings

BASE = StoreSettings("central", "tus+http://127.0.0.1:1/files/", ReceiptKind.READBACK)


def open_(settings: StoreSettings, spool: Path) -> OpenedStore:
    return open_store(settings, station="hub7", clock=lambda: datetime.now(UTC), spool_dir=spool)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3+https://store.example/bucket", "access key"),
        ("s3+https://store.example/", "needs a bucket"),
        ("s3+https://store.example/bucket/../other", "needs a bucket"),
        ("s3+https://store.example/bucket//deep", "needs a bucket"),
        ("s3+https://store.example/bu%20cket", "needs a bucket"),
        ("s3+https://key:secret-pass@store.example/bucket", "user"),
        ("s3+http://store.example/bucket", "in the clear"),
        ("axis:there-is-no-such-file.json", "cannot be read"),
        ("ftp://store.example/", "no scheme that is known"),
        ("tus+http://store.example/files/", "in the clear"),
        ("tus+https://user:pass@store.example/files/", "user"),
        ("tus+https:///files/", "host"),
        ("tus+https://store.example:99999/files/", "cannot be read"),
        ("tus+https://store.example/files/?a=b", "query"),
        ("tus+https://store.example/fi les/", "cannot be read"),
        ("file://otherhost/srv/evidence", "file:///path"),
        ("file:relative", "file:///path"),
    ],
)
def test_a_store_that_cannot_be_used_is_a_configuration_error(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        open_(replace(BASE, url=url), tmp_path)
    assert "pass" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "retention", [Retention(LockMode.GOVERNANCE, 31), Retention(legal_hold=True), Retention(tags=True)]
)
@pytest.mark.parametrize("url", ["tus+http://127.0.0.1:1/files/", "file:///srv/evidence"])
def test_a_lock_that_no_store_would_keep_is_refused(tmp_path: Path, url: str, retention: Retention) -> None:
    with pytest.raises(ConfigError, match="only S3"):
        open_(replace(BASE, url=url, retention=retention), tmp_path)


@pytest.mark.parametrize("url", [BASE.url, "file:///srv", "s3+https://store.example/bucket", "axis:any.json"])
def test_signed_receipts_need_a_key_and_a_store_that_signs(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError):
        open_(replace(BASE, url=url, require=ReceiptKind.SIGNED), tmp_path)


async def test_clear_text_beyond_this_machine_must_be_asked_for(tmp_path: Path) -> None:
    opened = open_(replace(BASE, url="tus+http://192.0.2.1/files/", insecure=True), tmp_path)
    assert not opened.same_machine
    await opened.store.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", socket.gethostname()])
async def test_a_store_on_this_machine_is_known_as_such(tmp_path: Path, host: str) -> None:
    opened = open_(replace(BASE, url=f"tus+https://{host}/files/"), tmp_path)
    assert opened.same_machine
    await opened.store.close()


@pytest.mark.parametrize("host", ["evidence.example", "192.0.2.1"])
async def test_a_store_elsewhere_is_not_taken_for_this_machine(tmp_path: Path, host: str) -> None:
    opened = open_(replace(BASE, url=f"tus+https://{host}/files/"), tmp_path)
    assert not opened.same_machine
    await opened.store.close()


async def test_a_directory_on_the_spools_disk_is_on_the_same_machine(tmp_path: Path) -> None:
    (tmp_path / "na s").mkdir()
    opened = open_(replace(BASE, url=f"file://{tmp_path}/na%20s"), tmp_path)
    assert opened.same_machine
    await opened.store.close()


async def test_a_directory_that_is_not_there_yet_does_not_count(tmp_path: Path) -> None:
    opened = open_(replace(BASE, url=f"file://{tmp_path}/later"), tmp_path)
    assert opened.same_machine
    await opened.store.close()
    assert not (tmp_path / "later").exists()


def fake_sysfs(root: Path) -> Path:
    """Two partitions of one disk, one of them below an encrypted device, and a second disk."""
    disks = root / "devices"
    for disk, parts in (("sda", ("sda1", "sda2")), ("sdb", ("sdb1",))):
        for part in parts:
            (disks / disk / part).mkdir(parents=True)
            (disks / disk / part / "partition").touch()
    (disks / "dm-0" / "slaves").mkdir(parents=True)
    (disks / "dm-0" / "slaves" / "sda2").symlink_to(disks / "sda" / "sda2")
    block = root / "block"
    block.mkdir()
    for number, place in (("8:1", "sda/sda1"), ("8:17", "sdb/sdb1"), ("254:0", "dm-0")):
        (block / number).symlink_to(disks / place)
    return block


def test_partitions_and_encrypted_devices_lie_on_their_disk(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    assert disks_beneath(os.makedev(8, 1), sysfs) == {"sda"}
    assert disks_beneath(os.makedev(254, 0), sysfs) == {"sda"}
    assert disks_beneath(os.makedev(8, 17), sysfs) == {"sdb"}
    assert disks_beneath(os.makedev(0, 40), sysfs) == frozenset()


def test_a_credential_is_read_from_its_file_and_stays_out_of_sight(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hub7.abc-123\n")
    credential = read_credential(tmp_path / "token")
    assert credential.headers() == {"Authorization": "Bearer hub7.abc-123"}
    assert "abc" not in repr(credential)


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "caf\u00e9", "x" * 5000])
def test_a_credential_that_is_no_token_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_credential(tmp_path / "token")
    assert not text or text not in str(caught.value)


def test_no_credential_means_no_header() -> None:
    assert Credential().headers() == {}


def test_receipts_lie_beside_the_uploads_even_below_a_proxys_prefix() -> None:
    assert Endpoint.of("https://h/files/").receipts == "https://h:443/receipts/"
    assert Endpoint.of("https://h/dock/files").receipts == "https://h:443/dock/receipts/"
