"""A certificate and its key are exchanged together: killed at any step, what is in place fits."""

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from agent.stores import own_pair
from agent.stores.own_certificate import make_key, make_request
from agent.stores.own_pair import OwnPair
from agent.stores.trust import Trust
from tests.stores.certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
END_S = 60
MOST_STEPS = 60
KILLED = """
import os, signal, sys
from pathlib import Path
from agent.stores.own_pair import OwnPair

STEPS = {"os.rename", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree"}
folder, step = Path(sys.argv[1]), int(sys.argv[2])
pair = OwnPair("central", folder / "client.pem", folder / "client.key")
certificate, key = (folder / "new.pem").read_bytes(), pair.waiting()
left = step

def count(event, _arguments):
    global left
    if event in STEPS:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
pair.install(pair.generation(certificate, key, lambda _path: None), lambda _path: None)
"""


def issue(authority: Authority) -> tuple[bytes, bytes]:
    """A certificate and its key."""
    key = make_key()
    return authority.sign(make_request(key, "hub7")), key


def fits(pair: OwnPair) -> bytes:
    """The certificate that is in place, of which OpenSSL takes the key as well."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(pair.certificate, pair.key, password="")
    return pair.certificate.read_bytes()


def nothing(_path: Path) -> None:
    pass


def pair_in(folder: Path) -> OwnPair:
    return OwnPair("central", folder / "client.pem", folder / "client.key")


def killed_at(folder: Path, step: int) -> bool:
    """Install what waits, in a process that is killed before its step number so; whether it got that far."""
    command = [sys.executable, "-c", KILLED, str(folder), str(step)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, timeout=END_S, env=environment, check=False)  # noqa: S603 - our own program
    assert ended.returncode in (0, -signal.SIGKILL)
    return ended.returncode != 0


@pytest.mark.parametrize("first", ["files", "links", "nothing"])
def test_killed_before_any_step_what_is_in_place_fits_and_a_second_run_ends_it(tmp_path: Path, first: str) -> None:
    authority = Authority(tmp_path, "forceca")
    old, old_key = issue(authority)
    new, new_key = issue(authority)
    reached = 0
    for step in range(1, MOST_STEPS):
        folder = tmp_path / f"{first}-{step}"
        folder.mkdir()
        pair = pair_in(folder)
        if first == "files":
            pair.certificate.write_bytes(old)
            pair.key.write_bytes(old_key)
        elif first == "links":
            pair.install(pair.generation(old, old_key, nothing), nothing)
        pair.stage(new_key)
        (folder / "new.pem").write_bytes(new)
        if not killed_at(folder, step):
            assert fits(pair) == new
            break
        reached += 1
        if first == "nothing":
            there = pair.certificate.exists() and pair.key.exists()
            assert not there or fits(pair) == new
        else:
            assert fits(pair) in (old, new)
        waiting = pair.waiting() or new_key  # gone only when the new one is in place
        assert waiting == new_key
        assert pair.waiting() is not None or fits(pair) == new
        pair.install(pair.generation(new, new_key, nothing), nothing)
        assert fits(pair) == new
        assert len([each for each in pair.folder.iterdir() if each.name.isdecimal()]) == 1
        assert pair.waiting() is None
    else:
        pytest.fail("it never ran to its end")
    assert reached > 5


def test_old_private_keys_are_removed_and_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    authority, pair = Authority(tmp_path, "forceca"), pair_in(tmp_path)
    (old, old_key), (new, new_key) = issue(authority), issue(authority)
    pair.certificate.write_bytes(old)
    pair.key.write_bytes(old_key)
    pair.stage(new_key)
    assert pair.waiting_key.stat().st_mode & 0o777 == 0o600
    pair.install(pair.generation(new, new_key, nothing), nothing)
    assert pair.key.stat().st_mode & 0o777 == 0o600
    assert pair.key.read_bytes() == new_key
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(old_key in path.read_bytes() for path in files)


@contextmanager
def before_each_line(of: Path, look: Callable[[], object]) -> Iterator[None]:
    """Look before each line of one file runs, in this thread."""

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != str(of):
            return None
        if event == "line":
            look()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("first", ["files", "links"])
def test_whoever_looks_at_any_moment_of_an_exchange_finds_the_old_pair_or_the_new_one(
    tmp_path: Path, first: str
) -> None:
    authority, pair = Authority(tmp_path, "forceca"), pair_in(tmp_path)
    (old, old_key), (new, new_key) = issue(authority), issue(authority)
    if first == "files":
        pair.certificate.write_bytes(old)
        pair.key.write_bytes(old_key)
    else:
        pair.install(pair.generation(old, old_key, nothing), nothing)
    made, seen = pair.generation(new, new_key, nothing), list[bytes]()
    with before_each_line(Path(own_pair.__file__), lambda: seen.append(fits(pair))):
        pair.install(made, nothing)
    turn = seen.index(new)
    assert seen == [old] * turn + [new] * (len(seen) - turn)
    assert turn > 5
    assert fits(pair) == new


def test_a_running_agent_takes_a_new_pair_up(tmp_path: Path) -> None:
    authority, pair = Authority(tmp_path, "forceca"), pair_in(tmp_path)
    old, old_key = issue(authority)
    pair.certificate.write_bytes(old)
    pair.key.write_bytes(old_key)
    trust = Trust(authority.path, pair.certificate, pair.key)
    for _ in range(3):
        before = trust.context
        new, new_key = issue(authority)
        pair.install(pair.generation(new, new_key, nothing), nothing)
        assert trust.context is not before


def test_a_hand_that_puts_files_in_the_place_of_the_links_is_followed(tmp_path: Path) -> None:
    authority, pair = Authority(tmp_path, "forceca"), pair_in(tmp_path)
    pair.install(pair.generation(*issue(authority), nothing), nothing)
    by_hand, hand_key = issue(authority)
    for path, content in ((pair.certificate, by_hand), (pair.key, hand_key)):
        path.unlink()
        path.write_bytes(content)
    new, new_key = issue(authority)
    pair.install(pair.generation(new, new_key, nothing), nothing)
    assert fits(pair) == new
    assert pair.certificate.is_symlink()


def test_names_in_folders_that_are_links_lead_to_the_pair_all_the_same(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "forceca")
    (tmp_path / "etc").mkdir()
    (tmp_path / "elsewhere" / "private").mkdir(parents=True)
    (tmp_path / "etc" / "private").symlink_to(tmp_path / "elsewhere" / "private")
    pair = OwnPair("central", tmp_path / "etc" / "client.pem", tmp_path / "etc" / "private" / "client.key")
    (old, old_key), (new, new_key) = issue(authority), issue(authority)
    pair.certificate.write_bytes(old)
    pair.key.write_bytes(old_key)
    pair.install(pair.generation(new, new_key, nothing), nothing)
    assert fits(pair) == new


def test_a_key_that_waits_is_kept_until_another_one_is_staged(tmp_path: Path) -> None:
    pair, (first, second) = pair_in(tmp_path), (make_key(), make_key())
    assert pair.waiting() is None
    pair.stage(first)
    assert pair.waiting() == first
    pair.stage(second)
    assert pair.waiting() == second


def test_what_is_written_is_what_was_given(tmp_path: Path) -> None:
    certificate, key = issue(Authority(tmp_path, "forceca"))
    made = pair_in(tmp_path).generation(certificate, key, nothing)
    public = load_pem_private_key((made / "key.pem").read_bytes(), None).public_key()
    shown = load_pem_x509_certificate((made / "certificate.pem").read_bytes()).public_key()
    der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public.public_bytes(*der) == shown.public_bytes(*der)
