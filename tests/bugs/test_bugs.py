"""Would the tests notice? Each patch here is a mistake that somebody could make; the tests that it names must go red.

A patch begins with two lines, `Bug:` in a sentence and `Red:` with the tests, then a unified diff of `agent/`. It is
applied to a copy of the project, which runs under an interpreter of its own, so that every process that the tests
start (readers, depots, services) has the mistake as well.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
PATCHES = sorted((ROOT / "tests" / "bugs").glob("*.patch"))
COPIED = ("agent", "config", "docs", "scripts", "tests", "pyproject.toml")
RED, GREEN = 1, 0
"""Exit codes of pytest; any other means that the tests could not even be run."""
pytestmark = pytest.mark.soak


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the project, with an interpreter that imports from it."""

    root: Path
    python: Path

    @classmethod
    def make(cls, place: Path) -> Self:
        root, home = place / "project", place / "venv"
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                skip = shutil.ignore_patterns("node_modules", "__pycache__")
                shutil.copytree(source, root / name, ignore=skip)
            else:
                shutil.copy(source, root / name)
        (root / "tests" / "peers" / "node_modules").symlink_to(ROOT / "tests" / "peers" / "node_modules")
        packages = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        packages.mkdir(parents=True)
        # The real packages come by path, not as a site directory: so the project's own entry there is not read.
        (packages / "bugs.pth").write_text(f"{root}\n{sysconfig.get_paths()['purelib']}\n")
        (home / "bin").mkdir()
        python = home / "bin" / "python"
        python.symlink_to(Path(sys.executable).resolve())
        settings = f"home = {Path(sys.executable).resolve().parent}\ninclude-system-site-packages = false\n"
        (home / "pyvenv.cfg").write_text(settings)
        shutil.copy(Path(sys.executable).with_name("dock-agent"), home / "bin" / "dock-agent")
        return cls(root, python)

    def apply(self, patch: Path) -> None:
        command = ["patch", "--strip=1", "--fuzz=0", "--no-backup-if-mismatch", f"--input={patch}"]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, f"{patch.name} does not fit the code any more; make it anew:\n{done.stdout}"

    def run(self, tests: list[str]) -> subprocess.CompletedProcess[str]:
        # It is a run of its own, also where this one is a worker of another. So is its directory: in the one that all
        # runs share, each tidies up after the others when it ends, and two that do so at once break each other.
        own = ["-p", "no:cacheprovider", f"--basetemp={self.root.parent / 'basetemp'}"]
        command = [str(self.python), "-m", "pytest", *own, "-q", "-x", "-n", "0", "-m", "", *tests]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
        return subprocess.run(  # noqa: S603
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )


def said(patch: Path, word: str) -> str:
    """The line of the patch's head that begins with `word`."""
    lines = patch.read_text("utf-8").splitlines()
    return next(line.removeprefix(f"{word}: ") for line in lines if line.startswith(f"{word}: "))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda p: p.stem)
def test_the_suite_goes_red(patch: Path, tmp_path: Path) -> None:
    copy = Copy.make(tmp_path)
    copy.apply(patch)
    done = copy.run(said(patch, "Red").split())
    noticed = done.returncode == RED and " failed" in done.stdout.splitlines()[-1]  # and not merely unable to start
    assert noticed, f"{said(patch, 'Bug')} Nobody noticed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}"


def test_without_a_bug_the_copy_is_green_and_its_readers_are_the_copys(tmp_path: Path) -> None:
    """Otherwise any patch would look as if it had been noticed, or a mistake in a reader as if it had not."""
    copy = Copy.make(tmp_path)
    reader = "import agent.devices.reader.server as s; print(s.__file__)"
    where = subprocess.run(  # noqa: S603
        [copy.python, "-I", "-c", reader], cwd="/", capture_output=True, text=True, check=True
    ).stdout
    assert where.startswith(str(copy.root))
    done = copy.run(sorted({test for patch in PATCHES for test in said(patch, "Red").split()}))
    assert done.returncode == GREEN, done.stdout[-3000:] + done.stderr[-2000:]


def test_there_are_bugs_to_be_noticed() -> None:
    assert len(PATCHES) >= 10
