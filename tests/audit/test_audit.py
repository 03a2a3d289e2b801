"""scripts/audit as people call it, with pip-audit and a service on this machine that answers as osv.dev does."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.audit.advisories import PROOF, pins

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]  # it installs pip-audit, which needs a network

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def service(*concerned: tuple[str, str]) -> Iterator[str]:
    """Knows one advisory of each of these libraries and versions, and of nothing else."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            one = {"id": f"TEST-{name}", "affected": [{"package": asked["package"]}]}
            body = json.dumps({"vulns": [one]} if (name, asked["version"]) in concerned else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        finally:
            server.shutdown()
            thread.join(10)


def audit(url: str, *options: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - our own script
        [ROOT / "scripts/audit", "--osv-url", url, *options], capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout


def test_a_service_that_knows_nothing_against_our_libraries_lets_the_audit_pass() -> None:
    with service(PROOF) as url:
        code, said = audit(url, "--required")
    assert (code, len(said.splitlines())) == (0, 1)
    assert "no published advisory concerns one" in said


def test_an_advisory_against_one_of_them_fails_it() -> None:
    (ours,) = [pin for pin in pins((ROOT / "config/locks/runtime.txt").read_text("utf-8")) if pin.name == "starlette"]
    with service(PROOF, ours) as url:
        code, said = audit(url)
    assert code == 1
    assert said.splitlines()[0] == (
        f"audit: starlette {ours.version} in dev.txt, runtime.txt: TEST-starlette, mended in no version yet"
    )
    assert "NOT DONE" not in said


def test_a_service_that_knows_nothing_at_all_is_no_proof() -> None:
    with service() as url:
        code, said = audit(url)
        assert audit(url, "--required")[0] == 1
    assert code == 0
    assert "NOT DONE" in said


def test_a_service_that_nobody_reaches_stops_releases_only() -> None:
    url = "http://127.0.0.1:1/v1/query"
    assert audit(url, "--required")[0] == 1
    code, said = audit(url)
    assert code == 0
    assert "NOT DONE" in said
