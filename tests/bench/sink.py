"""`python -m tests.bench.sink CERTIFICATE KEY`: takes uploads over TLS and forgets them, as fast as a machine can.

Prints {"port": ...} once it listens; ends when its standard input is closed, and says then which ciphers were used.
Bodies are counted by the heads of their TLS records and never decrypted: a sink that decrypted would need as much of a
machine with two cores as the client does, and both would measure the sink. After a body its side of the cipher is out
of step, so each body ends its connection; that costs a client of many requests one handshake for each.
"""

import json
import re
import socket
import ssl
import sys
from threading import Thread

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 5
_OVERHEAD_BYTES = 17
"""What TLS 1.3 adds to a record's content: its true type and the tag. Source: RFC 8446, section 5.2."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OFFSET = re.compile(rb"\r\nupload-offset: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


def main() -> None:
    """Serve until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    ciphers: set[str] = set()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_accept, args=(listener, context, ciphers), daemon=True).start()
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        sys.stdin.read()
    print(json.dumps({"ciphers": sorted(ciphers)}), flush=True)


def _accept(listener: socket.socket, context: ssl.SSLContext, ciphers: set[str]) -> None:
    while True:
        line, _ = listener.accept()
        Thread(target=_serve, args=(line, context, ciphers), daemon=True).start()


def _serve(line: socket.socket, context: ssl.SSLContext, ciphers: set[str]) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(line, server_side=True) as secure:
        ciphers.add(str((secure.cipher() or ("none",))[0]))
        while request := _request(secure):
            head, rest = request
            length, offset = _number(_LENGTH, head), _number(_OFFSET, head)
            if not length:
                secure.sendall(
                    b"HTTP/1.1 201 \r\nLocation: /files/one\r\nTus-Resumable: 1.0.0\r\nContent-Length: 0" + _END
                )
                continue
            _forget(secure, length - len(rest))
            end = b"HTTP/1.1 204 \r\nTus-Resumable: 1.0.0\r\nConnection: close\r\nUpload-Offset: %d"
            secure.sendall(end % (offset + length) + _END)
            return


def _request(secure: ssl.SSLSocket) -> tuple[bytes, bytes] | None:
    """A request's head, and what of its body came with it; None at the end of the connection."""
    taken = b""
    while _END not in taken:
        more = secure.recv(_BLOCK_BYTES)
        if not more:
            return None
        taken += more
    head, _, rest = taken.partition(_END)
    return head, rest


def _number(field: re.Pattern[bytes], head: bytes) -> int:
    found = field.search(head)
    return int(found[1]) if found else 0


def _forget(secure: ssl.SSLSocket, left: int) -> None:
    """Take records in beneath the encryption until their contents add up to `left` bytes."""
    block = memoryview(bytearray(_BLOCK_BYTES))
    kept = 0  # bytes at the block's start: a record's head that is not whole yet
    gap = 0  # bytes of a record that are still to come
    while left > 0 or gap:
        count = socket.socket.recv_into(secure, block[kept:])
        if not count:
            return  # the client went away
        count += kept
        at = gap
        while count - at >= _HEAD_BYTES:
            length = int.from_bytes(block[at + 3 : at + _HEAD_BYTES], "big")
            left -= length - _OVERHEAD_BYTES
            at += _HEAD_BYTES + length
        kept, gap = max(count - at, 0), max(at - count, 0)
        block[:kept] = bytes(block[at:count])


if __name__ == "__main__":
    main()
