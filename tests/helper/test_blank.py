"""What an earlier run left is taken away, and nothing else: a new run goes on while a hung camera holds that up."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0


def test_what_a_new_run_mounts_meanwhile_stays(tmp_path: Path) -> None:
    command = ["unshare", "--mount", sys.executable, "-m", "tests.helper.run_blank", str(tmp_path)]
    if os.geteuid() != 0:
        command.insert(1, "--map-root-user")
    done = subprocess.run(  # noqa: S603 - ours
        command, cwd=ROOT, input="go on\n", capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stderr
    hung, said = done.stdout.splitlines()
    assert hung == "hung"
    assert json.loads(said) == {"mounted": ["2/8"], "known": True, "was": 7}
