"""Receipts: what they say, who gets them, and that anybody can check them."""

import json
import re
import shutil
import sqlite3
import subprocess
from base64 import b64decode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.receipt import parse_statement
from agent.depot.signing_key import SigningKey
from tests.depot.conftest import NOW
from tests.depot.station import NONCE, TUS, Station, digest_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "receipt.md"


def run_shell(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the commands of our own page
        ["/bin/sh", "-eu", "-c", commands], cwd=folder, capture_output=True, text=True, check=False, timeout=30
    )


def documented(kind: str) -> str:
    blocks = re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def here_text(name: str) -> str:
    match = re.search(rf"cat > {re.escape(name)} <<'END'\n(.*?)^END$", documented("sh"), re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def test_the_documented_vector_is_what_the_documented_key_signs() -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    statement = parse_statement(here_text("statement.txt"))
    assert statement.text() == here_text("statement.txt")
    assert key.sign(statement) in documented("sh")
    assert key.public_pem == here_text("receipt.pub")
    assert json.loads(documented("json"))["key"] == key.id == statement.key


def test_the_documented_commands_verify_the_vector(tmp_path: Path) -> None:
    assert shutil.which("openssl"), "this test needs openssl"
    done = run_shell(documented("sh"), tmp_path)
    assert done.returncode == 0, done.stderr
    said, key_id = done.stdout.split("\n")[:2]
    assert said == "Signature Verified Successfully"
    assert key_id == parse_statement(here_text("statement.txt")).key


def test_the_documented_commands_refuse_a_changed_statement(tmp_path: Path) -> None:
    assert run_shell(documented("sh").replace("size 3", "size 4"), tmp_path).returncode != 0


def test_a_receipt_says_what_the_depot_holds_and_openssl_believes_it(
    station: Station, place: Path, tmp_path: Path
) -> None:
    path = station.upload(b"evidence")
    body = station.receipt(path).json()
    statement = parse_statement(body["statement"])
    assert statement.station == "hub7"
    assert (statement.sha256, statement.size_bytes) == (digest_of(b"evidence"), 8)
    assert statement.upload == path.removeprefix("/files/")
    assert statement.nonce == NONCE
    assert statement.issued_at == NOW.replace(microsecond=0)
    assert statement.key == body["key"]
    (tmp_path / "statement.txt").write_text(body["statement"])
    (tmp_path / "signature.bin").write_bytes(b64decode(body["signature"]))
    shutil.copy(place / "receipt.pub", tmp_path)
    verify = next(line for line in documented("sh").splitlines() if " -verify " in line)
    assert run_shell(verify, tmp_path).returncode == 0


def test_a_receipt_is_recorded_when_it_is_issued(station: Station, place: Path) -> None:
    path = station.upload(b"1234")
    body = station.receipt(path).json()
    with closing(sqlite3.connect(place / "catalogue.sqlite")) as db:
        rows = db.execute("SELECT upload, statement, signature FROM receipts").fetchall()
        assert rows == [(path.removeprefix("/files/"), body["statement"], body["signature"])]
        with pytest.raises(sqlite3.IntegrityError, match="never removed"):
            db.execute("DELETE FROM receipts")
        with pytest.raises(sqlite3.IntegrityError, match="never removed"):
            db.execute("DELETE FROM uploads")


def test_there_is_no_receipt_before_the_last_byte(station: Station) -> None:
    path = station.create(4)
    station.patch(path, b"123")
    assert station.receipt(path).status_code == 409


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 65, "G" * 32, "A" * 32, f"{'0' * 32}\nsize 5"])
def test_a_nonce_of_another_form_is_refused(station: Station, nonce: str) -> None:
    assert station.receipt(station.upload(b"1234"), nonce).status_code == 400


def by_digest(station: Station, data: bytes) -> httpx.Response:
    return station.http.get(f"/receipts/by-digest/{digest_of(data)}", params={"nonce": NONCE})


def test_bytes_sent_before_earn_a_receipt_without_being_sent_again(station: Station) -> None:
    path = station.upload(b"1234")
    answer = by_digest(station, b"1234")
    assert parse_statement(answer.json()["statement"]).upload == path.removeprefix("/files/")
    assert by_digest(station, b"12345").status_code == 404


def test_bytes_that_are_only_on_their_way_earn_nothing(station: Station) -> None:
    path = station.create(5, sha256=digest_of(b"12345"))
    station.patch(path, b"1234")
    assert by_digest(station, b"12345").status_code == 404


def vanish(file: Path) -> None:
    file.unlink()


def shrink(file: Path) -> None:
    file.chmod(0o600)
    file.write_bytes(b"123")


@pytest.mark.parametrize("harm", [vanish, shrink])
def test_a_lost_object_earns_no_receipt_and_can_be_sent_again(
    station: Station, place: Path, harm: Callable[[Path], None]
) -> None:
    path = station.upload(b"1234")
    harm(place / "objects" / digest_of(b"1234"))
    assert station.receipt(path).status_code == 410
    assert station.head(path).status_code == 410
    assert by_digest(station, b"1234").status_code == 404
    assert station.http.get(f"/objects/{digest_of(b'1234')}").status_code == 404
    again = station.upload(b"1234")
    assert station.receipt(again).status_code == 200
    assert station.receipt(path).status_code == 200
    assert station.http.get(f"/objects/{digest_of(b'1234')}").content == b"1234"


def test_good_bytes_are_not_given_up_for_a_rotten_object_of_their_name(station: Station, place: Path) -> None:
    station.upload(b"1234")
    file = place / "objects" / digest_of(b"1234")
    file.chmod(0o600)
    file.write_bytes(b"1230")
    station.upload(b"1234")
    assert file.read_bytes() == b"1234"
    assert [path.read_bytes() for path in (place / "damaged").iterdir()] == [b"1230"]


def test_the_bytes_can_be_read_back_by_digest_and_by_upload(station: Station) -> None:
    data = bytes(range(256)) * 10_000
    path = station.upload(data)
    for where in (path, f"/objects/{digest_of(data)}"):
        answer = station.http.get(where)
        assert answer.content == data
        assert answer.headers["content-length"] == str(len(data))
    assert station.http.delete(f"/objects/{digest_of(data)}", headers=TUS).status_code == 405
