"""`enrol` and `renew` with a real depot: what the store takes is put into place, and nothing else is."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from cryptography import x509

from agent.depot.command import enrol as enrol_at_depot
from agent.depot.stations import station_of
from tests.cli.command import END_S, Here, dock_agent, environment, running, start
from tests.stores.certificates import Authority

HEAD = {"Tus-Resumable": "1.0.0"}


@contextmanager
def depot_at(place: Path, *words: str) -> Iterator[str]:
    """A depot in a process of its own; its URL."""
    with running("depot", "--dir", str(place), "--listen", "127.0.0.1:0", "--json", *words) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], END_S)[0], "the depot said nothing"
        yield json.loads(process.stdout.readline())["url"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[str]:
    with depot_at(tmp_path / "depot") as url:
        yield url


def configured(folder: Path, url: str, more: str = "") -> Path:
    config = folder / "agent.toml"
    config.write_text(
        f'[station]\nid = "hub7"\nstate_dir = "state"\ntrial = true\nallow_unsafe_spool = true\n'
        f'[[stores]]\nname = "central"\nurl = "tus+{url}"\nrequire = "readback"\n'
        f'credential = "central.credential"\n{more}'
    )
    return config


def given(folder: Path, token: str) -> str:
    file = folder / "handed-out"
    file.write_text(f"{token}\n")
    return str(file)


def test_a_first_credential_is_tried_and_put_into_place_for_its_owner_alone(
    here: Here, tmp_path: Path, depot: str
) -> None:
    config, token = configured(tmp_path, depot), enrol_at_depot(tmp_path / "depot", "hub7")
    assert here("check", "--config", str(config)).code == 78  # the file is not there yet
    ended = here("enrol", "central", "--credential-from", given(tmp_path, token), "--config", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert "Store central takes it" in ended.out
    assert token not in ended.out
    place = tmp_path / "central.credential"
    assert place.read_text() == f"{token}\n"
    assert place.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir() if "credential" in file.name] == ["central.credential"]
    assert here("check", "--config", str(config)).code == 0


def test_standard_input_is_taken_and_json_names_no_secret(tmp_path: Path, depot: str) -> None:
    config, token = configured(tmp_path, depot), enrol_at_depot(tmp_path / "depot", "hub7")
    words = ("enrol", "central", "--credential-from", "-", "--json", "--config", str(config))
    with start(*words, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(f"{token}\n", timeout=END_S)
    assert (process.returncode, err) == (0, "")
    place = tmp_path / "central.credential"
    assert json.loads(out) == {"store": "central", "stores": ["central"], "credential": str(place), "taken": True}
    assert place.read_text().strip() == token


def test_one_that_the_store_refuses_is_not_put_into_place_and_nothing_is_left(
    here: Here, tmp_path: Path, depot: str
) -> None:
    config = configured(tmp_path, depot)
    ended = here("enrol", "central", "--credential-from", given(tmp_path, "hub7.wrong"), "--config", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert "does not accept this station's credential" in ended.err
    assert "Nothing was put into place" in ended.err
    assert not list(tmp_path.glob("central.credential*"))


@pytest.mark.parametrize("token", ["two words", "ünlesbar", "x" * 5000])
def test_what_cannot_be_a_credential_is_refused_before_anybody_is_asked_and_never_repeated(
    here: Here, tmp_path: Path, token: str
) -> None:
    config = configured(tmp_path, "http://127.0.0.1:9/files/")
    ended = here("enrol", "central", "--credential-from", given(tmp_path, token), "--config", str(config))
    assert ended.code == 1
    assert token not in ended.err
    assert not list(tmp_path.glob("central.credential*"))


def test_a_credential_that_is_there_is_not_replaced_unless_that_is_said(here: Here, tmp_path: Path, depot: str) -> None:
    config, token = configured(tmp_path, depot), enrol_at_depot(tmp_path / "depot", "hub7")
    place = tmp_path / "central.credential"
    place.touch(mode=0o600)
    place.write_text("hub7.of-before\n")
    words = ("enrol", "central", "--credential-from", given(tmp_path, token), "--config", str(config))
    refused = here(*words)
    assert refused.code == 1
    assert "renew central" in refused.err
    assert place.read_text() == "hub7.of-before\n"
    assert here(*words, "--replace").code == 0
    assert place.read_text() == f"{token}\n"


def test_renewing_lets_the_old_one_hold_until_the_new_one_is_tried(here: Here, tmp_path: Path, depot: str) -> None:
    config, place = configured(tmp_path, depot), tmp_path / "depot"
    old = enrol_at_depot(place, "hub7")
    missing = here("renew", "central", "--credential-from", given(tmp_path, old), "--config", str(config))
    assert missing.code == 1
    assert "enrol central" in missing.err
    assert here("enrol", "central", "--credential-from", given(tmp_path, old), "--config", str(config)).code == 0
    made = here("depot", "--dir", str(place), "--enrol", "hub7", "--renew")
    assert (made.code, made.err) == (0, "")
    new = made.out.strip()
    assert httpx.head(f"{depot}{'0' * 32}", headers={**HEAD, "Authorization": f"Bearer {old}"}).status_code == 404
    assert here("renew", "central", "--credential-from", given(tmp_path, new), "--config", str(config)).code == 0
    assert station_of(place, f"Bearer {old}") is None
    assert station_of(place, f"Bearer {new}") == "hub7"
    assert (tmp_path / "central.credential").read_text().strip() == new


def test_a_store_that_is_away_keeps_the_old_one_in_place_and_the_new_one_waits(here: Here, tmp_path: Path) -> None:
    """Killed between trial and exchange it is the same: the new one lies there, and a run without a file goes on."""
    place, credential = tmp_path / "depot", tmp_path / "central.credential"
    with depot_at(place) as url:
        old, port = enrol_at_depot(place, "hub7"), url.rpartition(":")[2].partition("/")[0]
        config = configured(tmp_path, url)
        assert here("enrol", "central", "--credential-from", given(tmp_path, old), "--config", str(config)).code == 0
    new = enrol_at_depot(place, "hub7", renew=True)
    away = here("renew", "central", "--credential-from", given(tmp_path, new), "--config", str(config))
    assert away.code == 1
    assert "need not be given again" in away.err
    assert credential.read_text().strip() == old
    (tmp_path / "handed-out").unlink()
    with running("depot", "--dir", str(place), "--listen", f"127.0.0.1:{port}", "--json") as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], END_S)[0]
        assert here("renew", "central", "--config", str(config)).code == 0
    assert credential.read_text().strip() == new
    assert not (tmp_path / "central.credential.next").exists()


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything with this status; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/files/"
        finally:
            server.shutdown()
            thread.join(END_S)


@pytest.mark.parametrize("status", [302, 507])
def test_a_refusal_that_is_not_about_the_credential_keeps_it_waiting(here: Here, tmp_path: Path, status: int) -> None:
    """The store may have ended the old one already, when an earlier answer was lost."""
    with answering(status) as url:
        config = configured(tmp_path, url)
        ended = here("enrol", "central", "--credential-from", given(tmp_path, "hub7.new"), "--config", str(config))
    assert ended.code == 1
    assert "need not be given again" in ended.err
    assert not (tmp_path / "central.credential").exists()
    assert (tmp_path / "central.credential.next").read_text() == "hub7.new\n"


def test_one_that_waited_is_not_thrown_away_by_a_refusal(here: Here, tmp_path: Path) -> None:
    """A network's log-in page says 403 as well, and nobody gave it again: this may be the only copy."""
    waiting = tmp_path / "central.credential.next"
    waiting.touch(mode=0o600)
    waiting.write_text("hub7.new\n")
    with answering(403) as url:
        ended = here("enrol", "central", "--config", str(configured(tmp_path, url)))
    assert ended.code == 1
    assert "does not accept this station's credential" in ended.err
    assert waiting.read_text() == "hub7.new\n"


def test_untried_puts_it_into_place_and_says_so(here: Here, tmp_path: Path) -> None:
    config = configured(tmp_path, "http://127.0.0.1:9/files/")
    words = ("enrol", "central", "--credential-from", given(tmp_path, "hub7.token"), "--untried")
    ended = here(*words, "--config", str(config))
    assert ended.code == 0
    assert "was not asked" in ended.out
    assert (tmp_path / "central.credential").read_text() == "hub7.token\n"


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Authority, Authority, Path, str]]:
    """A depot with TLS that asks for certificates: its CA, that of stations, the configuration, its URL."""
    (tmp_path / "ca").mkdir()
    servers, stations = Authority(tmp_path / "ca", "servers"), Authority(tmp_path / "ca", "stations")
    cert, key = servers.issue("depot")
    place = tmp_path / "depot"
    words = ("--tls-cert", str(cert), "--tls-key", str(key), "--client-ca", str(stations.path))
    with depot_at(place, *words) as url:
        more = f'ca = "{servers.path}"\nclient_cert = "central.pem"\nclient_key = "central.key"\n'
        config, token = configured(tmp_path, url, more), enrol_at_depot(place, "hub7")
        ended = dock_agent("enrol", "central", "--credential-from", given(tmp_path, token), "--config", str(config))
        assert ended.code == 0
        assert "was not asked" in ended.out  # the other half is still missing
        assert "central.pem" in ended.err
        yield servers, stations, config, url


def request(here: Here, config: Path, verb: str = "enrol", *more: str) -> bytes:
    csr = config.with_name("hub7.csr")
    ended = here(verb, "central", "--csr", str(csr), "--config", str(config), *more)
    assert (ended.code, ended.err) == (0, "")
    return csr.read_bytes()


def install(here: Here, config: Path, certificate: bytes, verb: str = "enrol", *more: str) -> tuple[int, str]:
    file = config.with_name("issued.pem")
    file.write_bytes(certificate)
    ended = here(verb, "central", "--certificate", str(file), "--config", str(config), *more)
    return ended.code, ended.out + ended.err


def test_a_certificate_is_requested_issued_tried_and_renewed_while_the_old_one_stays_in_use(
    here: Here, tmp_path: Path, tls: tuple[Authority, Authority, Path, str]
) -> None:
    _, stations, config, _ = tls
    csr = request(here, config)
    assert x509.load_pem_x509_csr(csr).subject.rfc4514_string() == "CN=hub7"
    first = stations.sign(csr)
    code, said = install(here, config, first)
    assert (code, "Store central takes it" in said) == (0, True)
    pem, key = tmp_path / "central.pem", tmp_path / "central.key"
    assert pem.read_bytes() == first
    assert key.stat().st_mode & 0o777 == 0o600
    assert here("check", "--config", str(config)).code == 0
    old_key = key.read_bytes()

    again = request(here, config, "renew")
    assert (pem.read_bytes(), key.read_bytes()) == (first, old_key)
    public = x509.load_pem_x509_csr(again).public_key()
    assert public != x509.load_pem_x509_csr(csr).public_key()
    assert x509.load_pem_x509_csr(request(here, config, "renew")).public_key() == public  # the key waits on
    assert x509.load_pem_x509_csr(request(here, config, "renew", "--new-key")).public_key() != public
    code, said = install(here, config, stations.sign(again), "renew")
    assert (code, "another key" in said) == (1, True)
    assert pem.read_bytes() == first
    second = stations.sign(request(here, config, "renew"))
    assert install(here, config, second, "renew")[0] == 0
    assert pem.read_bytes() == second
    assert key.read_bytes() != old_key


def test_a_certificate_that_the_store_does_not_take_is_not_put_into_place(
    here: Here, tmp_path: Path, tls: tuple[Authority, Authority, Path, str]
) -> None:
    servers, stations, config, _ = tls
    first = stations.sign(request(here, config))
    assert install(here, config, first)[0] == 0
    before = (tmp_path / "central.key").read_bytes()
    foreign = servers.sign(request(here, config, "renew"))
    code, said = install(here, config, foreign, "renew")
    assert (code, "Nothing was put into place" in said) == (1, True)
    assert (tmp_path / "central.pem").read_bytes() == first
    assert (tmp_path / "central.key").read_bytes() == before
    right = stations.sign(request(here, config, "renew"))  # the same key waits on
    assert install(here, config, right, "renew")[0] == 0


def test_an_enrolled_certificate_is_not_replaced_by_enrolling_again(
    here: Here, tmp_path: Path, tls: tuple[Authority, Authority, Path, str]
) -> None:
    _, stations, config, _ = tls
    first = stations.sign(request(here, config))
    assert install(here, config, first)[0] == 0
    ended = here("enrol", "central", "--csr", str(tmp_path / "second.csr"), "--config", str(config))
    assert (ended.code, "renew central" in ended.err) == (1, True)
    assert not (tmp_path / "second.csr").exists()
    late = stations.sign(request(here, config, "enrol", "--replace"), ends=timedelta(days=60))
    assert install(here, config, late, "enrol", "--replace")[0] == 0
    assert (tmp_path / "central.pem").read_bytes() == late


def test_the_request_can_go_to_standard_output_alone(here: Here, tls: tuple[Authority, Authority, Path, str]) -> None:
    _, _, config, _ = tls
    ended = here("enrol", "central", "--csr", "-", "--config", str(config))
    assert ended.code == 0
    assert x509.load_pem_x509_csr(ended.out.encode()).is_signature_valid
    assert "waits for its certificate" in ended.err


@pytest.mark.parametrize("name", ["agent.toml", "central.credential", "central.pem"])
def test_a_request_is_not_written_over_anything_else(
    here: Here, tmp_path: Path, tls: tuple[Authority, Authority, Path, str], name: str
) -> None:
    _, stations, config, _ = tls
    assert install(here, config, stations.sign(request(here, config)))[0] == 0
    file = tmp_path / name
    before = file.read_bytes()
    ended = here("renew", "central", "--csr", str(file), "--config", str(config))
    assert (ended.code, "is there already" in ended.err) == (1, True)
    assert file.read_bytes() == before
    assert not list(tmp_path.rglob("next.key"))


def test_a_certificate_without_a_request_before_it_is_refused(
    here: Here, tls: tuple[Authority, Authority, Path, str]
) -> None:
    _, stations, config, _ = tls
    pem, _ = stations.issue("hub7")
    code, said = install(here, config, pem.read_bytes())
    assert (code, "--csr" in said) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["enrol", "nowhere", "--credential-from", "x"], 1, "known are: central"),
        (["enrol", "central"], 2, "--credential-from"),
        (["enrol", "central", "--csr", "a", "--certificate", "b"], 2, "--csr"),
        (["enrol", "central", "--credential-from", "x", "--new-key"], 2, "--new-key"),
        (["enrol", "central", "--csr", "a"], 1, "client_cert"),
        (["renew", "central", "--certificate", "a"], 1, "client_cert"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_made(tmp_path: Path, words: list[str], code: int, why: str) -> None:
    config = configured(tmp_path, "http://127.0.0.1:9/files/")
    with start(*words, "--config", str(config), stdin=subprocess.DEVNULL) as process:
        _, err = process.communicate(timeout=END_S)
    assert (process.returncode, why in err) == (code, True), err
    assert [file.name for file in tmp_path.iterdir()] == ["agent.toml"]


def test_a_directory_needs_nobody_to_be_known_to(here: Here, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[station]\nid = "hub7"\nstate_dir = "state"\n[[stores]]\nname = "disk"\nurl = "file://{tmp_path}/disk"\n'
        'require = "readback"\n'
    )
    ended = here("enrol", "disk", "--credential-from", "-", "--config", str(config))
    assert (ended.code, "is a directory" in ended.err) == (1, True)


KILLED = """
import os, signal, sys
from pathlib import Path
from agent.cli.main import carry_out

left = int(sys.argv[1])

def count(event, arguments):
    global left
    if event in ("os.rename", "os.remove", "socket.connect"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
sys.exit(carry_out(sys.argv[2:]))
"""


def test_killed_at_any_step_of_a_renewal_the_station_still_gets_in_after_a_run_that_goes_on(
    here: Here, tmp_path: Path, depot: str
) -> None:
    config, place = configured(tmp_path, depot), tmp_path / "depot"
    words = ("--config", str(config))
    first = enrol_at_depot(place, "hub7")
    assert here("enrol", "central", "--credential-from", given(tmp_path, first), *words).code == 0
    for step in range(1, 30):
        new = enrol_at_depot(place, "hub7", renew=True)
        command = [sys.executable, "-c", KILLED, str(step), "renew", "central", *words]
        source = given(tmp_path, new)
        ended = subprocess.run(  # noqa: S603 - our own program
            [*command, "--credential-from", source], timeout=END_S, env=environment(), capture_output=True, check=False
        )
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        waits = (tmp_path / "central.credential.next").exists()
        held = (tmp_path / "central.credential").read_text().strip()
        if waits:
            assert here("renew", "central", *words).code == 0
            held = (tmp_path / "central.credential").read_text().strip()
        assert station_of(place, f"Bearer {held}") == "hub7"
    else:
        pytest.fail("it never ran to its end")
    assert step > 2
