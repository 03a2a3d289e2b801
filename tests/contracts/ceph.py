"""A real Ceph (monitor, one disk in memory, object gateway) on free loopback ports; Debian's own packages."""

import errno
import hashlib
import re
import subprocess
import time
import urllib.parse
import uuid
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx

from agent.stores.s3_credential import S3Credential
from agent.stores.s3_signature import S3Signature
from tests.contracts.s3_server import DOWN_S, KEY_ID, REGION, SECRET, free_ports

UP_S = 90.0
TRIES = 5
_ASK_S = 60.0
_SETTINGS = """[global]
fsid = {cluster}
mon_host = v1:127.0.0.1:{monitor}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 500
ms_bind_msgr2 = false
osd_objectstore = memstore
memstore_device_bytes = 2147483648
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
run_dir = {home}
log_file = {home}/$name.log
admin_socket = {home}/$name.asok
pid_file = {home}/$name.pid
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
"""


class Ceph:
    """Three processes; `down` ends the gateway alone, and `up` after it goes on with the same data and port."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._monitor_port, gateway_port = free_ports(2)
        self._gateway_port = gateway_port
        self._settings = home / "ceph.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.origin = f"http://127.0.0.1:{gateway_port}"
        self.signature = S3Signature(S3Credential(KEY_ID, SECRET), REGION)

    def make(self) -> None:
        """Lay out and start the cluster, with one user in it."""
        cluster, disk = uuid.uuid4(), uuid.uuid4()
        self._settings.write_text(
            _SETTINGS.format(cluster=cluster, monitor=self._monitor_port, home=self._home), encoding="ascii"
        )
        for folder in ("mon", "osd"):
            (self._home / folder).mkdir()
        address, plan = f"[v1:127.0.0.1:{self._monitor_port}]", str(self._home / "monmap")
        self._ask("monmaptool", "--create", "--addv", "a", address, "--fsid", str(cluster), plan)
        monitor = ("ceph-mon", "-i", "a", "--mon-data", str(self._home / "mon"))
        self._ask(*monitor, "--mkfs", "--monmap", plan)
        self._start("mon", *monitor, "-f")
        self._ask_monitor("osd", "new", str(disk))
        data = ("ceph-osd", "-i", "0", "--osd-data", str(self._home / "osd"))
        self._ask(*data, "--mkfs", "--osd-uuid", str(disk))
        self._start_disk(*data, "-f")
        self.up()
        self._ask(
            "radosgw-admin", "user", "create", "--uid=hub7", "--display-name=hub7",
            f"--access-key={KEY_ID}", f"--secret={SECRET}",
        )  # fmt: skip
        self._until("takes no object", self._writes)

    def up(self) -> None:
        """Start the gateway and wait until it answers."""
        front = f"beast endpoint=127.0.0.1:{self._gateway_port}"
        self._start("rgw", "radosgw", "-n", "client.rgw", "-f", "--rgw-data", str(self._home), "--rgw-frontends", front)
        self._until("does not answer", self._answers)

    def down(self) -> None:
        """Kill the gateway."""
        self._end("rgw")

    def end(self) -> None:
        """End all that was started."""
        for name in ("rgw", "osd", "mon"):
            self._end(name)

    def make_bucket(self, name: str, *, versions: bool = False, lock: bool = False) -> None:
        url = f"{self.origin}/{name}"
        made = self.ask("PUT", url, headers={"x-amz-bucket-object-lock-enabled": "true"} if lock else None)
        assert made.is_success, made.text
        if versions:
            body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            assert self.ask("PUT", f"{url}?versioning=", body).is_success

    def ask(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
        """A signed request that does not go through the adapter."""
        signed = self.signature.headers(method, url, headers, hashlib.sha256(body).hexdigest())
        with httpx.Client(trust_env=False, timeout=_ASK_S) as client:
            return client.request(method, url, headers=signed, content=body)

    def held(self, bucket: str, folder: str) -> list[str]:
        """The digests of the objects in a folder, by content."""
        return [hashlib.sha256(text).hexdigest() for text in self.texts(bucket, folder)]

    def texts(self, bucket: str, folder: str) -> list[bytes]:
        """The contents of the objects in a folder."""
        prefix = urllib.parse.quote(f"{folder}/", safe="")
        listing = self.ask("GET", f"{self.origin}/{bucket}?list-type=2&prefix={prefix}")
        assert listing.status_code == HTTPStatus.OK, listing.text
        keys = re.findall(r"<Key>([^<]+)</Key>", listing.text)
        return [self.ask("GET", f"{self.origin}/{bucket}/{key}").content for key in keys]

    def lose(self, bucket: str, key: str) -> None:
        """Remove an object, as an operator may."""
        assert self.ask("DELETE", f"{self.origin}/{bucket}/{key}").is_success

    def _start_disk(self, *command: str) -> None:
        """Start the disk; again where it ends, as it does when it asks before the monitor told it the cluster's id."""
        for _ in range(TRIES):
            self._start("osd", *command)
            while self._processes["osd"].poll() is None:
                if '"num_up_osds":1' in self._ask_monitor("osd", "stat", "--format", "json"):
                    return
                time.sleep(0.2)
        raise AssertionError(f"Ceph's disk ended {TRIES} times: {self._last_words('osd')}")

    def _answers(self) -> bool:
        try:
            with httpx.Client(trust_env=False, timeout=5.0) as client:
                return client.get(self.origin).status_code < HTTPStatus.INTERNAL_SERVER_ERROR
        except httpx.TransportError:
            return False

    def _writes(self) -> bool:
        made = self.ask("PUT", f"{self.origin}/is-it-up").status_code
        return made in (HTTPStatus.OK, HTTPStatus.CONFLICT) and self.ask("PUT", f"{self.origin}/is-it-up/x").is_success

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        until = time.monotonic() + UP_S
        while not done():
            for name, process in self._processes.items():
                assert process.poll() is None, f"Ceph's {name} ended: {self._last_words(name)}"
            assert time.monotonic() < until, f"Ceph {what}: {self._last_words('rgw')}"
            time.sleep(0.2)

    def _ask_monitor(self, *args: str) -> str:
        """Ask what may be asked twice; answers only once the monitor does.

        Whoever asks before it was told the cluster's id names none, and is refused as one of another cluster (EPERM).
        """
        for _ in range(TRIES - 1):
            done = self._run("ceph", "--connect-timeout", str(int(_ASK_S)), *args)
            if done.returncode != errno.EPERM:
                return self._said(done)
            time.sleep(0.2)
        return self._ask("ceph", "--connect-timeout", str(int(_ASK_S)), *args)

    def _ask(self, program: str, *args: str) -> str:
        return self._said(self._run(program, *args))

    def _run(self, program: str, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - Debian's own programs
            [program, "-c", str(self._settings), *args], capture_output=True, text=True, timeout=UP_S, check=False
        )

    def _said(self, done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 0, f"{' '.join(done.args)}: {done.stderr[-2000:]}"
        return done.stdout

    def _start(self, name: str, program: str, *args: str) -> None:
        with (self._home / f"{name}.out").open("ab") as out:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - Debian's own programs
                [program, "-c", str(self._settings), *args],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait(DOWN_S)

    def _last_words(self, name: str) -> str:
        return (self._home / f"{name}.out").read_bytes()[-2000:].decode("utf-8", "replace")
