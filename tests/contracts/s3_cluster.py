"""An S3 server of several processes (SeaweedFS): one master, three disks that keep each byte twice, one front."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.contracts.s3_server import DOWN_S, UP_S, S3Server, free_ports

DISKS = 3


class S3Cluster(S3Server):
    """Files are kept on two of three disks; `kill_disk` ends one disk's process for good."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._master, *rest = free_ports(2 + 2 * DISKS)
        self._master_grpc, *ports = rest
        self._disks = list(zip(ports[:DISKS], ports[DISKS:], strict=True))

    def up(self) -> None:
        # An address with both ports: otherwise the second is taken to be 10,000 above the first.
        master = f"127.0.0.1:{self._master}.{self._master_grpc}"
        self._start(
            "master",
            f"-port={self._master}",
            f"-port.grpc={self._master_grpc}",
            f"-mdir={self._made('meta')}",
            "-volumeSizeLimitMB=64",
            "-defaultReplication=001",
            "-electionTimeout=500ms",
            "-heartbeatInterval=50ms",
        )
        for number, (port, grpc) in enumerate(self._disks):
            data = f"-dir={self._made(f'disk{number}')}"
            ports = f"-port={port}", f"-port.grpc={grpc}"
            self._start("volume", *ports, data, "-max=40", f"-master={master}", number=number)
        self._start(
            "filer",
            f"-port={self._ports['filer.port']}",
            f"-port.grpc={self._ports['filer.port.grpc']}",
            f"-master={master}",
            f"-defaultStoreDir={self._made('filer')}",
            "-defaultReplicaPlacement=001",
        )
        self._start(
            "s3",
            f"-filer=127.0.0.1:{self._ports['filer.port']}.{self._ports['filer.port.grpc']}",
            "-autoCreateBucket=false",
            "-port.iceberg=0",
            "-port.lance=0",
            f"-port={self._ports['s3.port']}",
            f"-port.grpc={self._ports['s3.port.grpc']}",
            f"-config={self._directory / 's3.json'}",
        )
        until = time.monotonic() + UP_S
        while self._joined() < DISKS or not self._answers():
            assert time.monotonic() < until, f"the S3 cluster does not come up: {self._last_words()}"
            time.sleep(0.1)

    def kill_disk(self, number: int) -> None:
        process = self._processes.pop(f"volume{number}")
        process.kill()
        process.wait(DOWN_S)

    def disk_bytes(self, number: int) -> int:
        """What lies on a disk."""
        return sum(file.stat().st_size for file in (self._directory / f"disk{number}").glob("*.dat"))

    def down(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait(DOWN_S)
        self._processes.clear()
        super().down()

    def _joined(self) -> int:
        try:
            with httpx.Client(trust_env=False, timeout=5.0) as client:
                text = client.get(f"http://127.0.0.1:{self._master}/dir/status").text
        except httpx.TransportError:
            return 0
        return sum(f"127.0.0.1:{port}" in json.dumps(text) for port, _ in self._disks)

    def _made(self, name: str) -> Path:
        path = self._directory / name
        path.mkdir(exist_ok=True)
        return path

    def _start(self, role: str, *args: str, number: int | None = None) -> None:
        # The front has no other address than the one that it listens on.
        bind = ["-ip.bind=127.0.0.1"] if role == "s3" else ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command = [str(Path(sys.executable).with_name("weed")), role, *bind, *args]
        with (self._directory / "log").open("ab") as log:
            self._processes[f"{role}{'' if number is None else number}"] = subprocess.Popen(  # noqa: S603 - the server that setup installed
                command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
