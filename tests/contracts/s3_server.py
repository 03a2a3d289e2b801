"""A real S3 server (SeaweedFS) on free loopback ports, and what it holds, looked at past the S3 protocol."""

import hashlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

import httpx

from agent.stores.s3_credential import S3Credential
from agent.stores.s3_signature import S3Signature

KEY_ID, SECRET = "hub7-key", "hub7-secret-of-this-test"
REGION = "us-east-1"
UP_S = 60.0
DOWN_S = 30.0
_LAST_WORDS_BYTES = 4000
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class S3Server:
    """One server process; `up` after `down` goes on with the same data on the same ports."""

    def __init__(
        self,
        directory: Path,
        certificate: tuple[Path, Path] | None = None,
        others: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """With a certificate and its key, S3 is spoken over TLS.

        `others` are further key ids, with the same secret, and what each may do (such as Read:bucket).
        """
        self._directory = directory
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        (directory / "data").mkdir()
        keys = [
            {"credentials": [{"accessKey": key_id, "secretKey": SECRET}], "name": key_id, "actions": list(actions)}
            for key_id, actions in {KEY_ID: ("Admin",), **others}.items()
        ]
        (directory / "s3.json").write_text(json.dumps({"identities": keys}))
        scheme = "http" if certificate is None else "https"
        self.origin = f"{scheme}://127.0.0.1:{self._ports['s3.port']}"
        self._filer = f"http://127.0.0.1:{self._ports['filer.port']}"
        self.signature = S3Signature(S3Credential(KEY_ID, SECRET), REGION)

    def up(self) -> None:
        command = [
            str(Path(sys.executable).with_name("weed")),
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self._directory / 'data'}",
            "-volume.max=100",
            "-master.volumeSizeLimitMB=1024",
            "-master.electionTimeout=500ms",
            "-master.heartbeatInterval=50ms",
            "-s3",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._directory / 's3.json'}",
            *(f"-{name}={port}" for name, port in self._ports.items()),
        ]
        if self._certificate is not None:
            command += [f"-s3.cert.file={self._certificate[0]}", f"-s3.key.file={self._certificate[1]}"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the server that setup installed
                command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + UP_S
        while not self._answers():
            assert self._process.poll() is None, f"the S3 server ended: {self._last_words()}"
            assert time.monotonic() < until, f"the S3 server does not come up: {self._last_words()}"
            time.sleep(0.1)

    def down(self) -> None:
        """Kill the process and wait until it is gone, and its ports free: asked politely, it takes half a minute."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(DOWN_S)
        for port in self._ports.values():
            for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    def make_bucket(self, name: str, *, versions: bool = False, lock: bool = False) -> None:
        url = f"{self.origin}/{name}"
        assert self.ask("PUT", url, headers={"x-amz-bucket-object-lock-enabled": "true"} if lock else None).is_success
        if versions:
            body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            assert self.ask("PUT", f"{url}?versioning=", body).is_success

    def ask(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
        """A signed request that does not go through the adapter."""
        signed = self.signature.headers(method, url, headers, hashlib.sha256(body).hexdigest())
        # What is looked at past the adapter need not be proved to be the server that this test started.
        with httpx.Client(trust_env=False, timeout=20.0, verify=False) as client:  # noqa: S501
            return client.request(method, url, headers=signed, content=body)

    def held(self, bucket: str, folder: str) -> list[str]:
        """The digests of the objects in a folder, by content, through the server's file interface."""
        with httpx.Client(trust_env=False, timeout=20.0) as client:
            base = f"{self._filer}/buckets/{bucket}/{folder}/"
            listing = client.get(base, params={"limit": 1000}, headers={"Accept": "application/json"})
            if listing.status_code == 404:
                return []
            assert listing.status_code == 200
            names = [Path(entry["FullPath"]).name for entry in listing.json()["Entries"] or []]
            return [hashlib.sha256(client.get(base + name).content).hexdigest() for name in names]

    def lose(self, bucket: str, key: str) -> None:
        """Remove an object, as an operator may."""
        assert self.ask("DELETE", f"{self.origin}/{bucket}/{key}").is_success

    def texts(self, bucket: str, folder: str) -> list[bytes]:
        """The contents of the files in a folder."""
        with httpx.Client(trust_env=False, timeout=20.0) as client:
            base = f"{self._filer}/buckets/{bucket}/{folder}/"
            listing = client.get(base, params={"limit": 1000}, headers={"Accept": "application/json"})
            if listing.status_code == HTTPStatus.NOT_FOUND:
                return []
            names = [Path(entry["FullPath"]).name for entry in listing.json()["Entries"] or []]
            return [client.get(base + name).content for name in names]

    def _answers(self) -> bool:
        # Writing is the last thing that works: the volume server has to have joined.
        try:
            made = self.ask("PUT", f"{self.origin}/is-it-up")
            return made.status_code in (200, 409) and self.ask("PUT", f"{self.origin}/is-it-up/x", b"x").is_success
        except httpx.TransportError:
            return False

    def _last_words(self) -> str:
        return (self._directory / "log").read_bytes()[-_LAST_WORDS_BYTES:].decode("utf-8", "replace")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
