"""`enrol` and `renew` with a real S3 server: access keys that it knows are put into place, and no others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.main import carry_out
from tests.contracts.s3_server import KEY_ID, SECRET, S3Server

ELSEWHERE, READER, UPLOADER = "key-for-another-bucket", "key-that-reads", "key-that-uploads"
RIGHTS = {
    ELSEWHERE: [f"{right}:is-it-up" for right in ("Read", "List", "Write")],
    READER: ["Read:evidence", "List:evidence"],
    UPLOADER: [f"{right}:evidence" for right in ("Read", "List", "Write")],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    s3 = S3Server(tmp_path_factory.mktemp("s3"), others=RIGHTS)
    try:
        s3.up()
        s3.make_bucket("evidence")
        yield s3
    finally:
        s3.down()


def configured(folder: Path, server: S3Server, bucket: str = "evidence") -> Path:
    config = folder / "agent.toml"
    config.write_text(
        '[station]\nid = "hub7"\nstate_dir = "state"\n[[stores]]\nname = "central"\nrequire = "readback"\n'
        f'url = "s3+{server.origin}/{bucket}"\ncredential = "central.keys"\n'
    )
    return config


def enrolled(folder: Path, config: Path, keys: str, verb: str = "enrol") -> int:
    file = folder / "handed-out"
    file.write_text(keys)
    return carry_out([verb, "central", "--credential-from", str(file), "--config", str(config)])


@pytest.mark.parametrize("key_id", [KEY_ID, UPLOADER])
def test_keys_that_the_store_knows_are_put_into_place_and_nothing_is_left_there(
    server: S3Server, tmp_path: Path, key_id: str
) -> None:
    config = configured(tmp_path, server)
    assert enrolled(tmp_path, config, f"{key_id}\n{SECRET}\n") == 0
    assert (tmp_path / "central.keys").read_text() == f"{key_id}\n{SECRET}\n"
    assert (tmp_path / "central.keys").stat().st_mode & 0o777 == 0o600
    assert server.held("evidence", "objects") == []
    assert "<Upload>" not in server.ask("GET", f"{server.origin}/evidence?uploads=").text


@pytest.mark.parametrize(
    ("key_id", "why"),
    [(ELSEWHERE, "does not let this access key look"), (READER, "does not let it begin an upload")],
)
def test_keys_without_their_rights_to_the_bucket_are_told_apart_from_wrong_ones_and_wait_for_them(
    server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], key_id: str, why: str
) -> None:
    config = configured(tmp_path, server)
    assert enrolled(tmp_path, config, f"{key_id}\n{SECRET}\n") == 1
    said = capsys.readouterr().err
    assert why in said
    assert "Give the key its rights" in said
    assert "does not accept" not in said
    assert not (tmp_path / "central.keys").exists()
    assert (tmp_path / "central.keys.next").exists()
    assert SECRET not in said


@pytest.mark.parametrize("keys", [f"{KEY_ID}\nanother-secret\n", f"another-key\n{SECRET}\n", f"{KEY_ID}\n"])
def test_keys_that_it_does_not_know_and_half_a_pair_leave_what_is_in_use(
    server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: str
) -> None:
    config, place = configured(tmp_path, server), tmp_path / "central.keys"
    assert enrolled(tmp_path, config, f"{KEY_ID}\n{SECRET}\n") == 0
    assert enrolled(tmp_path, config, keys, "renew") == 1
    assert place.read_text() == f"{KEY_ID}\n{SECRET}\n"
    assert not (tmp_path / "central.keys.next").exists()
    said = capsys.readouterr().err
    assert "its rights" not in said
    assert SECRET not in said
    assert "another-secret" not in said


def test_a_bucket_that_is_not_there_is_told_and_nothing_is_put_into_place(server: S3Server, tmp_path: Path) -> None:
    config = configured(tmp_path, server, "no-such-bucket")
    assert enrolled(tmp_path, config, f"{KEY_ID}\n{SECRET}\n") == 1
    assert not (tmp_path / "central.keys").exists()
