"""Whom a refusal concerns: the store as a whole, or one object, so that one object never blocks the others."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.core.errors import ObjectRefused, StoreBusy, StoreError, StoreRefused
from agent.ports import Transfer
from agent.stores.answer import Answer, CredentialRefused, UploadLocked, refusal
from agent.stores.directory import DirectoryStore
from tests.contracts.store_place import Hints, make_shipment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def judged(status: int) -> StoreError:
    return refusal(Answer(status, {}), "store central: sending", NOW)


@pytest.mark.parametrize("status", [400, 406, 411, 413, 414, 415, 416, 422, 431, 451, 460])
def test_a_refusal_of_one_upload_concerns_that_object_only(status: int) -> None:
    error = judged(status)
    assert type(error) is ObjectRefused
    assert error.hint


@pytest.mark.parametrize("status", [301, 302, 307, 308, 402, 405, 407, 412, 421, 426, 507])
def test_a_refusal_of_the_way_we_ask_concerns_the_store(status: int) -> None:
    assert type(judged(status)) is StoreRefused


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_concerns_the_store_and_says_where_it_is_renewed(status: int) -> None:
    error = judged(status)
    assert type(error) is CredentialRefused
    assert isinstance(error, StoreRefused)
    assert "credential file" in error.hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, StoreError),
        (408, StoreError),
        (409, StoreError),
        (410, StoreError),
        (423, UploadLocked),
        (429, StoreBusy),
        (500, StoreError),
        (503, StoreBusy),
    ],
)
def test_what_passes_by_itself_is_no_refusal(status: int, kind: type[StoreError]) -> None:
    assert type(judged(status)) is kind


async def test_an_object_too_large_for_a_directorys_file_system_concerns_that_object_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object) -> int:
        raise OSError(27, "File too large")

    (tmp_path / "nas").mkdir()
    shipment = make_shipment(tmp_path, b"footage")
    store = DirectoryStore("nas", tmp_path / "nas", lambda: NOW, allow_unsafe=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", too_large)
        with pytest.raises(ObjectRefused):
            await store.send(shipment, None, Transfer(), Hints(Transfer()).keep)
    await store.close()
