"""What an S3 store says to a key that it knows: rights that are missing are no wrong key, and nothing is left there."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.errors import StoreError
from agent.core.object import ReceiptKind
from agent.stores.answer import CredentialRefused
from agent.stores.knock import RightsMissing, knock
from agent.stores.settings import StoreSettings
from tests.fakes.hostile_s3 import HostileS3, error

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def store() -> AsyncIterator[HostileS3]:
    async with HostileS3() as hostile:
        hostile.faults["GET"] = error(404, "NoSuchKey")
        yield hostile


@pytest.fixture
def settings(store: HostileS3, tmp_path: Path) -> StoreSettings:
    keys = tmp_path / "keys"
    keys.write_text("hub7-key\nhub7-secret\n")
    return StoreSettings("central", f"s3+{store.url}", ReceiptKind.READBACK, credential=keys)


async def asked(settings: StoreSettings) -> None:
    await knock(settings, "hub7", lambda: NOW)


async def test_an_upload_is_begun_and_given_up(store: HostileS3, settings: StoreSettings) -> None:
    await asked(settings)
    assert store.asked == ["GET", "CREATE", "ABORT"]
    assert not store.open
    assert store.objects == {}


@pytest.mark.parametrize(
    ("what", "why"),
    [("GET", "look whether an object is there"), ("CREATE", "begin an upload"), ("ABORT", "give up an upload")],
)
async def test_a_right_that_is_missing_is_named_and_the_key_is_not_called_wrong(
    store: HostileS3, settings: StoreSettings, what: str, why: str
) -> None:
    store.faults[what] = error(403, "AccessDenied")
    with pytest.raises(RightsMissing, match=why) as caught:
        await asked(settings)
    assert not isinstance(caught.value, CredentialRefused)
    assert "rights" in caught.value.hint
    assert "secret words" not in caught.value.told()


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch"])
async def test_a_key_that_is_wrong_is_called_so_and_no_upload_is_begun(
    store: HostileS3, settings: StoreSettings, code: str
) -> None:
    store.faults["GET"] = error(403, code)
    with pytest.raises(CredentialRefused):
        await asked(settings)
    assert store.asked == ["GET"]


async def test_trouble_of_the_store_says_nothing_about_the_key(store: HostileS3, settings: StoreSettings) -> None:
    store.faults["CREATE"] = error(500, "InternalError")
    with pytest.raises(StoreError) as caught:
        await asked(settings)
    assert not isinstance(caught.value, RightsMissing | CredentialRefused)
