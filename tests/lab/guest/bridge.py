"""In the guest: lets the host reach the service's Unix socket through a TCP port of the guest's own network."""

import socket
import sys
import threading
from contextlib import suppress


def pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main(port: int, path: str) -> None:
    with socket.create_server(("10.0.2.15", port)) as listening:
        while True:
            client, _ = listening.accept()
            service = socket.socket(socket.AF_UNIX)
            try:
                service.connect(path)
            except OSError:
                client.close()
                continue
            for pair in ((client, service), (service, client)):
                threading.Thread(target=pour, args=pair, daemon=True).start()


main(int(sys.argv[1]), sys.argv[2])
