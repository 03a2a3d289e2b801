"""`python strict_tus.py DIRECTORY`: a tus server that compares checksums, on a free port of the loopback.

Of a PATCH that is cut it keeps nothing. Prints {"url": ...} once it listens; ends when its standard input is closed.
"""

import json
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from resumable_upload import (
    SQLiteStorage,
    TusHTTPRequestHandler,
    TusServer,
)


def main() -> None:
    """Serve until standard input ends."""
    root = Path(sys.argv[1])
    storage = SQLiteStorage(db_path=str(root / "uploads.db"), upload_dir=str(root / "uploads"))
    handler = type("Handler", (TusHTTPRequestHandler,), {})
    tus = TusServer(storage=storage, base_path="/files", enable_downloads=True, checksum_algorithms=("sha1", "sha256"))
    handler.tus_server = tus  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        Thread(target=http.serve_forever, daemon=True).start()
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{http.server_port}/files/"}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        http.shutdown()


if __name__ == "__main__":
    main()
