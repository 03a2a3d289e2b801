"""A credential that is exchanged while the agent runs."""

from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind
from agent.ports import Transfer
from agent.stores.answer import CredentialRefused
from agent.stores.credential import Credential, read_credential
from tests.contracts.store_place import MIB
from tests.fakes.hostile_store import HostileStore
from tests.stores.hostile_try import TOKEN, Try, adapter

OLD, NEW = "hub7.old-token", "hub7.new-token"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "credential").write_text(OLD + "\n")
    return tmp_path / "credential"


def put(file: Path, content: str | None) -> None:
    """Let the file hold this, or let it be missing."""
    if content is None:
        file.unlink()
    else:
        file.write_text(content)


async def test_a_credential_that_is_exchanged_in_mid_upload_costs_no_byte(
    hostile: HostileStore, attempt: Try, file: Path
) -> None:
    hostile.token = OLD
    await attempt.use(adapter(hostile, signed=True, credential=read_credential(file)))

    def exchange(sent: int) -> None:
        if sent >= MIB:
            hostile.token = NEW
            put(file, NEW)

    transfer = Transfer(on_progress=exchange)
    handle = await attempt.store.send(attempt.shipment, None, transfer, attempt.hints.keep)
    receipt = await attempt.store.prove(attempt.shipment, handle, ReceiptKind.SIGNED)
    assert receipt.sha256 == attempt.shipment.sha256
    assert hostile.stored() == [attempt.shipment.file.read_bytes()]
    assert hostile.methods().count("POST") == 1


@pytest.mark.parametrize("question", ["find", "prove"])
async def test_every_question_is_asked_again_with_the_new_one(
    hostile: HostileStore, attempt: Try, file: Path, question: str
) -> None:
    await attempt.use(adapter(hostile, signed=True, credential=read_credential(file)))
    handle = await attempt.send()
    hostile.token = NEW
    put(file, NEW)
    if question == "find":
        assert attempt.store.find is not None
        assert await attempt.store.find(attempt.shipment)
    else:
        await attempt.store.prove(attempt.shipment, handle, ReceiptKind.SIGNED)


@pytest.mark.parametrize("content", [OLD, "", "two words", "\x00", None])
async def test_without_a_newer_one_the_store_is_asked_once_only(
    hostile: HostileStore, attempt: Try, file: Path, content: str | None
) -> None:
    await attempt.use(adapter(hostile, credential=read_credential(file)))
    hostile.token = NEW
    put(file, content)
    error = await attempt.fail(CredentialRefused)
    assert [asked.method for asked in hostile.asked] == ["OPTIONS"]
    assert "credential file" in error.hint
    assert OLD not in str(error) + error.hint


async def test_a_credential_that_came_from_no_file_stays_as_it_is(hostile: HostileStore, attempt: Try) -> None:
    hostile.token = NEW
    await attempt.fail(CredentialRefused)
    assert [a.headers.get("authorization") for a in hostile.asked] == [f"Bearer {TOKEN}"]


async def test_a_newer_one_that_is_refused_as_well_is_not_tried_again_and_again(
    hostile: HostileStore, attempt: Try, file: Path
) -> None:
    await attempt.use(adapter(hostile, credential=read_credential(file)))
    hostile.token = "another"
    put(file, NEW)
    await attempt.fail(CredentialRefused)
    assert [a.headers["authorization"] for a in hostile.asked] == [f"Bearer {OLD}", f"Bearer {NEW}"]


def test_a_credential_stays_out_of_every_text(file: Path) -> None:
    assert OLD not in repr(read_credential(file))
    with pytest.raises(ConfigError) as caught:
        Credential("two words")
    assert "two words" not in str(caught.value)
