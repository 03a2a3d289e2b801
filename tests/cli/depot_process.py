"""A real depot, run by the real command, and a station that has a credential for it."""

import json
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.command import END_S, dock_agent, running


@contextmanager
def depot_for(place: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the station's configuration and the depot's directory while the depot runs."""
    depot, credential, config = place / "depot", place / "credential", place / "agent.toml"
    with running("depot", "--dir", str(depot), "--listen", "127.0.0.1:0", "--json") as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], END_S)[0], "the depot said nothing"
        facts = json.loads(process.stdout.readline())
        credential.touch(mode=0o600)
        with credential.open("w") as out:
            enrolled = dock_agent("depot", "--dir", str(depot), "--enrol", "hub7", stdout=out)
        assert (enrolled.code, enrolled.err) == (0, "")
        config.write_text(
            f'[station]\nid = "hub7"\nstate_dir = "state"\ntrial = true\nallow_unsafe_spool = true\n'
            f'[[stores]]\nname = "depot"\nurl = "tus+{facts["url"]}"\nreceipt_key = "{facts["receipt_key"]}"\n'
            f'credential = "credential"\n[api]\nlisten = "127.0.0.1:0"\n'
        )
        yield config, depot
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0
